//! Series of cookies: conflicts between pools, names sent twice, parts of pages that may not fit, answers for caches.

use std::sync::Arc;

use super::family::Family;
use super::measure::{Counter, Gauge};
use super::own::Own;

pub(super) struct Cookies {
    conflicts: Arc<Family<Gauge>>,
    twice: Arc<Family<Counter>>,
    skew: Arc<Family<Counter>>,
    cacheable: Arc<Family<Counter>>,
}

/// What is seen of the cookies of one route.
#[derive(Clone, Debug)]
pub struct Sighted<'a> {
    /// The route.
    pub route: &'a str,
    /// Conflicts between its pools.
    pub conflicts: usize,
    /// Requests with a cookie that was sent more than once.
    pub twice: u64,
    /// Parts of pages that may have come from another pool, by cause.
    pub skew: Vec<(&'static str, u64)>,
    /// Answers for shared caches, by pool.
    pub cacheable: Vec<(&'a str, u64)>,
}

impl Cookies {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            conflicts: own.gauges(
                "kanaria_cookie_conflicts",
                "Cookies with which two pools of a route get into each other's way.",
                &["route"],
            ),
            twice: own.counters(
                "kanaria_cookie_duplicates_total",
                "Requests with a cookie that was sent more than once.",
                &["route"],
            ),
            skew: own.counters(
                "kanaria_skew_total",
                "Requests of a page of the same host that may not fit it, because the client's own pool did not serve them, or it has none.",
                &["route", "cause"],
            ),
            cacheable: own.counters(
                "kanaria_cacheable_total",
                "Answers marked for shared caches to clients that were placed by their bucket or pin.",
                &["route", "pool"],
            ),
        }
    }

    /// Everything is counted elsewhere; these are copies, from 0 on.
    pub(super) fn set<'a>(&self, sighted: impl Iterator<Item = Sighted<'a>>) {
        self.conflicts.reset();
        for counters in [&self.twice, &self.skew, &self.cacheable] {
            counters.reset();
        }
        for seen in sighted {
            let route = seen.route;
            let conflicts = self.conflicts.of(&[route]);
            conflicts.set(seen.conflicts as i64);
            self.twice.of(&[route]).inc_by(seen.twice);
            for (cause, n) in seen.skew {
                self.skew.of(&[route, cause]).inc_by(n);
            }
            for (pool, n) in seen.cacheable {
                self.cacheable.of(&[route, pool]).inc_by(n);
            }
        }
    }
}
