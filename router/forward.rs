//! Which target serves a request: the first pick, a further try, when stable serves in a canary's place, because the
//! canary has as much as it may have or cannot serve, and which pool is asked next when one has not what is asked for.
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
use crate::record::{Cause, Retried, Retry};

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
    shunned: Option<SocketAddr>,
    tries_here: u8,
    attempts: u8,
    failed: Option<Failed>,
    fails_open: bool,
    /// How many pools of the route's `fallback` are behind it.
    fallen: u8,
    retries: Vec<Retry>,
}

/// How the last try went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed {
    cause: Cause,
    /// There was a connection, so the target may know the request.
    was_sent: bool,
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
    /// The request may not be tried here once more.
    Spent,
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
            shunned: None,
            tries_here: 0,
            attempts: 0,
            failed: None,
            fails_open: false,
            fallen: 0,
            retries: Vec::new(),
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

    /// Whether the last try went to a target in spite of its health, because the pool has no healthy one.
    pub const fn fails_open(&self) -> bool {
        self.fails_open
    }

    /// Further tries so far, made or denied; they are the caller's from now on.
    pub fn take_retries(&mut self) -> Vec<Retry> {
        std::mem::take(&mut self.retries)
    }

    /// The next target. An error is the request's end.
    pub fn next(&mut self, pools: &[Arc<Pool>], now: Instant) -> Result<Lease, Cause> {
        loop {
            let pool = &pools[usize::from(self.serving.0)];
            match self.try_here(pool, now) {
                Ok(lease) => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.tries_here = self.tries_here.saturating_add(1);
                    return Ok(lease);
                }
                Err(miss) if self.step_aside(miss) => {}
                Err(miss) => return Err(self.last_word(miss, pool, now)),
            }
        }
    }

    /// No connection to `target`, so nothing was sent: whatever the request is, another target may be asked for.
    pub fn connect_failed(&mut self, target: SocketAddr, cause: Cause) {
        self.tried.push(target);
        self.failed = Some(Failed {
            cause,
            was_sent: false,
        });
    }

    /// The connection to `target` died under a request that may be sent twice; rather to another target, but it may be
    /// the only one, and may only have closed a connection that had been idle.
    pub fn broke(&mut self, target: SocketAddr, cause: Cause) {
        self.shunned = Some(target);
        self.failed = Some(Failed {
            cause,
            was_sent: true,
        });
    }

    /// The target has answered the last try.
    pub fn answered(&mut self) {
        if self.tries_here > 1
            && let Some(retry) = self.retries.last_mut()
        {
            retry.result = Retried::Answered;
        }
    }

    /// The target has not what is asked for: whether the next of `fallback` is asked, which has a healthy target and was not
    /// asked yet. Nobody is charged, and nobody stands in for it in turn.
    pub fn fall_back(&mut self, fallback: &[PoolId], pools: &[Arc<Pool>], now: Instant) -> bool {
        while let Some(next) = fallback.get(usize::from(self.fallen)) {
            self.fallen += 1;
            let is_asked = *next == self.chosen || *next == self.serving;
            if !is_asked && pools[usize::from(next.0)].healthy(now).0 > 0 {
                self.go_to(*next, Reason::Fallback);
                self.failover = Failover::None;
                self.tried.clear();
                (self.failed, self.fails_open) = (None, false);
                return true;
            }
        }
        false
    }

    fn try_here(&mut self, pool: &Arc<Pool>, now: Instant) -> Result<Lease, Miss> {
        if self.tries_here > pool.settings().retries || self.waited_in_vain() {
            return Err(Miss::Spent);
        }
        if !self.may_enter(now) {
            return Err(Miss::Capped);
        }
        let lease = self.pick(pool, now)?;
        match self.failed {
            Some(failed) if self.tries_here > 0 => self.try_again(pool, failed.cause, now)?,
            _ => pool.arrived(now),
        }
        Ok(lease)
    }

    /// A pool without a healthy target is tried for as long as one connect may take, no longer.
    fn waited_in_vain(&self) -> bool {
        let timed_out = |failed: Failed| failed.cause == Cause::ConnectTimeout;
        self.fails_open && self.failed.is_some_and(timed_out)
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
    fn pick(&mut self, pool: &Arc<Pool>, now: Instant) -> Result<Lease, Miss> {
        if let Some(shunned) = self.shunned.take() {
            self.tried.push(shunned);
            let other = pool.pick(&self.tried, now);
            self.tried.pop();
            if let Ok(lease) = other {
                return Ok(lease);
            }
        }
        match pool.pick(&self.tried, now) {
            Err(NoTarget::Unhealthy) if self.serving == self.stable => {
                let lease = pool.pick_any(&self.tried, now)?;
                self.fails_open = true;
                Ok(lease)
            }
            picked => picked.map_err(Miss::from),
        }
    }

    /// What all requests together may try again is the pool's to say.
    fn try_again(&mut self, pool: &Pool, cause: Cause, now: Instant) -> Result<(), Miss> {
        let is_granted = pool.take_retry(now);
        self.retries.push(Retry {
            pool: self.serving,
            cause,
            result: if is_granted {
                Retried::Failed
            } else {
                Retried::Denied
            },
        });
        is_granted.then_some(()).ok_or(Miss::Spent)
    }

    /// Whether stable takes the request instead. A canary that fails is charged for it; one that has enough is not.
    fn step_aside(&mut self, miss: Miss) -> bool {
        match (miss, self.failed) {
            // The target may know the request, and the canary has others: this is no failover.
            (Miss::Spent, Some(failed)) if failed.was_sent => false,
            (_, Some(_)) | (Miss::NoTarget | Miss::Spent, None) => self.fail_over(),
            // The cap says how much the canary is to get, not what happens when it fails.
            (Miss::Capped, None) => self.hand_over(Reason::Cap),
            (Miss::Full, None) => self.failover == Failover::Stable && self.hand_over(Reason::Cap),
        }
    }

    fn fail_over(&mut self) -> bool {
        self.failover == Failover::Stable && self.hand_over(Reason::Failover)
    }

    fn hand_over(&mut self, reason: Reason) -> bool {
        if self.serving == self.stable {
            return false;
        }
        self.go_to(self.stable, reason);
        true
    }

    fn go_to(&mut self, pool: PoolId, reason: Reason) {
        self.serving = pool;
        self.stood_in = Some(reason);
        self.tries_here = 0;
        (self.cap, self.pass) = (None, None);
    }

    /// Why the request ends. That stable has no healthy target is said as such (503), not as the last of the connects
    /// that were tried all the same.
    fn last_word(&self, miss: Miss, pool: &Pool, now: Instant) -> Cause {
        match self.failed {
            None => miss.cause(),
            Some(failed) if failed.was_sent || self.serving != self.stable => failed.cause,
            Some(_) if self.fails_open || pool.healthy(now).0 == 0 => Cause::NoTarget,
            Some(failed) => failed.cause,
        }
    }
}

impl Miss {
    const fn cause(self) -> Cause {
        match self {
            Self::Capped | Self::Full => Cause::PoolFull,
            Self::NoTarget | Self::Spent => Cause::NoTarget,
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
