//! What is seen of a ramp that runs, and what follows from it: plain values in, an order out.

use std::time::Duration;

use canary::guard::Standing as Comparison;
use canary::ramp::{Due, Missing, SUSPICION, Seen, Sight};
use config::live::{LiveRamp, LiveRoute, RampOrder, canaries_share};
use config::model;

use crate::control::{Around, GuardView};

/// What is seen of a ramp that runs, on a route that is as `live` says.
pub(crate) fn sight(
    route: &model::Route,
    ramp: &LiveRamp,
    live: Option<&LiveRoute>,
    held: Duration,
    around: &Around,
) -> Sight {
    let settings = route.ramp.as_ref();
    Sight {
        held_s: held.as_secs(),
        hold_s: ramp.current().map_or(0, |step| step.hold_s),
        is_last: ramp.is_last(),
        auto: settings.is_none_or(|ramp| ramp.auto),
        evidence: seen(around.guard.as_ref(), route, live),
        targets: settings.map_or((0, 0), |ramp| around.targets(ramp)),
        probe: around.probe.clone(),
        in_hours: settings.is_none_or(|ramp| ramp.window.contain(around.now)),
        is_marked: live.is_some_and(|live| live.state.holds()),
    }
}

/// What the guard says of what canaries have now; what it says of another share is no evidence.
fn seen(guard: Option<&GuardView>, route: &model::Route, live: Option<&LiveRoute>) -> Option<Seen> {
    let is_required = route
        .ramp
        .as_ref()
        .is_some_and(|ramp| ramp.require_evidence);
    let share = live.map_or(0.0, |live| {
        canaries_share(&live.weights, route.stable_pool())
    });
    let nothing = Seen {
        is_required,
        standing: Comparison::NoData,
        is_open: false,
        no_harm: (0.0, 0.0),
        units: 0,
        harm: 0.0,
    };
    let Some(view) = guard else {
        return is_required.then_some(nothing);
    };
    let harm = view.metrics.iter().map(|metric| metric.log_evidence);
    let mut harm = harm.fold(0.0, f64::max);
    if view.state == "tripped" {
        // By the hard limit too, which leaves no evidence behind.
        let needed = view
            .metrics
            .first()
            .map_or(SUSPICION, |metric| metric.threshold);
        harm = harm.max(needed);
    }
    if (view.share - share).abs() > 1e-9 {
        return Some(Seen { harm, ..nothing });
    }
    Some(Seen {
        standing: match view.state {
            "ok" | "tripped" => Comparison::Comparing,
            "baseline_unhealthy" => Comparison::Frozen,
            _ => Comparison::NoData,
        },
        is_open: view.gate.open,
        no_harm: (view.gate.log_evidence, view.gate.threshold),
        units: view.gate.users,
        harm,
        ..nothing
    })
}

/// What is missing, in words.
pub(crate) fn words(missing: &[Missing]) -> Vec<String> {
    missing.iter().map(ToString::to_string).collect()
}

/// What `due` asks of control; `None` when it is not time.
pub(crate) const fn order(ramp: &LiveRamp, due: &Due) -> Option<RampOrder> {
    match due {
        Due::Wait(_) | Due::Held(_) => None,
        Due::Complete => Some(RampOrder::Complete(ramp.step)),
        Due::Step => Some(RampOrder::Next(ramp.step)),
    }
}

/// Why, for the history.
pub(crate) fn reason(ramp: &LiveRamp, order: RampOrder) -> String {
    let n_steps = ramp.plan.len();
    let next = match order {
        RampOrder::Next(step) => step + 1,
        _ => ramp.step,
    };
    let share = ramp
        .plan
        .get(next)
        .map_or(0.0, |step| f64::from(step.share) / 100.0);
    match order {
        RampOrder::Next(_) => format!("step {} of {n_steps}: {share} %", next + 1),
        _ => format!("step {} of {n_steps} was held for its time", next + 1),
    }
}
