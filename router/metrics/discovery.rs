//! Series of pools that find their targets: how old that is, and how often it failed.

use std::sync::Arc;
use std::time::Duration;

use super::family::Family;
use super::measure::{Counter, Ratio};
use super::own::Own;

pub(super) struct Discovery {
    failures: Arc<Family<Counter>>,
    age: Arc<Family<Ratio>>,
}

impl Discovery {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            failures: own.counters(
                "kanaria_discovery_failures_total",
                "Failed tries to find the targets of a pool.",
                &["pool"],
            ),
            age: own.ratios(
                "kanaria_discovery_age_seconds",
                "Time since the last good answer about the targets of a pool.",
                &["pool"],
            ),
        }
    }

    /// Pool, failures so far, age. Pools that are gone have no series any more.
    pub(super) fn set<'a>(&self, found: impl Iterator<Item = (&'a str, u64, Duration)>) {
        self.failures.reset();
        self.age.reset();
        for (pool, failures, age) in found {
            self.failures.of(&[pool]).inc_by(failures);
            self.age.of(&[pool]).set(age.as_secs_f64());
        }
    }
}
