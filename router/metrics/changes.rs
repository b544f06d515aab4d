//! Series of the live state and the file.

use std::sync::Arc;
use std::time::Duration;

use config::model::Role;
use config::snapshot::{Route, Snapshot, Structure};

use super::family::Family;
use super::measure::{Counter, Gauge};
use super::own::Own;
use super::times::Times;

/// What becomes of loading the file anew.
const RELOADS: [&str; 4] = ["applied", "held", "refused", "unchanged"];

pub(super) struct Changes {
    in_force: Arc<Times>,
    revision: Arc<Gauge>,
    config_info: Arc<Family<Gauge>>,
    reloads: Arc<Family<Counter>>,
    rollbacks: Arc<Family<Counter>>,
}

impl Changes {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            in_force: own
                .times(
                    "kanaria_change_in_force_seconds",
                    "From a change being asked for to the last request decided without it being on its way.",
                    &[],
                    Times::of_changes,
                )
                .of(&[]),
            revision: own.gauge("kanaria_revision", "Number of the live state in force."),
            config_info: own.gauges(
                "kanaria_config_info",
                "The configuration in force.",
                &["digest"],
            ),
            reloads: reloads(own),
            rollbacks: own.counters(
                "kanaria_rollbacks_total",
                "Returns of a route to its stable pool.",
                &["route", "actor"],
            ),
        }
    }

    /// `snapshot` is in force.
    pub(super) fn published(&self, snapshot: &Snapshot) {
        self.revision.set(snapshot.revision as i64);
        self.config_info.reset();
        let digest = &*snapshot.structure.digest;
        self.config_info.of(&[digest]).set(1);
    }

    pub(super) fn in_force(&self, time: Duration) {
        self.in_force.observe(time);
    }

    pub(super) fn reloaded(&self, result: &str) {
        self.reloads.of(&[result]).inc();
    }

    pub(super) fn rolled_back(&self, route: &str, actor: &str) {
        self.rollbacks.of(&[route, actor]).inc();
    }

    /// Shows who of `actors` and a guard may roll `route` back.
    pub(super) fn show(&self, route: &Route, actors: &[String]) {
        let guard = route.settings.guard.is_some().then_some("guard");
        for actor in actors.iter().map(String::as_str).chain(guard) {
            self.rollbacks.of(&[&*route.name, actor]);
        }
    }
}

/// A counter for every result, at 0 from the start.
fn reloads(own: &Own) -> Arc<Family<Counter>> {
    let reloads = own.counters(
        "kanaria_reloads_total",
        "Attempts to load the file anew.",
        &["result"],
    );
    for result in RELOADS {
        reloads.of(&[result]);
    }
    reloads
}

/// Who may roll a route back, but for its guard: whoever needs no token, and tokens that may.
pub(super) fn actors(structure: &Structure) -> Vec<String> {
    let tokens = structure.admin.tokens.iter();
    let tokens = tokens.filter(|token| token.role >= Role::Operator);
    let tokens = tokens.map(|token| format!("token:{}", token.name));
    std::iter::once("local".to_owned()).chain(tokens).collect()
}
