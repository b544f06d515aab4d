//! What the guard of a route has seen from one change to the next, summed up from what was written down.

use std::io;
use std::path::Path;

use canary::guard::{GateTerms, Metric, Rules, Taken, WINDOW_S};

use super::FOLDER;
use super::ledger::{self, Line};
use crate::control::{Account, HarmView, Sides, SumView};

/// Sums up what is in `state_dir` of `route`, by stages that began at `starts_ms`, which rise; milliseconds since 1970.
///
/// # Errors
/// When a file that is there cannot be read.
pub fn account(state_dir: &Path, route: &str, starts_ms: &[u64]) -> io::Result<Account> {
    let folder = state_dir.join(FOLDER);
    let mut account = Account {
        since_ms: None,
        stages: vec![SumView::default(); starts_ms.len()],
        trips: Vec::new(),
    };
    let mut rules = None;
    for path in ledger::paths(&folder, route) {
        for line in ledger::lines(&path)? {
            take(&mut account, &mut rules, starts_ms, line);
        }
    }
    Ok(account)
}

fn take(account: &mut Account, rules: &mut Option<Rules>, starts_ms: &[u64], line: Line) {
    let begin_ms = |window: u64| window * WINDOW_S * 1000;
    match line {
        Line::State {
            window, evidence, ..
        } => {
            account.since_ms.get_or_insert_with(|| begin_ms(window));
            *rules = Some(evidence.rules);
        }
        Line::Trip { window, why, .. } => account.trips.push((begin_ms(window), why)),
        Line::Window { window, taken } => {
            // A window that a change falls into is of the stage before.
            let stage = starts_ms.partition_point(|start| *start <= begin_ms(window));
            let sum = stage
                .checked_sub(1)
                .and_then(|stage| account.stages.get_mut(stage));
            if let (Some(sum), Some(rules)) = (sum, &rules) {
                add(sum, rules, &taken);
            }
        }
    }
}

fn add(sum: &mut SumView, rules: &Rules, taken: &[(Metric, Taken)]) {
    sum.windows += 1;
    for (metric, taken) in taken {
        if *metric == Metric::Errors {
            let row = taken.window.rows.total();
            sum.users = sum.users + Sides::of(row.n_c, row.n_b);
            sum.bad = sum.bad + Sides::of(row.k_c, row.k_b);
        }
        let harm = HarmView {
            metric: metric.as_str(),
            log_evidence: taken.log_e,
            threshold: rules.terms(*metric).threshold(),
        };
        if sum.harm.is_none_or(|most| harm.part() > most.part()) {
            sum.harm = Some(harm);
        }
        if let Some(gate) = taken.gate {
            sum.no_harm = sum.no_harm.max(gate);
            sum.no_harm_threshold = GateTerms::default().threshold();
        }
    }
}

#[cfg(test)]
mod tests {
    use canary::guard::{Armed, Evidence, Guard, Observed, Units};

    use super::*;
    use crate::guard::watch::tests::rules;

    #[test]
    fn what_was_seen_is_summed_up_by_stage() {
        let state_dir = tempfile::tempdir().unwrap();
        let folder = state_dir.path().join(FOLDER);
        let mut guard = Guard::new(Evidence::new(rules()));
        let write = |line: Line| ledger::append(&folder, "web", &line).unwrap();
        write(Line::State {
            window: 10,
            revision: 1,
            evidence: Box::new(guard.evidence().clone()),
        });
        for window in 10..30u64 {
            let units = |from: u16, n: u16| (from..from + n).collect::<Units>();
            let first = window as u16 * 100;
            let observed = Observed {
                start_ms: window * 5_000,
                active: [units(first, 50), units(30_000 + first, 100)],
                errors: [units(first, 1), Units::default()],
                ..Observed::default()
            };
            let taken = guard.close(&observed, Armed::Yes).taken;
            write(Line::Window { window, taken });
        }
        write(Line::Trip {
            window: 30,
            revision: 2,
            why: "enough".into(),
        });
        // The second stage begins within window 14, the third has nothing yet.
        let account = account(state_dir.path(), "web", &[40_000, 72_000, 900_000]).unwrap();
        assert_eq!(account.since_ms, Some(50_000));
        assert_eq!(account.trips, [(150_000, "enough".to_owned())]);
        let windows: Vec<_> = account.stages.iter().map(|sum| sum.windows).collect();
        assert_eq!(windows, [5, 15, 0]);
        let first = &account.stages[0];
        assert_eq!((first.users.canary, first.users.stable), (250, 500));
        assert_eq!((first.bad.canary, first.bad.stable), (5, 0));
        let most = account.stages[1].harm.unwrap();
        assert!((most.log_evidence - guard.evidence().max_log_e()).abs() < 1.0);
    }

    #[test]
    fn without_evidence_the_stages_are_empty() {
        let state_dir = tempfile::tempdir().unwrap();
        let account = account(state_dir.path(), "web", &[1]).unwrap();
        assert_eq!((account.since_ms, account.stages[0].windows), (None, 0));
    }
}
