//! Series of guards and ramps.

use std::sync::Arc;

use super::family::Family;
use super::measure::{Counter, Gauge, Ratio};
use super::own::Own;

/// What trips without evidence.
const HARD_LIMIT: &str = "hard_limit";
/// What a spent budget trips by.
const BUDGET: [&str; 2] = ["budget_extra_errors", "budget_users"];

pub(super) struct Guards {
    evidence: Arc<Family<Ratio>>,
    state: Arc<Family<Gauge>>,
    trips: Arc<Family<Counter>>,
    ramp_step: Arc<Family<Gauge>>,
}

/// What the guard of a route says.
#[derive(Clone, Debug)]
pub struct Guarded<'a> {
    /// The route.
    pub route: &'a str,
    /// The word for its state.
    pub state: &'static str,
    /// Evidence of harm by metric.
    pub evidence: Vec<(&'static str, f64)>,
    /// Whether an attempt may cost no more than the file says.
    pub has_budget: bool,
}

impl Guards {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            evidence: own.ratios(
                "kanaria_guard_log_evidence",
                "Evidence of harm by a route's canaries, in nats.",
                &["route", "metric"],
            ),
            state: own.gauges(
                "kanaria_guard_state",
                "What a route's guard can say: 0 no data, 1 ok, 2 baseline unhealthy, 3 tripped.",
                &["route"],
            ),
            trips: own.counters(
                "kanaria_guard_trips_total",
                "Times that there was enough evidence of harm by a route's canaries, or that a budget was spent.",
                &["route", "metric"],
            ),
            ramp_step: own.gauges(
                "kanaria_ramp_step",
                "Step of a route's ramp, from 1; 0 before its first start.",
                &["route"],
            ),
        }
    }

    pub(super) fn set_ramps<'a>(&self, steps: impl Iterator<Item = (&'a str, usize)>) {
        self.ramp_step.reset();
        for (route, step) in steps {
            self.ramp_step.of(&[route]).set(step as i64);
        }
    }

    pub(super) fn set<'a>(&self, guarded: impl Iterator<Item = Guarded<'a>>) {
        self.evidence.reset();
        self.state.reset();
        for Guarded {
            route,
            state,
            evidence,
            has_budget,
        } in guarded
        {
            self.state.of(&[route]).set(number(state));
            for (metric, log_evidence) in evidence {
                let gauge = self.evidence.of(&[route, metric]);
                gauge.set(log_evidence);
                self.trips.of(&[route, metric]);
            }
            // All are there from the start, so that the first trip is seen as a rise.
            let others = BUDGET.iter().filter(|_| has_budget).chain([&HARD_LIMIT]);
            for cause in others {
                self.trips.of(&[route, cause]);
            }
        }
    }

    pub(super) fn tripped(&self, route: &str, metric: &str) {
        self.trips.of(&[route, metric]).inc();
    }
}

fn number(state: &str) -> i64 {
    match state {
        "ok" => 1,
        "baseline_unhealthy" => 2,
        "tripped" => 3,
        _ => 0,
    }
}
