//! A request at its target: it is counted in and out, and its outcome may take the target out of the pool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::target::Target;
use super::{EjectionCause, NoTarget, Pool, Shared};

/// A request's place at a target; dropping it gives the place back.
#[derive(Debug)]
pub struct Lease {
    /// Counts the request for as long as it is here.
    target: Arc<Target>,
    started: u64,
    _place: Option<Place>,
    has_seat: bool,
}

/// A request's place among those that a pool may have at once; dropping it gives it back.
///
/// A pool without a limit gives none. One that gets a limit counts the requests that come from then on.
#[derive(Debug)]
pub(super) struct Place(Arc<Shared>);

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
    /// For a request that has its place in the pool, and a seat at `target` where `terms` limit those.
    /// Of `target` from `started` on; `has_seat` where the requests of a target are limited.
    pub(super) fn new(
        target: Arc<Target>,
        place: Option<Place>,
        has_seat: bool,
        started: u64,
    ) -> Self {
        Self {
            target,
            started,
            _place: place,
            has_seat,
        }
    }

    /// Where the request goes.
    pub fn address(&self) -> SocketAddr {
        self.target.address
    }

    /// Number of the target, which no other target of this process has or had.
    pub fn target(&self) -> u64 {
        self.target.id
    }
}

impl Place {
    /// One more, unless there are `most`.
    pub(super) fn take(shared: &Arc<Shared>, most: u32) -> Result<Self, NoTarget> {
        let before = shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(shared));
        if before < most {
            Ok(place)
        } else {
            Err(NoTarget::Full)
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.has_seat {
            self.target.leave_seat();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// The target of `lease`, which this pool gave, answered `status`, in full or at least its head. 502 to 504 count as
    /// a failure.
    pub fn succeeded(&self, lease: &Lease, status: u16) {
        if (502..=504).contains(&status) {
            return self.failed(lease, Failure::Status(status));
        }
        if self.outliers.is_some() {
            lease.target.count_request();
            if status >= 500 {
                lease.target.count_failed();
            }
        }
        if lease.target.succeeded(lease.started) {
            self.announce(&lease.target, lease.started);
        }
    }

    /// The request of `lease`, which this pool gave, failed at the target. Failures are rare enough to look at the clock
    /// here.
    pub fn failed(&self, lease: &Lease, failure: Failure) {
        self.failed_at(lease, failure, Instant::now());
    }

    pub(super) fn failed_at(&self, lease: &Lease, failure: Failure, now: Instant) {
        if self.outliers.is_some() {
            lease.target.count_request();
            lease.target.count_failed();
        }
        let Some(most) = self.ejection.failures() else {
            return;
        };
        let failures = lease.target.count_failure();
        let cause = match failure {
            Failure::Refused => EjectionCause::Refused,
            _ if failures >= most => EjectionCause::Failures,
            _ => return,
        };
        let now = self.shared.clock.at(now);
        self.eject(&lease.target, (now, now), cause);
    }
}
