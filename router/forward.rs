//! Which target serves a request: the first pick, a further try, and when stable serves in a canary's place, because
//! the canary has as much as it may have or cannot serve.
//!
//! Plain values only: a second adapter can carry its requests by the same rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use config::decision::Reason;
use config::ids::PoolId;
use config::model::Failover;

use crate::cap::{Cap, Pass};
use crate::pool::{Lease, NoTarget, Pool};
use crate::record::Cause;

/// The way of one request through the pools of its route.
#[derive(Debug)]
pub struct Journey {
    chosen: PoolId,
    serving: PoolId,
    stable: PoolId,
    failover: Failover,
    cap: Option<Arc<Cap>>,
    pass: Option<Pass>,
    stood_in: Option<Reason>,
    tried: Vec<SocketAddr>,
    tries_here: u8,
    attempts: u8,
    failed: Option<Cause>,
}

/// Why the serving pool cannot take the request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// It is a canary, and has as much as the route lets it have.
    Capped,
    /// It has as many requests as it may.
    Full,
    /// It has no target for the request.
    NoTarget,
}

impl Journey {
    /// A request that was decided to go to `chosen`, in a route with this stable pool and this way to fail over, which
    /// bounds `chosen` by `cap`.
    pub const fn new(
        chosen: PoolId,
        stable: PoolId,
        failover: Failover,
        cap: Option<Arc<Cap>>,
    ) -> Self {
        Self {
            chosen,
            serving: chosen,
            stable,
            failover,
            cap,
            pass: None,
            stood_in: None,
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

    /// Why another pool serves than the one first chosen; `None` when none does.
    pub const fn stood_in(&self) -> Option<Reason> {
        self.stood_in
    }

    /// Targets tried so far.
    pub const fn attempts(&self) -> u8 {
        self.attempts
    }

    /// The next target. An error is the request's end.
    pub fn next(&mut self, pools: &[Arc<Pool>], now: Instant) -> Result<Lease, Cause> {
        loop {
            let picked = if self.may_enter(now) {
                self.pick(pools, now)
            } else {
                Err(Miss::Capped)
            };
            match picked {
                Ok(lease) => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.tries_here = self.tries_here.saturating_add(1);
                    return Ok(lease);
                }
                Err(miss) if self.step_aside(miss) => {}
                Err(miss) => return Err(self.failed.unwrap_or_else(|| miss.cause())),
            }
        }
    }

    /// No connection to `target`, so nothing was sent; whether another target may be tried.
    pub fn connect_failed(&mut self, target: SocketAddr, cause: Cause, retries: u8) -> bool {
        self.tried.push(target);
        self.failed = Some(cause);
        self.tries_here <= retries || self.fail_over()
    }

    /// The cap comes before the pick: a canary without a target has used what was let through to it, too.
    fn may_enter(&mut self, now: Instant) -> bool {
        match (&self.cap, &self.pass) {
            (None, _) => true,
            (Some(cap), Some(_)) => cap.again(now),
            (Some(cap), None) => {
                self.pass = cap.enter(now);
                self.pass.is_some()
            }
        }
    }

    /// A stable pool without a healthy target fails open over all of its targets, as an ALB does.
    fn pick(&self, pools: &[Arc<Pool>], now: Instant) -> Result<Lease, Miss> {
        let pool = &pools[usize::from(self.serving.0)];
        match pool.pick(&self.tried, now) {
            Err(NoTarget::Unhealthy) if self.serving == self.stable => {
                pool.pick_any(&self.tried, now).map_err(Miss::from)
            }
            picked => picked.map_err(Miss::from),
        }
    }

    /// Whether stable takes the request instead. A canary that fails is charged for it; one that has enough is not.
    fn step_aside(&mut self, miss: Miss) -> bool {
        match miss {
            _ if self.failed.is_some() => self.fail_over(),
            // The cap says how much the canary is to get, not what happens when it fails.
            Miss::Capped => self.hand_over(Reason::Cap),
            Miss::Full => self.failover == Failover::Stable && self.hand_over(Reason::Cap),
            Miss::NoTarget => self.fail_over(),
        }
    }

    fn fail_over(&mut self) -> bool {
        self.failover == Failover::Stable && self.hand_over(Reason::Failover)
    }

    fn hand_over(&mut self, reason: Reason) -> bool {
        if self.serving == self.stable {
            return false;
        }
        self.serving = self.stable;
        self.stood_in = Some(reason);
        self.tries_here = 0;
        (self.cap, self.pass) = (None, None);
        true
    }
}

impl Miss {
    const fn cause(self) -> Cause {
        match self {
            Self::Capped | Self::Full => Cause::PoolFull,
            Self::NoTarget => Cause::NoTarget,
        }
    }
}

impl From<NoTarget> for Miss {
    fn from(why: NoTarget) -> Self {
        match why {
            NoTarget::Full => Self::Full,
            NoTarget::Empty | NoTarget::Unhealthy => Self::NoTarget,
        }
    }
}

#[cfg(test)]
mod tests;
