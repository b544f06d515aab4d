//! Whether known clients stay where they are: the pool that served each of them last, and why it is another one now.
//!
//! The cookie does not say where a client was, so a table does: 1 MiB for all routes, one number for a client of a route.
//! A client is its route, bucket and unit. That is one of 655 million places, and two clients that share one are never
//! sent to different pools by the weights, so what is unexplained is never a mistaken identity.
//! Whoever came without an id takes no place from somebody who has come with one, so floods of strangers forget nobody;
//! known clients that take places from each other are counted as forgotten.
//! Whoever is not remembered was where the decision sends it: for such a client only what another pool serves in place
//! of the chosen one is a switch.

mod history;
mod seen;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use config::bucket::BucketKey;
use config::decision::{Choice, Sticky};
use config::snapshot::{Route, Snapshot};

use super::family::Family;
use super::measure::Counter;
pub use history::Mover;
use history::{Cause, History, Owners};
use seen::{PLACES, POOLS, ROUTES, Seen, place};

/// Who was where, of all routes.
#[derive(Debug)]
pub(super) struct Memory {
    /// Made with the first route that has anybody to remember.
    places: OnceLock<Arc<[AtomicU64]>>,
    /// Numbers of pools by their names, whatever file they are of.
    pools: Mutex<HashMap<Arc<str>, u16>>,
    n_routes: AtomicU64,
    counts: Arc<Family<Counter>>,
    forgotten: Arc<Counter>,
}

/// What one route remembers of its clients.
#[derive(Debug)]
pub(super) struct Switches {
    memory: Arc<Memory>,
    places: Arc<[AtomicU64]>,
    route: u64,
    /// The key that places its clients: under another one they are others.
    key: BucketKey,
    /// The revision from which on its buckets are where they are, and what is remembered of clients since then.
    since: u64,
    era: u64,
    history: History,
    counts: Arc<Counts>,
}

/// Counters by cause, made with their first count: most routes never have most of the causes.
#[derive(Debug)]
struct Counts {
    route: Arc<str>,
    by_cause: [OnceLock<Arc<Counter>>; Cause::ALL.len()],
}

/// What all requests of one series have in common here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// A part of what is remembered of their clients.
    bits: u64,
    /// Why another pool serves than the one that was chosen.
    instead: Option<Cause>,
}

impl Memory {
    /// Counts in `counts`, by route and cause, and in `forgotten`.
    pub(super) fn new(counts: Arc<Family<Counter>>, forgotten: Arc<Counter>) -> Self {
        Self {
            places: OnceLock::new(),
            pools: Mutex::default(),
            n_routes: AtomicU64::new(0),
            counts,
            forgotten,
        }
    }

