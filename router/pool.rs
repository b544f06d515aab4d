//! Pools while they run: which target the next request gets, and what its outcome means for that target.
//!
//! Nothing here knows HTTP, connections or pingora: a request asks for a `Lease`, says how it went, and drops it.
//! The path of a request uses atomics only. A `Pool` has the shape of one file, and its members may be swapped while it
//! is in use; the state of its targets is shared with the pools of the files before and after it, so neither a reload
//! nor a change of members forgets anything or disturbs a lease.

mod balance;
mod budget;
mod current;
mod ejection;
mod eligible;
mod handle;
pub mod health;
mod lease;
mod members;
mod registry;
mod roster;
mod rotation;
mod status;
mod tally;
mod target;
mod terms;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use balance::Turns;
use budget::Budget;
use current::Current;
pub use ejection::EjectionCause;
use handle::Handle;
use lease::Place;
pub use lease::{Failure, Lease};
use members::{Member, Members};
pub use registry::Pools;
use rotation::Rotation;
pub use status::{TargetChange, TargetState, TargetStatus};

use target::{Clock, Target, Use};
use terms::Terms;

/// One group of targets, as one file shapes it.
#[derive(Debug)]
pub struct Pool {
    name: Arc<str>,
    settings: Arc<config::model::Pool>,
    check: Option<Arc<config::health::Check>>,
    /// Members that the file itself names.
    written: Box<[config::snapshot::Target]>,
    members: Current,
    ejection: ejection::Rule,
    outliers: Option<ejection::Outliers>,
    slow_start: u64,
    shared: Arc<Shared>,
}

