//! Series of pools and their targets, set from the pools' own counts at each look.

use std::sync::Arc;
use std::time::Instant;

use super::family::Family;
use super::measure::{Counter, Gauge};
use super::own::Own;
use crate::pool::Pools;

pub(super) struct Targets {
    up: Arc<Family<Gauge>>,
    in_flight: Arc<Family<Gauge>>,
    ejections: Arc<Family<Counter>>,
    checks: Arc<Family<Counter>>,
}

impl Targets {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            up: own.gauges(
                "kanaria_target_up",
                "1 when a target takes requests, 0 when not.",
                &["pool", "target"],
            ),
            in_flight: own.gauges(
                "kanaria_requests_in_flight",
                "Requests that the targets of a pool have at the moment.",
                &["pool"],
            ),
            ejections: own.counters(
                "kanaria_ejections_total",
                "Targets left out for a while for what their requests met.",
                &["pool", "cause"],
            ),
            checks: own.counters(
                "kanaria_health_checks_total",
                "Health checks of a pool's targets, by what came of them.",
                &["pool", "result"],
            ),
        }
    }

    /// What `pools` say at `now`; what they no longer have has no series any more.
    pub(super) fn set(&self, pools: Option<&Pools>, now: Instant) {
        self.up.reset();
        self.in_flight.reset();
        self.ejections.reset();
        self.checks.reset();
        let Some(pools) = pools else {
            return;
        };
        for pool in pools.current().iter() {
            let name = &**pool.name();
            for (cause, n) in pool.ejections() {
                let labels = [name, cause.as_str()];
                self.ejections.of(&labels).inc_by(n);
            }
            let mut in_flight = 0;
            for target in pool.status(now) {
                in_flight += i64::from(target.in_flight);
                let up = i64::from(target.state.takes_requests());
                let labels = [name, &target.address.to_string()];
                self.up.of(&labels).set(up);
            }
            self.in_flight.of(&[name]).set(in_flight);
            for (result, n) in pool.checks().into_iter().filter(|_| pool.is_checked()) {
                self.checks.of(&[name, result]).inc_by(n);
            }
        }
    }
}
