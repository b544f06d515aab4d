//! Pools while they run: which target the next request gets, and what its outcome means for that target.
//!
//! Nothing here knows HTTP, connections or pingora: a request asks for a `Lease`, says how it went, and drops it.
//! The path of a request uses atomics only. A `Pool` has the shape of one file, and its members may be swapped while it
//! is in use; the state of its targets is shared with the pools of the files before and after it, so neither a reload
//! nor a change of members forgets anything or disturbs a lease.

mod balance;
mod budget;
mod ejection;
mod eligible;
pub mod health;
mod lease;
mod members;
mod registry;
mod roster;
mod rotation;
mod status;
mod tally;
mod target;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::broadcast;

use budget::Budget;
pub use ejection::EjectionCause;
use eligible::Eligible;
pub use lease::{Failure, Lease};
use members::{Member, Members};
pub use registry::Pools;
use rotation::Rotation;
pub use status::{TargetChange, TargetState, TargetStatus};

use target::{Clock, Target};

/// One group of targets, as one file shapes it.
#[derive(Debug)]
pub struct Pool {
    name: Arc<str>,
    settings: Arc<config::model::Pool>,
    check: Option<Arc<config::health::Check>>,
    /// Members that the file itself names.
    written: Box<[config::snapshot::Target]>,
    members: ArcSwap<Members>,
    ejection: ejection::Rule,
    outliers: Option<ejection::Outliers>,
    slow_start: u64,
    shared: Arc<Shared>,
}

/// What all shapes of a pool share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    in_flight: AtomicU32,
    /// Turns taken so far.
    turn: AtomicU64,
    /// Changes of targets' states so far.
    version: AtomicU64,
    /// Whether somebody is just looking who is eligible.
    looking: AtomicBool,
    ejecting: Mutex<()>,
    /// By cause.
    ejections: [AtomicU64; 3],
    /// When its targets were compared last.
    compared: AtomicU64,
    changes: broadcast::Sender<TargetChange>,
    checks: tally::Tally,
    budget: Budget,
}

