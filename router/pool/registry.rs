//! All pools of the process, kept from one file to the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use config::snapshot::{self, Structure};
use tokio::sync::{broadcast, watch};

use super::ejection::Rule;
use super::target::{Clock, Health, Target};
use super::{Member, Pool, Shared, TargetChange, balance};

/// Changes of state that a slow listener may fall behind before it misses some.
const CHANGES: usize = 1024;

/// All pools. Only control aligns them; requests use the pools it returned.
#[derive(Debug)]
pub struct Pools {
    clock: Clock,
    current: ArcSwap<Arc<[Arc<Pool>]>>,
    changes: broadcast::Sender<TargetChange>,
    aligned: watch::Sender<u64>,
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
            aligned: watch::Sender::new(0),
        }
    }

    /// Gives the pools the shape that `structure` says and returns them, at the index they have there.
    ///
    /// A target that stays, by the name of its pool and its address, keeps its state. A target that goes takes no
    /// further requests from the pools returned here; requests that have it finish there.
    pub fn align(&self, structure: &Structure) -> Arc<[Arc<Pool>]> {
        self.align_at(structure, Instant::now())
    }

    pub(super) fn align_at(&self, structure: &Structure, now: Instant) -> Arc<[Arc<Pool>]> {
        let now = self.clock.at(now);
        let pools: Arc<[_]> = structure
            .pools
            .iter()
            .map(|pool| Arc::new(self.shape(pool, self.pool(&pool.name).as_deref(), now)))
            .collect();
        self.current.store(Arc::new(Arc::clone(&pools)));
        self.aligned.send_modify(|version| *version += 1);
        pools
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

    /// Wakes at every alignment.
    pub(super) fn alignments(&self) -> watch::Receiver<u64> {
        self.aligned.subscribe()
    }

    fn shape(&self, pool: &snapshot::Pool, before: Option<&Pool>, now: u64) -> Pool {
        let shared = before.map_or_else(
            || Arc::new(self.shared()),
            |before| Arc::clone(&before.shared),
        );
        let rotation = shared.rotation.load(Ordering::Acquire);
        let members = pool.targets.iter().map(|target| Member {
            target: find(before, target.address).map_or_else(
                || {
                    let health = first_health(pool);
                    let entry = balance::entry(rotation, target.weight);
                    Arc::new(Target::new(target.address, health, now, entry))
                },
                |target| keep(target, pool, now),
            ),
            weight: target.weight.max(1),
        });
        let shape = Pool {
            name: Arc::clone(&pool.name),
            members: members.collect(),
            ejection: Rule::new(&pool.settings.ejection),
            slow_start: pool.settings.slow_start.0.as_micros() as u64,
            settings: Arc::clone(&pool.settings),
            shared,
        };
        start_slowly(&shape, now);
        shape
    }

    fn shared(&self) -> Shared {
        Shared {
            clock: self.clock,
            in_flight: AtomicU32::new(0),
            rotation: AtomicU64::new(balance::START),
            ejecting: Mutex::new(()),
            changes: self.changes.clone(),
        }
    }
}

fn find(before: Option<&Pool>, address: SocketAddr) -> Option<&Arc<Target>> {
    before?
        .members
        .iter()
        .map(|member| &member.target)
        .find(|target| target.address == address)
}

fn first_health(pool: &snapshot::Pool) -> Health {
    if pool.settings.health_check.is_some() {
        Health::Initial
    } else {
        Health::Unchecked
    }
}

/// A target that stays: only where checks begin or end, its health has to follow.
fn keep(target: &Arc<Target>, pool: &snapshot::Pool, now: u64) -> Arc<Target> {
    match (pool.settings.health_check.is_some(), target.health()) {
        (true, Health::Unchecked) => target.set_health(Health::Healthy, now),
        (false, health) if health != Health::Unchecked => {
            target.set_health(Health::Unchecked, now);
        }
        _ => {}
    }
    Arc::clone(target)
}

/// Targets without a check that join others are healthy at once, and start slowly at once.
fn start_slowly(pool: &Pool, now: u64) {
    let joined = pool
        .targets()
        .filter(|target| target.registered() == now && target.up(now));
    for target in joined.filter(|target| pool.joins_others(target, now)) {
        target.slow_from(now);
    }
}

impl Pool {
    /// Whether slow start applies to `target`, healthy for the first time: only when others were healthy before it
    /// came, so that a first batch does not crawl.
    pub(super) fn joins_others(&self, target: &Target, now: u64) -> bool {
        self.slow_start > 0
            && self.targets().any(|other| {
                other.up(now)
                    && !other.ramping(now, self.slow_start)
                    && other.health_since() < target.registered()
            })
    }
}
