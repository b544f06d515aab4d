//! Which pool had which buckets of a route and who changed that, and from it why a client is served by another pool.
//!
//! Plain values: it does not know who the clients are, and what it is told of a client it does not keep.

use config::decision::Reason;
use config::split::Split;

/// Eras that are remembered. Whoever comes back after more changes is counted under the oldest of them.
const KEPT: usize = 64;

/// Eras that have a number; a route that has seen more starts anew with clients who are all strangers.
pub(super) const ERAS: u32 = 1 << 19;

/// Why a client is served by another pool than the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its canary had enough, or has room again.
    Cap,
    /// Its canary could not serve, or can again.
    Failover,
    /// A pool answered 404 and another one was asked, or that is over.
    Fallback,
    /// Another file gave its bucket to another pool.
    File,
    /// It has a flag, or had one.
    Flag,
    /// A pin of it began or ended.
    Pin,
    /// A step of a ramp, or somebody who turned it.
    Ramp,
    /// A rollback.
    Rollback,
    /// Weights that somebody set, restored or drained.
    Weights,
    /// Nothing of all that: a defect of ours.
    Unexplained,
}

/// Who gave buckets to other pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// The file, read again or at the start.
    File,
    /// A ramp.
    Ramp,
    /// A rollback, by whomever.
    Rollback,
    /// Weights that were set, brought back or drained.
    Weights,
}

/// Which pool has which buckets; pools by their numbers in the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owners {
    /// `(upper edge, pool)`, from bucket 0 upwards; the rest is stable's.
    edges: Vec<(u16, u16)>,
    stable: u16,
    stable_has_some: bool,
}

/// The time in which all buckets stay with their pools.
#[derive(Clone, Debug)]
struct Era {
    /// The revision that it began with.
    since: u64,
    owners: Owners,
    by: Mover,
}

/// The last eras of a route, at least one.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Number of the oldest one that is remembered.
    first: u32,
    eras: Vec<Era>,
}

/// How a client was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) era: u32,
    pub(super) pool: u16,
    pub(super) reason: Reason,
}

impl Cause {
    pub(super) const ALL: [Self; 10] = [
        Self::Cap,
        Self::Failover,
        Self::Fallback,
        Self::File,
        Self::Flag,
        Self::Pin,
        Self::Ramp,
        Self::Rollback,
        Self::Weights,
        Self::Unexplained,
    ];

    /// The word in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Failover => "failover",
            Self::Fallback => "fallback",
            Self::File => "file",
            Self::Flag => "flag",
            Self::Pin => "pin",
            Self::Ramp => "ramp",
            Self::Rollback => "rollback",
            Self::Weights => "weights",
            Self::Unexplained => "unexplained",
        }
    }

    /// Why another pool serves than the one that was chosen; `None` when the chosen one does.
    pub(super) const fn of_stand_in(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Cap => Some(Self::Cap),
            Reason::Failover => Some(Self::Failover),
            Reason::Fallback => Some(Self::Fallback),
            Reason::Flag | Reason::Pin | Reason::Weight => None,
        }
    }
}

impl From<Mover> for Cause {
    fn from(mover: Mover) -> Self {
        match mover {
            Mover::File => Self::File,
            Mover::Ramp => Self::Ramp,
            Mover::Rollback => Self::Rollback,
            Mover::Weights => Self::Weights,
        }
    }
}

impl Owners {
    /// What `split` gives to whom; `numbers` are by `PoolId`.
    pub(super) fn of(split: &Split, numbers: &[u16]) -> Self {
        let number = |id: config::ids::PoolId| numbers[usize::from(id.0)];
        let edges = split.edges.iter();
        Self {
            edges: edges.map(|&(edge, pool)| (edge, number(pool))).collect(),
            stable: number(split.stable),
            stable_has_some: !split.buckets_of(split.stable).is_empty(),
        }
    }

    fn owner(&self, bucket: u16) -> u16 {
        let edge = self.edges.iter().find(|(edge, _)| bucket < *edge);
        edge.map_or(self.stable, |(_, pool)| *pool)
    }

    fn has(&self, pool: u16) -> bool {
        let of_stable = self.stable_has_some && pool == self.stable;
        of_stable || self.edges.iter().any(|(_, owner)| *owner == pool)
    }
}