/// What all shapes of a pool share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Requests in flight, where their number is limited.
    in_flight: AtomicU32,
    /// Turns taken so far.
    turn: AtomicU32,
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
    pub fn pick(&self, tried: &[SocketAddr], now: Instant) -> Result<Lease, NoTarget> {
        let now = self.shared.clock.at(now);
        let place = self.place()?;
        let target = self.members.read(|members, turns| {
            if self.is_stale(members, now) {
                return None;
            }
            let terms = self.terms(tried, members.eligible.condition, now);
            let rotation = &members.eligible.rotation;
            seat(&terms, |terms| self.next(members, rotation, turns, terms))
        });
        match target {
            Some(target) => Ok(self.lease(target, place, now)),
            None => self.pick_thoroughly(tried, place, now),
        }
    }

    /// Any target not in `tried`, healthy or not: for the pool that must not give up (fail-open).
    pub fn pick_any(&self, tried: &[SocketAddr], now: Instant) -> Result<Lease, NoTarget> {
        let now = self.shared.clock.at(now);
        let place = self.place()?;
        let target = self.members.read(|members, turns| {
            seat_or_why(members, self.terms(tried, Use::Out, now), |terms| {
                let next = self.next(members, &members.rotation, turns, terms);
                next.or_else(|| members.targets().find(|target| terms.admit(target)))
            })
        })?;
        Ok(self.lease(target, place, now))
    }

    /// Where the healthy target whose turn is the `turn`th listens, for a call that is no request: nothing is counted, and
    /// nothing that comes of it is told.
    pub fn look_up(&self, turn: u32, now: Instant) -> Option<SocketAddr> {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let up = || members.targets().filter(|target| target.up(now));
        let n_up = up().count();
        let at = (turn as usize).checked_rem(n_up)?;
        up().nth(at).map(|target| target.address)
    }

    /// Whether it has a request at present.
    pub fn is_busy(&self) -> bool {
        let members = self.members.load();
        members.active.iter().any(|it| it.target.in_flight() > 0)
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

    /// How many targets take requests, and how many members there are.
    pub fn healthy(&self, now: Instant) -> (usize, usize) {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let up = members.targets().filter(|target| target.up(now)).count();
        (up, members.active.len())
    }

    /// Targets that take requests.
    pub fn up(&self, now: Instant) -> Vec<SocketAddr> {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let up = members.targets().filter(|target| target.up(now));
        up.map(|target| target.address).collect()
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

    /// Whether it is time to look who is eligible.
    fn is_stale(&self, members: &Members, now: u64) -> bool {
        members.eligible.is_stale(self.shared.version(), now)
    }

    /// Looks who is eligible, one request at a time: it looks at every target, and is the one allocation on the path of a
    /// request; the others go on with what they have.
    fn look(&self, now: u64) {
        let members = self.members.load_full();
        let looked_at = Arc::new(members.looked_at(self.shared.version(), now));
        // If the members were swapped meanwhile, those are looked at already.
        self.members.replace(&members, looked_at);
        self.shared.looking.store(false, Ordering::Release);
    }

    /// As `pick`, for when it is time to look who is eligible, or none of those takes the turn.
    ///
    /// It stays out of `pick`, which is short for the one case that nearly every request is.
    #[cold]
    fn pick_thoroughly(
        &self,
        tried: &[SocketAddr],
        place: Option<Place>,
        now: u64,
    ) -> Result<Lease, NoTarget> {
        let was_stale = self.is_stale(&self.members.load(), now);
        if was_stale && !self.shared.looking.swap(true, Ordering::Acquire) {
            self.look(now);
        }
        let target = self.members.read(|members, turns| {
            let rotation = &members.eligible.rotation;
            let terms = self.terms(tried, members.eligible.condition, now);
            seat_or_why(members, terms, |terms| {
                // What was not stale has had its turn.
                let next = was_stale.then(|| self.next(members, rotation, turns, terms));
                let next = next.flatten();
                // Where nobody is eligible there is nobody to look for.
                let best = || {
                    let from = self.shared.turn.load(Ordering::Relaxed);
                    (rotation.len() > 0)
                        .then(|| members.best(from, &terms.at_least(Use::Unproven)))?
                };
                next.or_else(best)
            })
        })?;
        Ok(self.lease(target, place, now))
    }

    /// What a request that has tried `tried` asks of a target.
    fn terms<'a>(&self, tried: &'a [SocketAddr], least: Use, now: u64) -> Terms<'a> {
        Terms {
            tried,
            least,
            most: self.settings.max_requests_per_target,
            now,
        }
    }

    /// The target that comes next in `rotation` among those that `terms` admit.
    fn next<'a>(
        &self,
        members: &'a Members,
        rotation: &Rotation,
        turns: &mut Turns,
        terms: &Terms<'_>,
    ) -> Option<&'a Handle> {
        let now = terms.now;
        let takes = |position: usize| {
            let target = &members.active[position].target;
            terms.admit(target) && target.takes_turn(now, self.slow_start)
        };
        let busier = |one: usize, other: usize| {
            let [one, other] = [one, other].map(|position| &members.active[position]);
            let part = |member: &Member| {
                u64::from(member.weight) * u64::from(member.target.permille(now, self.slow_start))
            };
            let in_flight = |member: &Member| u64::from(member.target.in_flight());
            in_flight(one) * part(other) > in_flight(other) * part(one)
        };
        let turns = (&self.shared.turn, turns);
        let next = balance::next(self.settings.balance, rotation, turns, takes, busier);
        next.map(|position| &members.active[position].target)
    }

    fn lease(&self, target: Arc<Target>, place: Option<Place>, now: u64) -> Lease {
        let has_seat = self.settings.max_requests_per_target > 0;
        Lease::new(target, place, has_seat, now)
    }

    /// A place in the pool, where places are counted.
    fn place(&self) -> Result<Option<Place>, NoTarget> {
        match self.settings.max_requests {
            0 => Ok(None),
            most => Place::take(&self.shared, most).map(Some),
        }
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

/// A seat at the target that `choose` chooses on `terms`.
fn seat<'a>(
    terms: &Terms<'_>,
    mut choose: impl FnMut(&Terms<'_>) -> Option<&'a Handle>,
) -> Option<Arc<Target>> {
    loop {
        let target = choose(terms)?;
        // Somebody else may have taken the last seat meanwhile; then there is one target less to choose from.
        if target.take_seat(terms.most) {
            return Some(target.target());
        }
    }
}

/// As `seat`, or why `members` have none.
fn seat_or_why<'a>(
    members: &'a Members,
    terms: Terms<'_>,
    mut choose: impl FnMut(&Terms<'_>) -> Option<&'a Handle>,
) -> Result<Arc<Target>, NoTarget> {
    if let Some(target) = seat(&terms, &mut choose) {
        return Ok(target);
    }
    if members.active.is_empty() {
        return Err(NoTarget::Empty);
    }
    let is_full = terms.most > 0 && choose(&Terms { most: 0, ..terms }).is_some();
    Err(if is_full {
        NoTarget::Full
    } else {
        NoTarget::Unhealthy
    })
}

#[cfg(test)]
mod tests;
