//! Asked and achieved shares of a route's pools, since its weights changed last.
//!
//! Requests are all that a pool served, whoever sent them there: `drift` says why they are not what was asked for. They
//! are counted by groups of clients, because those of one client are no sample of all.
//! Users are counted as places: each of the 10,000 buckets counts once for a pool that served it, so one user's many
//! requests weigh as one, and only a bit is kept of anybody. Flagged requests are not the weights' doing, and no user's.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use canary::clustered::GROUPS;
use config::decision::Choice;
use config::ids::{PoolId, RouteId};
use config::snapshot::Snapshot;
use config::split::{BUCKETS, Split};

use super::drift::{Counted, Drift, Kind, Sample};

/// Words of a bit for each bucket.
const WORDS: usize = (BUCKETS as usize).div_ceil(64);

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
    /// How far chance can be the reason, and what else is; `None` before the first request.
    pub drift: Option<Drift>,
}

pub(super) struct RouteShares {
    since: u64,
    /// In the order of the file.
    pools: Vec<PoolShare>,
    /// Made as requests of their kind come.
    lines: Arc<Mutex<Vec<Arc<Line>>>>,
}

struct PoolShare {
    id: PoolId,
    name: Arc<str>,
    weight: u32,
    buckets: Range<u16>,
    users: Arc<Places>,
}

/// Requests of one kind.
pub(super) struct Line {
    kind: Kind,
    /// The users of the pool that serves them.
    users: Option<Arc<Places>>,
    groups: [AtomicU64; GROUPS],
}

/// A bit for each bucket; made with the first one, since most pools of most routes have no share.
#[derive(Default)]
struct Places(OnceLock<Box<[AtomicU64; WORDS]>>);

impl RouteShares {
    /// Shares of `route` in `snapshot`: those of `before` when it has the same weights.
    pub(super) fn next(
        before: Option<&Arc<Self>>,
        route: RouteId,
        snapshot: &Snapshot,
    ) -> Arc<Self> {
        let share = |split: &Split, id: PoolId, weight: u32| PoolShare {
            id,
            name: Arc::clone(&snapshot.pool(id).name),
            weight,
            buckets: split.buckets_of(id),
            users: Arc::default(),
        };
        let shares = snapshot.split(route).map(|split| {
            let weights = split.weights.iter();
            let shares = weights.map(|&(id, weight)| share(split, id, weight));
            shares.collect()
        });
        let mut next = Self {
            since: snapshot.revision,
            pools: shares.unwrap_or_default(),
            lines: Arc::default(),
        };
        if let Some(before) = before.filter(|before| before.asked().eq(next.asked())) {
            next.since = before.since;
            next.lines = Arc::clone(&before.lines);
            for (pool, before) in next.pools.iter_mut().zip(&before.pools) {
                pool.users = Arc::clone(&before.users);
            }
        }
        Arc::new(next)
    }

    /// Whether these go on with what `before` has counted.
    pub(super) fn go_on_from(&self, before: &Self) -> bool {
        Arc::ptr_eq(&self.lines, &before.lines)
    }

    /// The revision that they began with.
    pub(super) const fn since(&self) -> u64 {
        self.since
    }

    /// Where requests count that are decided as `choice` says, after `from` was chosen first.
    pub(super) fn line(&self, choice: &Choice, from: Option<PoolId>) -> Arc<Line> {
        let position = |id: PoolId| self.pools.iter().position(|pool| pool.id == id);
        let served = position(choice.pool);
        let chosen = from.map_or(served, position);
        let kind = Kind::of(choice, chosen, served);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.iter().find(|line| line.kind == kind) {
            return Arc::clone(line);
        }
        let users = served.filter(|_| !kind.is_flagged());
        let line = Arc::new(Line {
            kind,
            users: users.map(|position| Arc::clone(&self.pools[position].users)),
            groups: Default::default(),
        });
        lines.push(Arc::clone(&line));
        line
    }

    /// All shares, and why they are what they are.
    pub(super) fn report(&self) -> Vec<Share> {
        self.sampled(|pool, position, sample| {
            let asked = pool.part_asked();
            Share {
                pool: Arc::clone(&pool.name),
                asked,
                users: sample.users(position),
                requests: sample.requests(position),
                drift: sample.drift(position, asked),
            }
        })
    }