impl History {
    pub(super) fn new(since: u64, owners: Owners, by: Mover) -> Self {
        Self {
            first: 0,
            eras: vec![Era { since, owners, by }],
        }
    }

    /// The same, and then another era; `None` when it would have no number any more.
    pub(super) fn then(&self, since: u64, owners: Owners, by: Mover) -> Option<Self> {
        let n_gone = (self.eras.len() + 1).saturating_sub(KEPT);
        let mut eras = self.eras[n_gone..].to_vec();
        eras.push(Era { since, owners, by });
        let first = self.first + n_gone as u32;
        let next = Self { first, eras };
        (next.now() < ERAS).then_some(next)
    }

    /// Number of the present era.
    pub(super) fn now(&self) -> u32 {
        self.first + (self.eras.len() - 1) as u32
    }

    /// The revision that the present era began with.
    pub(super) fn since(&self) -> u64 {
        self.eras.last().map_or(0, |era| era.since)
    }

    /// Who has which bucket now.
    pub(super) fn owners(&self) -> Option<&Owners> {
        self.eras.last().map(|era| &era.owners)
    }

    /// The era that `revision` was in; `None` when it is not remembered.
    pub(super) fn era_of(&self, revision: u64) -> Option<u32> {
        let position = self.eras.iter().rposition(|era| era.since <= revision)?;
        Some(self.first + position as u32)
    }

    /// Why the client at `bucket` has another pool `now`. A pool that stands in for another one explains what it does
    /// and its end; then a flag; then a pin, but for one whose pool lost its last bucket or got its first; and then the
    /// last change that gave the bucket away.
    pub(super) fn cause(&self, bucket: u16, before: Stay, now: Stay) -> Cause {
        let reasons = [now.reason, before.reason];
        if let Some(cause) = reasons.into_iter().find_map(Cause::of_stand_in) {
            return cause;
        }
        if reasons.contains(&Reason::Flag) {
            return Cause::Flag;
        }
        if reasons.contains(&Reason::Pin) {
            let by = self.last_change(before.era, now.era, |old, new| {
                old.has(before.pool) && !new.has(before.pool)
                    || !old.has(now.pool) && new.has(now.pool)
            });
            return by.map_or(Cause::Pin, Cause::from);
        }
        if !self.gives(bucket, before) || !self.gives(bucket, now) {
            return Cause::Unexplained;
        }
        let by = self.last_change(before.era, now.era, |old, new| {
            old.owner(bucket) != new.owner(bucket)
        });
        // What came before the oldest era is not remembered; that something came is.
        let oldest = self.eras.first().filter(|_| before.era < self.first);
        by.or_else(|| oldest.map(|era| era.by))
            .map_or(Cause::Unexplained, Cause::from)
    }

    /// Who began the last era after `from`, up to `to`, whose owners `differ` from those before.
    fn last_change(
        &self,
        from: u32,
        to: u32,
        differ: impl Fn(&Owners, &Owners) -> bool,
    ) -> Option<Mover> {
        let position = |era: u32| era.saturating_sub(self.first) as usize;
        let eras = self.eras.get(position(from)..=position(to))?;
        let mut changes = eras.windows(2).rev();
        let last = changes.find(|pair| differ(&pair[0].owners, &pair[1].owners))?;
        Some(last[1].by)
    }

    /// Whether the weights of its era send `bucket` where `stay` was; those of an era that is not remembered do.
    fn gives(&self, bucket: u16, stay: Stay) -> bool {
        let position = stay.era.checked_sub(self.first);
        let era = position.and_then(|position| self.eras.get(position as usize));
        era.is_none_or(|era| era.owners.owner(bucket) == stay.pool)
    }
}

#[cfg(test)]
mod tests {
    use config::ids::PoolId;

    use super::*;

    const EC2: u16 = 7;
    const ECS: u16 = 3;
    const NUMBERS: [u16; 2] = [EC2, ECS];

    fn owners(canary: u32) -> Owners {
        let weights = vec![(PoolId(0), 100 - canary), (PoolId(1), canary)];
        Owners::of(&Split::new(weights, PoolId(0)).unwrap(), &NUMBERS)
    }

