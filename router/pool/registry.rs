//! All pools of the process, kept from one file to the next, and who their members are.
//!
//! Members come from the file, from discovery and from the operator; a change of any of them is a swap of one set for
//! the next (`members`), done here and by one at a time. Requests never wait for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use config::live::TargetEdits;
use config::snapshot::{self, Structure};
use tokio::sync::{broadcast, watch};

use super::budget::Budget;
use super::current::Current;
use super::ejection::{Outliers, Rule};
use super::handle::Handle;
use super::members::Members;
use super::roster::Roster;
use super::tally::Tally;
use super::target::{Clock, Health, Target};
use super::{Pool, Shared, TargetChange, status};

/// Changes of state that a slow listener may fall behind before it misses some.
const CHANGES: usize = 1024;

/// All pools. Only control aligns them; requests use the pools it returned.
#[derive(Debug)]
pub struct Pools {
    clock: Clock,
    current: ArcSwap<Arc<[Arc<Pool>]>>,
    changes: broadcast::Sender<TargetChange>,
    swapped: watch::Sender<u64>,
    sources: Mutex<Sources>,
    /// Targets that left and whose time to drain is over, as long as they have requests.
    overdue: Mutex<Vec<Handle>>,
    gone: watch::Sender<u64>,
}

/// What is known of members beside the file, by name of the pool. Whoever holds its lock may swap members.
#[derive(Debug, Default)]
struct Sources {
    discovered: HashMap<String, Vec<snapshot::Target>>,
    edits: BTreeMap<String, TargetEdits>,
}

impl Default for Pools {
    fn default() -> Self {
        Self::new()
    }
}

impl Pools {
    /// No pools yet.
    pub fn new() -> Self {
        Self::at(Instant::now(), SystemTime::now())
    }

    pub(super) fn at(origin: Instant, date: SystemTime) -> Self {
        Self {
            clock: Clock::new(origin, date),
            current: ArcSwap::from_pointee(Arc::default()),
            changes: broadcast::Sender::new(CHANGES),
            swapped: watch::Sender::new(0),
            sources: Mutex::default(),
            overdue: Mutex::default(),
            gone: watch::Sender::new(0),
        }
    }

    /// Gives the pools the shape that `structure` says and returns them, at the index they have there.
    ///
    /// Their members are those of the file and those that discovery and the operator have told so far. A target that
    /// stays, by the name of its pool and its address, keeps its state. One that goes drains: it takes no further
    /// requests from the pools returned here; requests that have it finish there.
    pub fn align(&self, structure: &Structure) -> Arc<[Arc<Pool>]> {
        self.align_at(structure, Instant::now())
    }

    pub(super) fn align_at(&self, structure: &Structure, now: Instant) -> Arc<[Arc<Pool>]> {
        let mut sources = self.sources();
        let now = self.clock.at(now);
        let named = |name: &String| structure.pools.iter().any(|pool| *pool.name == **name);
        sources.discovered.retain(|name, _| named(name));
        let pools = structure.pools.iter().map(|pool| {
            let before = self.pool(&pool.name);
            Arc::new(self.shape(pool, before.as_deref(), &sources, now))
        });
        let pools: Arc<[_]> = pools.collect();
        self.current.store(Arc::new(Arc::clone(&pools)));
        self.swapped.send_modify(|version| *version += 1);
        pools
    }

    /// What discovery knows of `pool` now, in place of what it knew before: an empty list takes its targets away.
    ///
    /// It is kept when the file changes, as long as the file names the pool. A pool that is not there is ignored: a
    /// reload may have removed it. The order of `targets` does not matter.
    pub fn supply(&self, pool: &str, targets: &[snapshot::Target]) {
        self.supply_at(pool, targets, Instant::now());
    }

    pub(super) fn supply_at(&self, pool: &str, targets: &[snapshot::Target], now: Instant) {
        let mut sources = self.sources();
        if self.pool(pool).is_some() {
            sources.discovered.insert(pool.to_owned(), targets.to_vec());
            self.swap(&sources, now);
        }
    }