    /// Of each pool its name, and its part asked for, of users and of requests: for a scrape, which asks of every route.
    pub(super) fn parts(&self) -> Vec<(Arc<str>, [Option<f64>; 3])> {
        self.sampled(|pool, position, sample| {
            let parts = [
                Some(pool.part_asked()),
                sample.users(position),
                sample.requests(position),
            ];
            (Arc::clone(&pool.name), parts)
        })
    }

    /// What `look` makes of each pool, its position, and all that was counted.
    fn sampled<T>(&self, look: impl Fn(&PoolShare, usize, &Sample<'_>) -> T) -> Vec<T> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Counted> = lines.iter().map(|line| line.look()).collect();
        let users: Vec<Box<[u64; WORDS]>> = self.pools.iter().map(|it| it.users.look()).collect();
        let mut seen = [0; WORDS];
        for (word, seen) in seen.iter_mut().enumerate() {
            *seen = users.iter().fold(0, |all, users| all | users[word]);
        }
        let n_users: Vec<u64> = users.iter().map(|users| ones(&users[..])).collect();
        let homes = self.pools.iter();
        let homes: Vec<u64> = homes.map(|it| ones_within(&seen, &it.buckets)).collect();
        let sample = Sample {
            lines: &lines,
            users: &n_users,
            homes: &homes,
        };
        let pools = self.pools.iter().enumerate();
        pools
            .map(|(position, pool)| look(pool, position, &sample))
            .collect()
    }

    /// What was asked for: another owner of a bucket is another question.
    fn asked(&self) -> impl Iterator<Item = (&str, u32, &Range<u16>)> {
        let pools = self.pools.iter();
        pools.map(|pool| (&*pool.name, pool.weight, &pool.buckets))
    }
}

impl PoolShare {
    /// Its part by the weights.
    fn part_asked(&self) -> f64 {
        self.buckets.len() as f64 / f64::from(BUCKETS)
    }
}

impl Line {
    /// Counts a request.
    pub(super) fn count(&self, choice: &Choice) {
        // The unit is another part of the hash than the bucket, so each group has clients of every pool.
        self.groups[usize::from(choice.unit) % GROUPS].fetch_add(1, Relaxed);
        if let (Some(users), Some(bucket)) = (&self.users, choice.bucket) {
            users.see(bucket);
        }
    }

    fn look(&self) -> Counted {
        Counted {
            kind: self.kind,
            groups: self.groups.each_ref().map(|count| count.load(Relaxed)),
        }
    }
}

impl Places {
    fn see(&self, bucket: u16) {
        let words = self
            .0
            .get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORDS]));
        let word = &words[usize::from(bucket / 64)];
        let bit = 1 << (bucket % 64);
        // Most users come again, and a read leaves the cache line to all threads.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    fn look(&self) -> Box<[u64; WORDS]> {
        let words = self.0.get();
        Box::new(words.map_or([0; WORDS], |words| {
            words.each_ref().map(|word| word.load(Relaxed))
        }))
    }
}

fn ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

fn ones_within(words: &[u64; WORDS], buckets: &Range<u16>) -> u64 {
    let below = |edge: u16, first: usize| match usize::from(edge).saturating_sub(first) {
        n @ 0..64 => (1 << n) - 1,
        _ => u64::MAX,
    };
    let words = words.iter().enumerate().map(|(position, word)| {
        let first = 64 * position;
        let within = below(buckets.end, first) & !below(buckets.start, first);
        u64::from((word & within).count_ones())
    });
    words.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_within_a_range_are_counted_word_by_word() {
        let mut words = [0; WORDS];
        let set = [0, 63, 64, 65, 127, 128, 5000, 9983, 9999_u16];
        for bucket in set {
            words[usize::from(bucket / 64)] |= 1 << (bucket % 64);
        }
        for range in [
            0..0,
            0..1,
            0..64,
            1..64,
            63..65,
            64..128,
            65..9999,
            127..5001,
            0..10_000,
        ] {
            let expected = set.iter().filter(|bucket| range.contains(*bucket)).count();
            assert_eq!(ones_within(&words, &range), expected as u64, "{range:?}");
        }
    }
}