/// Why a pool has no target for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The pool has no targets at all.
    Empty,
    /// It has as many requests as `max_requests` allows, or each of its targets as `max_requests_per_target` does.
    Full,
    /// No target is usable, or every usable one has been tried.
    Unhealthy,
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
        let members = self.members_at(now);
        let Eligible {
            rotation,
            condition,
            ..
        } = &members.eligible;
        let is_untried = |target: &Target| !tried.contains(&target.address);
        let is_usable = |target: &Target| target.usable(now) >= *condition && is_untried(target);
        // Where nobody is eligible there is nobody to look for.
        let best = |is_admitted: &dyn Fn(&Target) -> bool| {
            let from = self.shared.turn.load(Ordering::Relaxed);
            (rotation.len() > 0).then(|| members.best(from, is_admitted, now))?
        };
        self.lease(&members, now, is_untried, |is_admitted| {
            let is_candidate = |target: &Target| is_usable(target) && is_admitted(target);
            let next = self.next(&members, rotation, now, is_candidate);
            next.or_else(|| best(is_admitted))
        })
    }

    /// Any target not in `tried`, healthy or not: for the pool that must not give up (fail-open).
    pub fn pick_any(
        self: &Arc<Self>,
        tried: &[SocketAddr],
        now: Instant,
    ) -> Result<Lease, NoTarget> {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let is_untried = |target: &Target| !tried.contains(&target.address);
        self.lease(&members, now, is_untried, |is_admitted| {
            let next = self.next(&members, &members.rotation, now, is_admitted);
            next.or_else(|| members.targets().find(|target| is_admitted(target)))
        })
    }

    /// A request came that will be sent to the pool.
    pub fn arrived(&self, now: Instant) {
        self.shared.budget.arrived(self.shared.clock.at(now));
    }

    /// Takes a further try for a request that failed here, if the budget has one left.
    pub fn take_retry(&self, now: Instant) -> bool {
        let now = self.shared.clock.at(now);
        self.shared.budget.take(now, &self.settings.retry_budget)
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

    /// Whether its targets are checked.
    pub fn is_checked(&self) -> bool {
        self.check.is_some()
    }

    /// How many checks of its targets came out how, since the pool is there.
    pub fn checks(&self) -> [(&'static str, u64); tally::RESULTS] {
        self.shared.checks.counted()
    }

    /// Every target and how it is: members, those that drain, and those that the operator left out.
    pub fn status(&self, now: Instant) -> Vec<TargetStatus> {
        let now = self.shared.clock.at(now);
        status::all(&self.members.load(), now, &self.shared.clock)
    }

    /// The members of this moment. Who is eligible is looked up anew when that is due, by one request at a time: it
    /// looks at every target, and is the one allocation on the path of a request; the others go on with what they have.
    fn members_at(&self, now: u64) -> Guard<Arc<Members>> {
        let members = self.members.load();
        let version = self.shared.version();
        if !members.eligible.is_stale(version, now)
            || self.shared.looking.swap(true, Ordering::Acquire)
        {
            return members;
        }
        let looked_at = Arc::new(members.looked_at(version, now));
        // If the members were swapped meanwhile, those are looked at already.
        self.members.compare_and_swap(&members, looked_at);
        self.shared.looking.store(false, Ordering::Release);
        self.members.load()
    }

    /// The target that comes next in `rotation` among those that `is_candidate` admits.
    fn next<'a>(
        &self,
        members: &'a Members,
        rotation: &Rotation,
        now: u64,
        is_candidate: impl Fn(&Target) -> bool,
    ) -> Option<&'a Arc<Target>> {
        let takes = |position: usize| {
            let target = &members.active[position].target;
            is_candidate(target) && target.takes_turn(now, self.slow_start)
        };
        let busier = |one: usize, other: usize| {
            let [one, other] = [one, other].map(|position| &members.active[position]);
            let part = |member: &Member| {
                u64::from(member.weight) * u64::from(member.target.permille(now, self.slow_start))
            };
            let in_flight =
                |member: &Member| u64::from(member.target.in_flight.load(Ordering::Relaxed));
            in_flight(one) * part(other) > in_flight(other) * part(one)
        };
        let turn = &self.shared.turn;
        let next = balance::next(self.settings.balance, rotation, turn, takes, busier);
        next.map(|position| &members.active[position].target)
    }

    /// A place at one of the targets that are untried and have room, of which `choose` chooses one.
    fn lease<'a>(
        self: &Arc<Self>,
        members: &'a Members,
        now: u64,
        is_untried: impl Fn(&Target) -> bool,
        choose: impl Fn(&dyn Fn(&Target) -> bool) -> Option<&'a Arc<Target>>,
    ) -> Result<Lease, NoTarget> {
        let limit = self.settings.max_requests;
        let before = self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        if limit > 0 && before >= limit {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(NoTarget::Full);
        }
        let each = self.settings.max_requests_per_target;
        let is_admitted = |target: &Target| is_untried(target) && target.has_room(each);
        while let Some(target) = choose(&is_admitted) {
            // Somebody else may have taken the last place meanwhile; then there is one target less to choose from.
            if target.enter(each) {
                return Ok(Lease {
                    pool: Arc::clone(self),
                    target: Arc::clone(target),
                    started: now,
                });
            }
        }
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if members.active.is_empty() {
            return Err(NoTarget::Empty);
        }
        let is_full = each > 0 && choose(&is_untried).is_some();
        Err(if is_full {
            NoTarget::Full
        } else {
            NoTarget::Unhealthy
        })
    }

    /// Tells whoever listens if the state of `target`, a member, is another than the one told last.
    fn announce(&self, target: &Target, now: u64) {
        let members = self.members.load();
        let member = members
            .active
            .iter()
            .find(|member| member.address() == target.address);
        if let Some(member) = member {
            self.tell(member, now);
        }
    }

    fn tell(&self, member: &Member, now: u64) {
        if member.target.announces(status::state(member, now)) {
            self.send(status::of(member, now, &self.shared.clock));
        }
    }

    fn send(&self, status: TargetStatus) {
        self.shared.version.fetch_add(1, Ordering::AcqRel);
        // Nobody listening is no fault.
        let _ = self.shared.changes.send(TargetChange {
            pool: Arc::clone(&self.name),
            status,
        });
    }
}

impl Shared {
    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