    /// Numbers of the pools called `names`.
    pub(super) fn numbers<'a>(&self, names: impl Iterator<Item = &'a Arc<str>>) -> Arc<[u16]> {
        let mut known = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = names.map(|name| {
            if let Some(number) = known.get(name) {
                return *number;
            }
            // Thousands of pools that came and went: what is above has one number, and is not remembered.
            let number = known.len().min(usize::from(POOLS)) as u16;
            known.insert(Arc::clone(name), number);
            number
        });
        numbers.collect()
    }

    fn places(&self) -> &Arc<[AtomicU64]> {
        self.places
            .get_or_init(|| (0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    fn count(&self, counts: &Counts, cause: Cause) {
        let counter = &counts.by_cause[cause as usize];
        let counter = counter.get_or_init(|| {
            let labels = [&*counts.route, cause.as_str()];
            self.counts.of(&labels)
        });
        counter.inc();
    }
}

impl Switches {
    /// What `route` remembers from `snapshot` on, which came about `by`; what it did so far is `before`. `None` when
    /// it has one pool for everybody and always had.
    pub(super) fn next(
        before: Option<&Arc<Self>>,
        route: &Route,
        snapshot: &Snapshot,
        by: Mover,
        memory: &Arc<Memory>,
        numbers: &[u16],
    ) -> Option<Arc<Self>> {
        let (forward, split) = (route.forward()?, snapshot.split(route.id)?);
        let one_pool = split.weights.len() < 2 && forward.flags.is_empty();
        if before.is_none() && one_pool && forward.fallback.is_empty() {
            return None;
        }
        let owners = Owners::of(split, numbers);
        let key = *snapshot.bucket_key(forward.cohort);
        let same = before.filter(|before| before.key == key);
        if let Some(same) = same.filter(|same| same.history.owners() == Some(&owners)) {
            return Some(Arc::clone(same));
        }
        let revision = snapshot.revision;
        let further = same.and_then(|same| {
            let history = same.history.then(revision, owners.clone(), by)?;
            Some((same.route, history))
        });
        let (route_number, history) = further.unwrap_or_else(|| {
            let number = memory.n_routes.fetch_add(1, Relaxed).min(ROUTES);
            (number, History::new(revision, owners, by))
        });
        let counts = before.map(|before| Arc::clone(&before.counts));
        Some(Arc::new(Self {
            places: Arc::clone(memory.places()),
            route: route_number,
            key,
            since: history.since(),
            era: Seen::era_bits(history.now()),
            history,
            counts: counts.unwrap_or_else(|| Arc::new(Counts::of(&route.name))),
            memory: Arc::clone(memory),
        }))
    }

    /// A request that was decided at `revision` was answered by a target.
    pub(super) fn see(&self, choice: &Choice, stamp: Stamp, revision: u64) {
        let client = u64::from(choice.bucket.unwrap_or(0)) << 16 | u64::from(choice.unit);
        let (position, tag) = place(self.route, client);
        let now = tag | self.era | stamp.bits;
        // Most clients come again to where they were.
        if self.places[position].load(Relaxed) != now || revision < self.since {
            self.look(choice, stamp, revision);
        }
    }

    #[cold]
    fn look(&self, choice: &Choice, stamp: Stamp, revision: u64) {
        let stood_in = || {
            if let Some(cause) = stamp.instead {
                self.memory.count(&self.counts, cause);
            }
        };
        // A route that came after too many others is not remembered.
        if stamp.bits == Seen::NOBODY || self.route == ROUTES {
            return stood_in();
        }
        let (Some(bucket), Some(era)) = (choice.bucket, self.history.era_of(revision)) else {
            return;
        };
        let client = u64::from(bucket) << 16 | u64::from(choice.unit);
        let (position, tag) = place(self.route, client);
        let now = Seen(tag | Seen::era_bits(era) | stamp.bits);
        match self.keep(position, now) {
            Kept::Known(before) if before.pool() != now.pool() => {
                let (Some(was), Some(is)) = (before.stay(), now.stay()) else {
                    return;
                };
                let cause = self.history.cause(bucket, was, is);
                self.memory.count(&self.counts, cause);
            }
            // A request that was decided before the one that is remembered is none of its changes.
            Kept::Known(_) | Kept::Late => {}
            Kept::Stranger => stood_in(),
        }
    }

    /// Puts `now` where its client is remembered. Of two requests of a client that end at once one is first, so that no
    /// change counts twice.
    fn keep(&self, position: usize, now: Seen) -> Kept {
        let place = &self.places[position];
        let mut before = Seen(place.load(Relaxed));
        loop {
            let is_known = before.is_of(now);
            if is_known && before.era() > now.era() {
                return Kept::Late;
            }
            if !is_known && before.came_with_id() && !now.came_with_id() {
                return Kept::Stranger;
            }
            let next = if is_known { now.known_as(before) } else { now };
            match place.compare_exchange(before.0, next.0, Relaxed, Relaxed) {
                Ok(_) if is_known => return Kept::Known(before),
                Ok(_) => {
                    if before.came_with_id() {
                        self.memory.forgotten.inc();
                    }
                    return Kept::Stranger;
                }
                Err(other) => before = Seen(other),
            }
        }
    }
}

/// Who was found where a client is remembered.
enum Kept {
    /// The client, as it was served before.
    Known(Seen),
    /// The client, whose remembered request is a later one.
    Late,
    /// Nobody, or somebody else.
    Stranger,
}

impl Counts {
    fn of(route: &Arc<str>) -> Self {
        Self {
            route: Arc::clone(route),
            by_cause: Default::default(),
        }
    }
}

impl Stamp {
    /// Requests that no pool serves.
    pub(super) const NOBODY: Self = Self {
        bits: Seen::NOBODY,
        instead: None,
    };

    /// Requests that the pool with `number` serves as `choice` says.
    pub(super) fn of(choice: &Choice, number: u16) -> Self {
        let is_known = choice.sticky != Sticky::None && choice.bucket.is_some() && number < POOLS;
        let with_id = choice.sticky == Sticky::Hit;
        Self {
            bits: if is_known {
                Seen::bits(number, choice.reason, with_id)
            } else {
                Seen::NOBODY
            },
            instead: Cause::of_stand_in(choice.reason),
        }
    }
}

#[cfg(test)]
mod tests;