    /// Revision 1 at 10 %, 5 at 30 % by a ramp, 6 at 0 by a rollback, 9 at 50 % by hand, 12 at 100 % by a file.
    fn history() -> History {
        let mut history = History::new(1, owners(10), Mover::File);
        for (since, canary, by) in [
            (5, 30, Mover::Ramp),
            (6, 0, Mover::Rollback),
            (9, 50, Mover::Weights),
            (12, 100, Mover::File),
        ] {
            history = history.then(since, owners(canary), by).unwrap();
        }
        history
    }

    const fn stay(era: u32, pool: u16, reason: Reason) -> Stay {
        Stay { era, pool, reason }
    }

    #[test]
    fn a_switch_has_the_cause_that_came_last() {
        use Reason::{Cap, Failover, Fallback, Flag, Pin, Weight};
        let history = history();
        for (bucket, before, now, expected) in [
            (2_000, (0, EC2, Weight), (1, ECS, Weight), Cause::Ramp),
            (500, (0, ECS, Weight), (2, EC2, Weight), Cause::Rollback),
            // Away during the rollback as well: it went there and back, and is where it was.
            (2_000, (0, EC2, Weight), (3, ECS, Weight), Cause::Weights),
            (6_000, (1, EC2, Weight), (4, ECS, Weight), Cause::File),
            (6_000, (3, EC2, Weight), (3, ECS, Flag), Cause::Flag),
            (6_000, (3, ECS, Flag), (4, EC2, Flag), Cause::Flag),
            (1_000, (3, ECS, Weight), (3, EC2, Failover), Cause::Failover),
            (1_000, (3, EC2, Failover), (3, ECS, Weight), Cause::Failover),
            (1_000, (3, ECS, Flag), (3, EC2, Cap), Cause::Cap),
            (9_000, (3, ECS, Fallback), (3, EC2, Weight), Cause::Fallback),
            // A pin that ends; one whose pool has nothing any more; one whose pool has something again.
            (4_000, (3, EC2, Pin), (3, ECS, Weight), Cause::Pin),
            (4_000, (1, ECS, Pin), (2, EC2, Weight), Cause::Rollback),
            (9_000, (3, EC2, Pin), (4, ECS, Weight), Cause::File),
            (9_000, (2, EC2, Weight), (3, ECS, Pin), Cause::Weights),
            // Nothing happened in between, or the weights say something else.
            (
                4_000,
                (3, ECS, Weight),
                (3, EC2, Weight),
                Cause::Unexplained,
            ),
            (
                4_000,
                (1, ECS, Weight),
                (3, EC2, Weight),
                Cause::Unexplained,
            ),
            (
                4_000,
                (1, EC2, Weight),
                (2, ECS, Weight),
                Cause::Unexplained,
            ),
        ] {
            let stays = (before, now);
            let before = stay(before.0, before.1, before.2);
            let now = stay(now.0, now.1, now.2);
            let found = history.cause(bucket, before, now);
            assert_eq!(found, expected, "{bucket} {stays:?}");
        }
    }

    #[test]
    fn a_revision_has_the_era_it_was_in() {
        let eras = [0, 1, 4, 5, 8, 9, 40].map(|revision| history().era_of(revision));
        assert_eq!(
            eras,
            [None, Some(0), Some(0), Some(1), Some(2), Some(3), Some(4)]
        );
        assert_eq!((history().now(), history().since()), (4, 12));
    }

    #[test]
    fn what_is_long_ago_has_the_oldest_cause_that_is_known() {
        let mut history = History::new(1, owners(10), Mover::File);
        for n in 0..2 * KEPT as u64 {
            let by = [Mover::Ramp, Mover::Rollback][usize::from(n % 2 == 0)];
            let canary = 10 + 10 * (n % 2 + 1) as u32;
            history = history.then(n + 2, owners(canary), by).unwrap();
        }
        assert_eq!((history.eras.len(), history.now()), (KEPT, 128));
        let (before, now) = (stay(0, ECS, Reason::Weight), stay(128, EC2, Reason::Weight));
        // Bucket 9,000 was never the canary's in any era that is remembered.
        let found = history.cause(9_000, before, now);
        assert_eq!(found, Cause::from(history.eras[0].by));
        assert_eq!(history.era_of(3), None);
    }

    #[test]
    fn eras_have_an_end() {
        let mut history = History::new(1, owners(10), Mover::File);
        history.first = ERAS - 2;
        let last = history.then(2, owners(20), Mover::Ramp).unwrap();
        assert!(last.then(3, owners(30), Mover::Ramp).is_none());
    }
}