    /// What discovery knows of `pool` now, also what the operator left out.
    pub fn discovered(&self, pool: &str) -> Vec<snapshot::Target> {
        let sources = self.sources();
        sources.discovered.get(pool).cloned().unwrap_or_default()
    }

    /// All that operators registered and deregistered, by pool, in place of what it was before. Names of pools that are
    /// not there are kept: a reload may bring them.
    pub fn edit(&self, edits: &BTreeMap<String, TargetEdits>) {
        self.edit_at(edits, Instant::now());
    }

    pub(super) fn edit_at(&self, edits: &BTreeMap<String, TargetEdits>, now: Instant) {
        let mut sources = self.sources();
        sources.edits.clone_from(edits);
        self.swap(&sources, now);
    }

    /// Tells what happened by the clock alone, and forgets targets whose time to drain is over.
    pub(super) fn sweep(&self, now: Instant) {
        let _one_at_a_time = self.sources();
        let now = self.clock.at(now);
        for pool in self.current().iter() {
            let gone = pool.sweep(now);
            if !gone.is_empty() {
                self.overdue_targets().extend(gone);
                self.gone.send_modify(|version| *version += 1);
            }
        }
    }

    /// Targets that have requests although their time to drain is over.
    pub fn overdue(&self) -> HashSet<u64> {
        let mut overdue = self.overdue_targets();
        overdue.retain(|target| target.in_flight() > 0);
        overdue.iter().map(|target| target.id).collect()
    }

    /// Wakes whenever the time to drain of a target is over.
    pub fn gone(&self) -> watch::Receiver<u64> {
        self.gone.subscribe()
    }

    /// The pools as aligned last.
    pub fn current(&self) -> Arc<[Arc<Pool>]> {
        Arc::clone(&self.current.load())
    }

    /// The pool with this name.
    pub fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        let current = self.current.load();
        current.iter().find(|pool| *pool.name == *name).cloned()
    }

    /// Every change of a target's state from now on.
    pub fn changes(&self) -> broadcast::Receiver<TargetChange> {
        self.changes.subscribe()
    }

    /// Wakes whenever a pool has other members or another shape.
    pub(super) fn swaps(&self) -> watch::Receiver<u64> {
        self.swapped.subscribe()
    }

    /// Gives every pool the members that `sources` say. Where nothing changed, nothing is swapped.
    fn swap(&self, sources: &Sources, now: Instant) {
        let now = self.clock.at(now);
        let mut swapped = false;
        for pool in self.current().iter() {
            let roster = sources.roster(&pool.name, &pool.written);
            if !pool.members.load().follows(&roster) {
                pool.seat(&roster, now);
                swapped = true;
            }
        }
        if swapped {
            self.swapped.send_modify(|version| *version += 1);
        }
    }

    fn shape(
        &self,
        pool: &snapshot::Pool,
        before: Option<&Pool>,
        sources: &Sources,
        now: u64,
    ) -> Pool {
        let shared = before.map_or_else(
            || Arc::new(self.shared()),
            |before| Arc::clone(&before.shared),
        );
        let members = before.map(|before| before.members.load_full());
        let shape = Pool {
            name: Arc::clone(&pool.name),
            written: pool.targets.as_slice().into(),
            members: Current::new(members.unwrap_or_else(|| Arc::new(Members::none()))),
            ejection: Rule::new(&pool.settings.ejection),
            outliers: pool
                .settings
                .ejection
                .success_rate
                .as_ref()
                .map(Outliers::new),
            slow_start: pool.settings.slow_start.0.as_micros() as u64,
            settings: Arc::clone(&pool.settings),
            check: pool.check.clone(),
            shared,
        };
        for target in shape.members.load().targets() {
            follow_checks(target, shape.first_health(), now);
        }
        shape.seat(&sources.roster(&pool.name, &pool.targets), now);
        shape
    }

    fn overdue_targets(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // A list is replaced as a whole, so whoever panicked left none half done.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> Shared {
        Shared {
            clock: self.clock,
            in_flight: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            version: AtomicU64::new(0),
            looking: AtomicBool::new(false),
            ejecting: Mutex::new(()),
            ejections: Default::default(),
            compared: AtomicU64::new(0),
            changes: self.changes.clone(),
            checks: Tally::default(),
            budget: Budget::default(),
        }
    }
}

