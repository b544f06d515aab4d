//! Asked and achieved shares of a route's pools, since its weights changed last.
//!
//! Achieved counts requests that the weights placed, wherever they were served in the end; flagged requests are not
//! the weights' doing and are left out. Users are counted as places: each of the 10,000 buckets counts once for a pool
//! that served it, so one user's many requests weigh as one, and only a bit is kept of anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use config::decision::{Choice, Reason};
use config::ids::{PoolId, RouteId};
use config::snapshot::Snapshot;
use config::split::{BUCKETS, Split};

/// Asked and achieved part of one pool in a route, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The pool.
    pub pool: Arc<str>,
    /// Its part by the weights.
    pub asked: f64,
    /// Its part of the users seen since the weights changed; `None` before the first.
    pub users: Option<f64>,
    /// Its part of the requests since then; `None` before the first.
    pub requests: Option<f64>,
}

pub(super) struct RouteShares {
    since: u64,
    pools: Vec<PoolShare>,
}

#[derive(Clone)]
struct PoolShare {
    id: PoolId,
    name: Arc<str>,
    weight: u32,
    asked: u16,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    requests: AtomicU64,
    /// A bit for each bucket; made with the first one, since most pools of most routes have no share.
    buckets: OnceLock<Box<[AtomicU64]>>,
}

impl RouteShares {
    /// Shares of `route` in `snapshot`: those of `before` when it has the same weights.
    pub(super) fn next(
        before: Option<&Arc<Self>>,
        route: RouteId,
        snapshot: &Snapshot,
    ) -> Arc<Self> {
        let share = |split: &Split, id: PoolId, weight: u32| PoolShare {
            id,
            name: Arc::clone(&snapshot.structure.pools[id.0 as usize].name),
            weight,
            asked: asked(split, id),
            counted: Arc::default(),
        };
        let shares = snapshot.split(route).map(|split| {
            let weights = split.weights.iter();
            let shares = weights.map(|&(id, weight)| share(split, id, weight));
            shares.collect()
        });
        let mut next = Self {
            since: snapshot.revision,
            pools: shares.unwrap_or_default(),
        };
        if let Some(before) = before.filter(|before| before.weights().eq(next.weights())) {
            next.since = before.since;
            for (pool, before) in next.pools.iter_mut().zip(&before.pools) {
                pool.counted = Arc::clone(&before.counted);
            }
        }
        Arc::new(next)
    }

    /// Counts a request decided at `revision`; one that was decided by older weights no longer counts.
    pub(super) fn count(&self, choice: &Choice, revision: u64) {
        let placed = choice.flag.is_none() && choice.reason != Reason::Flag;
        if !placed || revision < self.since {
            return;
        }
        let Some(pool) = self.pools.iter().find(|pool| pool.id == choice.pool) else {
            return;
        };
        pool.counted.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = choice.bucket {
            pool.counted.see(bucket);
        }
    }

    pub(super) fn report(&self) -> Vec<Share> {
        let requests: Vec<_> = self.pools.iter().map(|p| p.counted.requests()).collect();
        let users: Vec<_> = self.pools.iter().map(|p| p.counted.users()).collect();
        let part = |counts: &[u64], position: usize| {
            let total: u64 = counts.iter().sum();
            (total > 0).then(|| counts[position] as f64 / total as f64)
        };
        let pools = self.pools.iter().enumerate();
        pools
            .map(|(position, pool)| Share {
                pool: Arc::clone(&pool.name),
                asked: f64::from(pool.asked) / f64::from(BUCKETS),
                users: part(&users, position),
                requests: part(&requests, position),
            })
            .collect()
    }

    fn weights(&self) -> impl Iterator<Item = (&str, u32)> {
        self.pools.iter().map(|pool| (&*pool.name, pool.weight))
    }
}

impl Counted {
    fn see(&self, bucket: u16) {
        let words = self.buckets.get_or_init(|| {
            let n_words = usize::from(BUCKETS).div_ceil(64);
            (0..n_words).map(|_| AtomicU64::new(0)).collect()
        });
        let word = &words[usize::from(bucket / 64)];
        let bit = 1 << (bucket % 64);
        // Most users come again, and a read leaves the cache line to all threads.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn users(&self) -> u64 {
        let words = self.buckets.get().into_iter().flatten();
        words
            .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()))
            .sum()
    }
}

/// How many buckets `pool` has.
fn asked(split: &Split, pool: PoolId) -> u16 {
    let mut lower = 0;
    for &(upper, owner) in &split.edges {
        if owner == pool {
            return upper - lower;
        }
        lower = upper;
    }
    if pool == split.stable {
        BUCKETS - lower
    } else {
        0
    }
}
