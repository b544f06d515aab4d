//! Pools while they run: which target the next request gets, and what its outcome means for that target.
//!
//! Nothing here knows HTTP, connections or pingora: a request asks for a `Lease`, says how it went, and drops it.
//! The path of a request uses atomics only. A `Pool` has the shape of one file, and its members may be swapped while it
//! is in use; the state of its targets is shared with the pools of the files before and after it, so neither a reload
//! nor a change of members forgets anything or disturbs a lease.

mod balance;
mod ejection;
pub mod health;
mod members;
mod registry;
mod roster;
mod status;
mod target;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

use members::Members;
pub use registry::Pools;
pub use status::{TargetChange, TargetState, TargetStatus};

use target::{Clock, Target, Use};

/// One group of targets, as one file shapes it.
#[derive(Debug)]
pub struct Pool {
    name: Arc<str>,
    settings: Arc<config::model::Pool>,
    /// Members that the file itself names.
    written: Box<[config::snapshot::Target]>,
    members: ArcSwap<Members>,
    ejection: ejection::Rule,
    slow_start: u64,
    shared: Arc<Shared>,
}

/// What all shapes of a pool share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    in_flight: AtomicU32,
    rotation: AtomicU64,
    ejecting: Mutex<()>,
    changes: broadcast::Sender<TargetChange>,
}

/// Why a pool has no target for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The pool has no targets at all.
    Empty,
    /// It has as many requests as `max_requests` allows.
    Full,
    /// No target is usable, or every usable one has been tried.
    Unhealthy,
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

/// A request's place at a target; dropping it gives the place back.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    target: Arc<Target>,
    started: u64,
}

impl Pool {
    /// Name in the file, logs and metrics.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// All keys as written, with defaults.
    pub fn settings(&self) -> &Arc<config::model::Pool> {
        &self.settings
    }

    /// A target for a request that has tried `tried` already: a healthy one, or else one without a first check result.
    ///
    /// A tried target is never picked again. Drop the lease of a failed try before asking for the next one.
    pub fn pick(self: &Arc<Self>, tried: &[SocketAddr], now: Instant) -> Result<Lease, NoTarget> {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let best = members
            .targets()
            .filter(|target| !tried.contains(&target.address))
            .map(|target| target.usable(now))
            .max();
        match best {
            None if members.active.is_empty() => Err(NoTarget::Empty),
            None | Some(Use::Out) => Err(NoTarget::Unhealthy),
            Some(best) => self.lease(&members, now, |target| {
                !tried.contains(&target.address) && target.usable(now) == best
            }),
        }
    }

    /// Any target not in `tried`, healthy or not: for the pool that must not give up (fail-open).
    pub fn pick_any(
        self: &Arc<Self>,
        tried: &[SocketAddr],
        now: Instant,
    ) -> Result<Lease, NoTarget> {
        let members = self.members.load();
        if members.active.is_empty() {
            return Err(NoTarget::Empty);
        }
        let now = self.shared.clock.at(now);
        self.lease(&members, now, |target| !tried.contains(&target.address))
    }

    /// Requests in flight at all targets.
    pub fn in_flight(&self) -> u32 {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// How many targets take requests, and how many members there are.
    pub fn healthy(&self, now: Instant) -> (usize, usize) {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let up = members.targets().filter(|target| target.up(now)).count();
        (up, members.active.len())
    }

    /// How many of today's targets took requests `ago` before `now`; looks back over one change of each target.
    pub fn healthy_before(&self, now: Instant, ago: Duration) -> usize {
        let then = self.shared.clock.before(now, ago);
        let members = self.members.load();
        members
            .targets()
            .filter(|target| target.was_up(then))
            .count()
    }

    /// Every target and how it is: members, those that drain, and those that the operator left out.
    pub fn status(&self, now: Instant) -> Vec<TargetStatus> {
        let now = self.shared.clock.at(now);
        status::all(&self.members.load(), now, &self.shared.clock)
    }

    fn lease(
        self: &Arc<Self>,
        members: &Members,
        now: u64,
        candidate: impl Fn(&Target) -> bool,
    ) -> Result<Lease, NoTarget> {
        let limit = self.settings.max_requests;
        let before = self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        if limit > 0 && before >= limit {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(NoTarget::Full);
        }
        let Some(member) = balance::choose(self, members, now, candidate) else {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(NoTarget::Unhealthy);
        };
        member.target.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Lease {
            pool: Arc::clone(self),
            target: Arc::clone(&member.target),
            started: now,
        })
    }

    /// Takes `target` out if the rule says so. Failures are rare, so this may lock.
    fn eject(&self, target: &Target, now: u64, refused: bool) {
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
    fn ramps_after_return(&self, members: &Members, target: &Target, now: u64) -> bool {
        self.slow_start > 0
            && members
                .targets()
                .filter(|other| other.address != target.address)
                .any(|other| other.up(now) && !other.ramping(now, self.slow_start))
    }

    /// Tells whoever listens if the state of `target`, a member, is another than the one told last.
    fn announce(&self, target: &Target, now: u64) {
        let members = self.members.load();
        let member = members
            .active
            .iter()
            .find(|member| member.address() == target.address);
        if let Some(member) = member {
            self.tell(status::of(member, now, &self.shared.clock), target);
        }
    }

    fn tell(&self, status: TargetStatus, target: &Target) {
        if target.announces(status.state) {
            // Nobody listening is no fault.
            let _ = self.shared.changes.send(TargetChange {
                pool: Arc::clone(&self.name),
                status,
            });
        }
    }
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

    fn failed_at(&self, failure: Failure, now: Instant) {
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

#[cfg(test)]
mod tests;
