//! What the keys of a scenario must mean together.

use jiff::Timestamp;

use super::{Harm, Scenario};
use crate::problem::{Fault, Path, Trail};
use crate::units::Duration;

/// The longest run: longer than any migration.
const LONGEST: Duration = Duration::seconds(400 * 86_400);

pub(super) fn faults(scenario: &Scenario) -> Vec<Fault> {
    let top = Trail::default();
    let mut faults = Vec::new();
    if let Err(error) = scenario.start.parse::<Timestamp>() {
        let message = format!(
            "{:?} is no moment: {error}; write one as \"2026-06-01T09:00:00+09:00\"",
            scenario.start
        );
        faults.push(top.key("start").fault(message));
    }
    if scenario.length > LONGEST {
        let message = format!("must be at most {LONGEST}, found {}", scenario.length);
        faults.push(top.key("length").fault(message));
    }
    let answers = &scenario.answers;
    let path = top.key("answers").path();
    faults.extend(too_many(&path, answers.errors, answers.client_errors));
    for (position, bot) in scenario.bots.iter().enumerate() {
        let path = top.key("bots").index(position).path();
        faults.extend(too_many(&path, bot.errors, bot.client_errors));
    }
    for (position, harm) in scenario.harm.iter().enumerate() {
        let path = top.key("harm").index(position).path();
        faults.extend(too_many(&path, harm.errors, harm.client_errors));
        if does_nothing(harm) {
            let message = "does no harm: give it one of `errors`, `client_errors`, `slower`, `down` and `probe_fails`";
            faults.push(path.fault(message));
        }
    }
    faults
}

fn too_many(path: &Path, errors: f64, client_errors: f64) -> Option<Fault> {
    let message = || {
        format!(
            "errors {errors} and client_errors {client_errors} are parts of the same requests: together at most 1"
        )
    };
    (errors + client_errors > 1.0).then(|| path.fault(message()))
}

fn does_nothing(harm: &Harm) -> bool {
    let hits = harm.errors > 0.0 || harm.client_errors > 0.0 || harm.slower != 1.0;
    !harm.down && !harm.probe_fails && !hits
}
