//! On which paths things went wrong most often, in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi 2005).
//!
//! Of all that is noted `n` times in all, whatever came more than `n / MOST` times is there, and its count is at most `over`
//! too high. Beside the count each path keeps which clients it happened to, as 128 bits.

use std::sync::Arc;

use super::fold::Folded;

/// Paths of one pool and stretch that are kept.
pub(super) const MOST: usize = 24;
/// Bits for clients.
const BITS: u32 = u128::BITS;

/// How something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Answered 5xx.
    Failed,
    /// Answered 401, 403, 404 or 429.
    Refused,
    /// Not answered.
    Unanswered,
}

/// A path on which things went wrong.
#[derive(Clone, Debug)]
pub struct Bad {
    /// The partition of the host.
    pub partition: Arc<str>,
    /// How it went wrong.
    pub kind: Kind,
    path: Folded,
    /// The status sent last.
    pub status: u16,
    /// How often, and perhaps `over` less.
    pub n: u64,
    /// How much of it may have been other paths.
    pub over: u64,
    clients: u128,
}

/// The paths of one stretch.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch(Vec<Bad>);

impl Kind {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Bad {
    /// The path, with ids as `*`.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Whether both are of the same path, partition and kind.
    pub fn is_like(&self, other: &Self) -> bool {
        self.is(&other.partition, other.kind, &other.path)
    }

    fn is(&self, partition: &Arc<str>, kind: Kind, path: &Folded) -> bool {
        self.kind == kind && self.partition == *partition && self.path == *path
    }

    /// Clients it happened to, at least: two that share a bit are one.
    pub fn clients_at_least(&self) -> u64 {
        self.clients.count_ones().into()
    }

    /// The same, at most: by how many bits are taken (linear counting, Whang and others 1990), and as many more as the count
    /// may be too high; never more than there were requests.
    pub fn clients_at_most(&self) -> u64 {
        let taken = self.clients.count_ones();
        if taken == BITS {
            return self.n;
        }
        let bits = f64::from(BITS);
        let clients = (bits * (bits / f64::from(BITS - taken)).ln()).ceil() as u64;
        (clients + self.over).min(self.n)
    }

    fn add_lost(&mut self, n: u64) {
        self.n += n;
        self.over += n;
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.over += other.over;
        self.clients |= other.clients;
        self.status = other.status;
    }
}

impl Sketch {
    /// It went wrong once more, for the client that statistics count as `unit`.
    pub(super) fn note(
        &mut self,
        partition: &Arc<str>,
        kind: Kind,
        path: Folded,
        status: u16,
        unit: u16,
    ) {
        let known = self.0.iter().position(|bad| bad.is(partition, kind, &path));
        let at = known.unwrap_or_else(|| self.make_room(partition, kind, path));
        let bad = &mut self.0[at];
        bad.n += 1;
        bad.status = status;
        bad.clients |= 1 << (u32::from(unit) % BITS);
    }

    /// The place of a path that was not there: its own, or that of the rarest one, whose count it takes over.
    fn make_room(&mut self, partition: &Arc<str>, kind: Kind, path: Folded) -> usize {
        let (partition, full) = (Arc::clone(partition), self.0.len() >= MOST);
        let bad = |over: u64| Bad {
            partition,
            kind,
            path,
            status: 0,
            n: over,
            over,
            clients: 0,
        };
        if !full {
            self.0.push(bad(0));
            return self.0.len() - 1;
        }
        let all = self.0.iter().enumerate();
        let rarest = all.min_by_key(|(_, bad)| bad.n).map_or(0, |(at, _)| at);
        self.0[rarest] = bad(self.0[rarest].n);
        rarest
    }

    /// How often a path that is not here may have come.
    pub(super) fn unseen(&self) -> u64 {
        if self.0.len() < MOST {
            return 0;
        }
        self.0.iter().map(|bad| bad.n).min().unwrap_or(0)
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is here to `all`, which may lack `unseen` of any other path. A path that only one of them has may have
    /// been lost from the other (Agarwal and others 2012), and is told with as many more.
    pub(super) fn add_to(&self, all: &mut Vec<Bad>, unseen: u64) {
        let is_new = |bad: &&Bad| !all.iter().any(|other| other.is_like(bad));
        let mut new: Vec<Bad> = self.0.iter().filter(is_new).cloned().collect();
        new.iter_mut().for_each(|bad| bad.add_lost(unseen));
        for other in all.iter_mut() {
            match self.0.iter().find(|bad| bad.is_like(other)) {
                Some(bad) => other.add(bad),
                None => other.add_lost(self.unseen()),
            }
        }
        all.append(&mut new);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold;
    use super::*;

    fn note(sketch: &mut Sketch, path: &str, unit: u16) {
        let partition = Arc::from("main");
        sketch.note(&partition, Kind::Failed, fold(path.as_bytes()), 500, unit);
    }

    fn found(sketch: &Sketch, path: &str) -> Option<Bad> {
        sketch.0.iter().find(|bad| bad.path() == path).cloned()
    }

    #[test]
    fn a_frequent_path_is_found_among_many_rare_ones() {
        let mut sketch = Sketch::default();
        for n in 0..10_000_u32 {
            note(&mut sketch, &format!("/scan/x{n}"), n as u16);
            if n % 10 == 0 {
                note(&mut sketch, "/cart", (n / 10) as u16 % 50);
            }
        }
        let cart = found(&sketch, "/cart").expect("more than one of 24");
        println!(
            "{} times, at most {} too many; bound 1000",
            cart.n, cart.over
        );
        assert!(cart.n >= 1000 && cart.n - cart.over <= 1000);
        assert_eq!(sketch.0.len(), MOST);
        assert!(sketch.unseen() > 0);
    }

    #[test]
    fn clients_count_once_however_often_it_happens_to_them() {
        let mut sketch = Sketch::default();
        for n in 0..900_u16 {
            note(&mut sketch, "/a", n % 3);
            note(&mut sketch, "/b", n);
        }
        let (few, many) = (found(&sketch, "/a").unwrap(), found(&sketch, "/b").unwrap());
        assert_eq!((few.n, few.clients_at_least()), (900, 3));
        assert!((3..=4).contains(&few.clients_at_most()));
        assert_eq!(
            (many.clients_at_least(), many.clients_at_most()),
            (128, 900)
        );
    }

    #[test]
    fn kinds_and_partitions_are_told_apart() {
        let mut sketch = Sketch::default();
        let path = fold(b"/a");
        for (partition, kind) in [
            ("main", Kind::Failed),
            ("main", Kind::Refused),
            ("blogs", Kind::Failed),
        ] {
            sketch.note(&partition.into(), kind, path, 500, 1);
        }
        let mut all = Vec::new();
        sketch.add_to(&mut all, 0);
        sketch.add_to(&mut all, 0);
        assert_eq!(all.iter().map(|bad| bad.n).collect::<Vec<_>>(), [2, 2, 2]);
    }
}
