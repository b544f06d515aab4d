//! What a guard says to whoever looks.

use canary::guard::{BudgetTerms, GateTerms, Metric, Standing};

use super::watch::Watch;
use crate::control::{BudgetView, GateView, GuardView, MetricView, Sides, SpentView, UsualView};

/// Minutes of stable that a temper needs before its evidence can be trusted in a restless pool.
pub(super) const WARM_MIN: u32 = 180;

/// What the guard of a route says now; `why` is why it tripped.
pub(crate) fn of(watch: &Watch, why: Option<&str>) -> GuardView {
    let guard = watch.guard();
    let evidence = guard.evidence();
    let state = state(watch);
    let (failed_c, failed_b) = guard.failed();
    GuardView {
        state,
        reason: why.map_or_else(|| reason(watch, state), str::to_owned),
        attempt: evidence.attempt,
        rules_wait: watch.rules_wait(),
        share: watch.situation().share(),
        stable_minutes: evidence.temper(Metric::Errors).minutes(),
        warm: evidence.temper(Metric::Errors).minutes() >= WARM_MIN,
        users: guard.units_c(),
        out_of_count: Sides {
            canary: failed_c as u64,
            stable: failed_b as u64,
        },
        gate: GateView {
            log_evidence: evidence.gate().log_e(),
            threshold: GateTerms::default().threshold(),
            open: evidence.gate().is_open(),
            users: evidence.gate_units(),
        },
        budget: watch.situation().budget.map(|terms| budget(watch, terms)),
        usual: usual(watch),
        metrics: Metric::ALL.map(|metric| metric_view(watch, metric)).into(),
    }
}

fn budget(watch: &Watch, terms: BudgetTerms) -> BudgetView {
    let spending = watch.guard().evidence().spending();
    let of = |used: u64, allowed: Option<u64>| {
        let allowed = allowed?;
        Some(SpentView { used, allowed })
    };
    BudgetView {
        users: of(spending.users(), terms.users),
        extra_errors: of(spending.extra_errors(), terms.extra_errors),
        reached: spending.spent().map(|item| item.as_str()),
    }
}

fn usual(watch: &Watch) -> Option<UsualView> {
    let usual = watch.guard().usual()?;
    let (canary, stable) = watch.guard().seen();
    Some(UsualView {
        users_per_window: usual.units,
        stable_bad: usual.bad,
        users: (canary + stable) as f64,
        minutes: usual.minutes,
    })
}

fn state(watch: &Watch) -> &'static str {
    if watch.guard().has_tripped() {
        return "tripped";
    }
    match watch.guard().standing() {
        Standing::Comparing => "ok",
        Standing::Frozen => "baseline_unhealthy",
        Standing::NoData => "no_data",
    }
}

fn reason(watch: &Watch, state: &str) -> String {
    let share = watch.situation().share();
    match state {
        "tripped" => "there was enough evidence of harm".into(),
        "baseline_unhealthy" => {
            "baseline unhealthy, comparison paused: a fifth of stable's users fail".into()
        }
        "no_data" if share <= 0.0 => "no data: no canary has a weight".into(),
        "no_data" => "no data: too few users of the canary or of stable in the last minute".into(),
        _ => "no evidence of harm".into(),
    }
}

fn metric_view(watch: &Watch, metric: Metric) -> MetricView {
    let guard = watch.guard();
    let evidence = guard.evidence();
    let (process, minute) = (evidence.process(metric), guard.minute(metric));
    MetricView {
        metric: metric.as_str(),
        log_evidence: process.log_e(),
        threshold: evidence.rules.terms(metric).threshold(),
        p_value: (-process.max_log_e()).exp(),
        decisive_group: process.decisive_group(),
        temper: evidence
            .temper(metric)
            .factor(minute.n_c / 12, minute.n_b / 12),
        users: Sides {
            canary: minute.n_c.into(),
            stable: minute.n_b.into(),
        },
        bad: Sides {
            canary: minute.k_c.into(),
            stable: minute.k_b.into(),
        },
    }
}
