//! Caps of canaries: how many requests a second, and how many at a time, a route lets each of its canaries have.
//!
//! Nothing here knows pools, HTTP or pingora, and nothing looks at a clock: a request says when it is and asks to enter.
//! What has been used is shared between the files before and after a reload, so that no change refills a bucket.

mod bucket;
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

pub use bucket::Bucket;
pub use registry::{Board, Caps};

/// What one route lets one of its canaries have.
#[derive(Debug)]
pub struct Cap {
    max_rps: u32,
    max_concurrent: u32,
    used: Arc<Used>,
}

/// What a canary has of its cap.
#[derive(Debug)]
struct Used {
    /// Start of the time that the bucket counts in.
    origin: Instant,
    bucket: Bucket,
    in_flight: AtomicU32,
}

/// A request's place under a cap; dropping it gives the place back.
#[derive(Debug)]
pub struct Pass(Arc<Used>);

impl Cap {
    /// Requests a second; 0 means no limit.
    pub const fn max_rps(&self) -> u32 {
        self.max_rps
    }

    /// Requests at a time; 0 means no limit.
    pub const fn max_concurrent(&self) -> u32 {
        self.max_concurrent
    }

    /// A place for one more request, which may be sent once; `None` when the canary is over its cap.
    pub fn enter(&self, now: Instant) -> Option<Pass> {
        let before = self.used.in_flight.fetch_add(1, Relaxed);
        // From here on the place goes back by itself.
        let pass = Pass(Arc::clone(&self.used));
        let has_room = self.max_concurrent == 0 || before < self.max_concurrent;
        (has_room && self.again(now)).then_some(pass)
    }

    /// Whether a request that has a place may be sent once more.
    pub fn again(&self, now: Instant) -> bool {
        self.max_rps == 0 || self.used.bucket.take(self.used.at(now), self.max_rps)
    }

    /// Requests that have a place.
    pub fn in_flight(&self) -> u32 {
        self.used.in_flight.load(Relaxed)
    }

    /// How many requests may be sent at once now, as far as `max_rps` goes; `None` without it.
    pub fn tokens(&self, now: Instant) -> Option<u32> {
        (self.max_rps > 0).then(|| self.used.bucket.tokens(self.used.at(now), self.max_rps))
    }
}

impl Used {
    fn at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_nanos() as u64
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