impl Sources {
    fn roster(&self, pool: &str, written: &[snapshot::Target]) -> Roster {
        let discovered = self.discovered.get(pool).map_or(&[][..], Vec::as_slice);
        match self.edits.get(pool) {
            Some(edits) => Roster::new(written, discovered, edits),
            None => Roster::new(written, discovered, &TargetEdits::default()),
        }
    }
}

/// A target that stays: only where checks begin or end, its health has to follow.
fn follow_checks(target: &Target, first: Health, now: u64) {
    match (first, target.health()) {
        (Health::Initial, Health::Unchecked) => target.set_health(Health::Healthy, now),
        (Health::Unchecked, health) if health != Health::Unchecked => {
            target.set_health(Health::Unchecked, now);
        }
        _ => {}
    }
}

impl Pool {
    /// Whether slow start applies to `target`, healthy for the first time: only when others were healthy before it
    /// came, so that a first batch does not crawl.
    pub(super) fn joins_others(&self, members: &Members, target: &Target, now: u64) -> bool {
        self.healthy_longest(members, now)
            .is_some_and(|since| since < target.registered())
    }

    /// Since when the one that is healthy for the longest time is, of those that are past their slow start; `None` where
    /// nobody starts slowly.
    fn healthy_longest(&self, members: &Members, now: u64) -> Option<u64> {
        if self.slow_start == 0 {
            return None;
        }
        let settled = members
            .targets()
            .filter(|other| other.up(now) && !other.ramping(now, self.slow_start));
        settled.map(|other| other.health_since()).min()
    }

    /// Makes those that `roster` names its members; the others drain. Only whoever holds the sources' lock calls this.
    fn seat(&self, roster: &Roster, now: u64) {
        let before = self.members.load_full();
        let until = now + self.settings.deregistration_delay.0.as_micros() as u64;
        let version = self.shared.version();
        let next = Members::next(&before, roster, (version, now), until, |target| {
            Handle::new(target.address, self.first_health(), now)
        });
        let next = Arc::new(next);
        for target in next.targets() {
            target.come_back();
        }
        self.start_slowly(&next, now);
        self.members.store(Arc::clone(&next));
        // Those that left before have been told already.
        for member in next
            .draining(now)
            .filter(|member| member.target.left_at().is_none())
        {
            member.target.leave(now);
        }
        self.announce_all(&next, now);
    }

    /// Forgets targets whose time to drain is over, and says which.
    fn sweep(&self, now: u64) -> Vec<Handle> {
        self.compare(now);
        let members = self.members.load_full();
        self.announce_all(&members, now);
        let Some((next, gone)) = members.without_gone(self.shared.version(), now) else {
            return Vec::new();
        };
        self.members.store(Arc::new(next));
        for member in &gone {
            let status = status::gone(member, now, &self.shared.clock);
            if member.target.announces(status.state) {
                self.send(status);
            }
        }
        gone.into_iter().map(|member| member.target).collect()
    }

    /// The numbers of all its targets: members and those that drain.
    pub fn known(&self) -> Vec<u64> {
        self.members
            .load()
            .known()
            .map(|target| target.id)
            .collect()
    }

    fn announce_all(&self, members: &Members, now: u64) {
        for member in members.active.iter().chain(members.draining(now)) {
            self.tell(member, now);
        }
    }

    /// Targets without a check that join others are healthy at once, and start slowly at once.
    fn start_slowly(&self, members: &Members, now: u64) {
        let Some(others) = self.healthy_longest(members, now) else {
            return;
        };
        let came = members
            .targets()
            .filter(|target| target.registered() == now && target.up(now));
        for target in came.filter(|target| others < target.registered()) {
            target.slow_from(now);
        }
    }

    fn first_health(&self) -> Health {
        match self.settings.health_check {
            Some(_) => Health::Initial,
            None => Health::Unchecked,
        }
    }
}
