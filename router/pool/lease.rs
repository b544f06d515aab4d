//! A request at its target: it is counted in and out, and its outcome may take the target out of the pool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::target::Target;
use super::{EjectionCause, Pool};

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

    /// Number of the target, which no other target of this process has or had.
    pub fn target(&self) -> u64 {
        self.target.id
    }

    /// The target answered `status`, in full or at least its head. 502 to 504 count as a failure.
    pub fn succeeded(&self, status: u16) {
        if (502..=504).contains(&status) {
            return self.failed(Failure::Status(status));
        }
        if self.pool.outliers.is_some() {
            self.target.count_request();
            if status >= 500 {
                self.target.count_failed();
            }
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
        if self.pool.outliers.is_some() {
            self.target.count_request();
            self.target.count_failed();
        }
        let Some(most) = self.pool.ejection.failures() else {
            return;
        };
        let failures = self.target.count_failure();
        let cause = match failure {
            Failure::Refused => EjectionCause::Refused,
            _ if failures >= most => EjectionCause::Failures,
            _ => return,
        };
        let now = self.pool.shared.clock.at(now);
        self.pool.eject(&self.target, (now, now), cause);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.pool.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
