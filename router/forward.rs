//! Which target serves a request: the first pick, a further try, and when stable serves in a canary's place.
//!
//! Plain values only: a second adapter can carry its requests by the same rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use config::ids::PoolId;
use config::model::Failover;

use crate::pool::{Lease, NoTarget, Pool};
use crate::record::Cause;

/// The way of one request through the pools of its route.
#[derive(Debug)]
pub struct Journey {
    chosen: PoolId,
    serving: PoolId,
    stable: PoolId,
    failover: Failover,
    tried: Vec<SocketAddr>,
    tries_here: u8,
    attempts: u8,
    failed: Option<Cause>,
}

impl Journey {
    /// A request that was decided to go to `chosen`, in a route with this stable pool and this way to fail over.
    pub const fn new(chosen: PoolId, stable: PoolId, failover: Failover) -> Self {
        Self {
            chosen,
            serving: chosen,
            stable,
            failover,
            tried: Vec::new(),
            tries_here: 0,
            attempts: 0,
            failed: None,
        }
    }

    /// The pool that serves, or last tried to.
    pub const fn serving(&self) -> PoolId {
        self.serving
    }

    /// The pool first chosen, when another one serves in its place.
    pub fn switched_from(&self) -> Option<PoolId> {
        (self.serving != self.chosen).then_some(self.chosen)
    }

    /// Targets tried so far.
    pub const fn attempts(&self) -> u8 {
        self.attempts
    }

    /// The next target. An error is the request's end.
    pub fn next(&mut self, pools: &[Arc<Pool>], now: Instant) -> Result<Lease, Cause> {
        loop {
            match self.pick(pools, now) {
                Ok(lease) => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.tries_here = self.tries_here.saturating_add(1);
                    return Ok(lease);
                }
                Err(_) if self.fail_over() => {}
                Err(cause) => return Err(self.failed.unwrap_or(cause)),
            }
        }
    }

    /// No connection to `target`, so nothing was sent; whether another target may be tried.
    pub fn connect_failed(&mut self, target: SocketAddr, cause: Cause, retries: u8) -> bool {
        self.tried.push(target);
        self.failed = Some(cause);
        self.tries_here <= retries || self.fail_over()
    }

    /// A stable pool without a healthy target fails open over all of its targets, as an ALB does.
    fn pick(&self, pools: &[Arc<Pool>], now: Instant) -> Result<Lease, Cause> {
        let pool = &pools[usize::from(self.serving.0)];
        match pool.pick(&self.tried, now) {
            Err(NoTarget::Unhealthy) if self.serving == self.stable => {
                pool.pick_any(&self.tried, now).map_err(|_| Cause::NoTarget)
            }
            Err(NoTarget::Full) => Err(Cause::PoolFull),
            picked => picked.map_err(|_| Cause::NoTarget),
        }
    }

    fn fail_over(&mut self) -> bool {
        if self.serving == self.stable || self.failover == Failover::None {
            return false;
        }
        self.serving = self.stable;
        self.tries_here = 0;
        true
    }
}
