//! A request at its target: it is counted in and out, and its outcome may take the target out of the pool.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Pool;
use super::members::Members;
use super::target::Target;

/// A request's place at a target; dropping it gives the place back.
#[derive(Debug)]
pub struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) target: Arc<Target>,
    pub(super) started: u64,
}

/// How a request failed at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It closed or reset the connection before its answer was complete.
    Closed,
    /// No connection, for another reason than a refusal.
    Connect,
    /// The connection was refused: nobody listens.
    Refused,
    /// It answered 502, 503 or 504.
    Status(u16),
    /// No connection or no answer in time.
    Timeout,
}

impl Lease {
    /// Where the request goes.
    pub fn address(&self) -> SocketAddr {
        self.target.address
    }

    /// The target answered `status`, in full or at least its head. 502 to 504 count as a failure.
    pub fn succeeded(&self, status: u16) {
        if (502..=504).contains(&status) {
            return self.failed(Failure::Status(status));
        }
        if self.target.succeeded(self.started) {
            self.pool.announce(&self.target, self.started);
        }
    }

    /// The request failed at the target. Failures are rare enough to look at the clock here.
    pub fn failed(&self, failure: Failure) {
        self.failed_at(failure, Instant::now());
    }

    pub(super) fn failed_at(&self, failure: Failure, now: Instant) {
        let rule = &self.pool.ejection;
        if !rule.on() {
            return;
        }
        let refused = failure == Failure::Refused;
        let failures = self.target.count_failure();
        if refused || failures >= rule.failures {
            let now = self.pool.shared.clock.at(now);
            self.pool.eject(&self.target, now, refused);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.pool.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// Takes `target` out if the rule says so. Failures are rare, so this may lock.
    pub(super) fn eject(&self, target: &Target, now: u64, refused: bool) {
        let _one_at_a_time = self
            .shared
            .ejecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if target.ejected(now) {
            return;
        }
        let members = self.members.load();
        let out = members.targets().filter(|t| t.ejected(now)).count();
        if !refused && !self.ejection.allows_one_more(out, members.active.len()) {
            return;
        }
        target.eject(now, &self.ejection, refused);
        if self.ramps_after_return(&members, target, now) {
            target.slow_from(target.ejected_until());
        }
        self.announce(target, now);
    }

    /// Whether slow start applies to `target` when it comes back: not when nobody else carries the load.
    pub(super) fn ramps_after_return(&self, members: &Members, target: &Target, now: u64) -> bool {
        self.slow_start > 0
            && members
                .targets()
                .filter(|other| other.address != target.address)
                .any(|other| other.up(now) && !other.ramping(now, self.slow_start))
    }
}
