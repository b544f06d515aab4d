//! Ids for new clients, spread evenly over the buckets without being predictable.
//!
//! Independent random ids give a share that scatters as coin throws do. Here the buckets are divided into 100 strata,
//! and each 100 new clients hit each stratum once, in an order that is shuffled anew each time: the share is right
//! after every few hundred clients, and no arrival pattern can align with it. An edge of the weights inside a stratum
//! is met by a second shuffle, over the buckets of that stratum.
//!
//! Nothing random is made here: random bytes are an argument.

use crate::bucket::BucketKey;
use crate::split::{BUCKETS, Split};

const STRATA: u16 = 100;
/// Buckets in a stratum.
const WIDTH: u16 = BUCKETS / STRATA;
/// Ids drawn for one client at most; then the last one is taken.
const TRIES: u32 = 2_000;
/// Ids kept for later in each segment. With 8 a client costs 1.5 draws, with 4 it costs 1.8, with 16 it costs 1.2.
const SPARE: usize = 8;

/// Makes ids for the new clients of one route, on one thread.
///
/// What is drawn and not wanted now waits for its turn. An id says nothing beyond the segment it lies in, so taking
/// it later changes no distribution, and a client costs about one hash instead of a hundred.
#[derive(Debug)]
pub struct Minter {
    key: BucketKey,
    /// Edges of the weights inside a stratum, ascending: with the strata they make the segments.
    cuts: Vec<u16>,
    strata: Deck,
    /// The second shuffle of each stratum that is cut.
    inner: Vec<(u16, Deck)>,
    /// Unused ids, by segment.
    spare: Vec<Vec<[u8; 16]>>,
}

/// The numbers 0 to 99, each dealt once before any comes again.
#[derive(Debug)]
struct Deck {
    cards: [u8; WIDTH as usize],
    dealt: usize,
}

impl Minter {
    /// For clients placed by `key` in buckets divided by `split`.
    pub fn new(key: BucketKey, split: &Split) -> Self {
        let mut minter = Self {
            key,
            cuts: Vec::new(),
            strata: Deck::new(),
            inner: Vec::new(),
            spare: Vec::new(),
        };
        minter.cut(split);
        minter
    }

    /// Follows a change of the key or the weights; costs a short comparison when there is none.
    /// A change of weights keeps the shuffle in progress, so that frequent changes do not add up to noise.
    pub fn align(&mut self, key: &BucketKey, split: &Split) {
        if self.key != *key {
            *self = Self::new(*key, split);
        } else if !cuts(split).eq(self.cuts.iter().copied()) {
            self.cut(split);
        }
    }

    /// The id of the next new client; each call of `random` gives 16 fresh random bytes.
    pub fn next(&mut self, mut random: impl FnMut() -> [u8; 16]) -> [u8; 16] {
        let wanted = self.deal(&mut random);
        if let Some(id) = self.spare[wanted].pop() {
            return id;
        }
        let mut last = random();
        for _ in 1..TRIES {
            let segment = self.segment(self.key.place(&last).bucket());
            if segment == wanted {
                return last;
            }
            self.keep(segment, last);
            last = random();
        }
        // A segment of few buckets may not turn up at once: this client is placed at random, the next one asks again.
        self.put_back();
        last
    }

    /// The segment of the next client.
    fn deal(&mut self, random: &mut impl FnMut() -> [u8; 16]) -> usize {
        let stratum = self.strata.deal(random());
        let inner = self.inner.iter_mut().find(|(cut, _)| *cut == stratum);
        let offset = inner.map_or(0, |(_, deck)| deck.deal(random()));
        self.segment(stratum * WIDTH + offset)
    }

    fn put_back(&mut self) {
        let stratum = self.strata.put_back();
        if let Some((_, deck)) = self.inner.iter_mut().find(|(cut, _)| *cut == stratum) {
            deck.put_back();
        }
    }

    fn segment(&self, bucket: u16) -> usize {
        let cuts_below = self.cuts.iter().filter(|cut| **cut <= bucket).count();
        usize::from(bucket / WIDTH) + cuts_below
    }

    fn keep(&mut self, segment: usize, id: [u8; 16]) {
        let spare = &mut self.spare[segment];
        if spare.len() < SPARE {
            spare.push(id);
        }
    }

    fn cut(&mut self, split: &Split) {
        let spare = std::mem::take(&mut self.spare);
        self.cuts = cuts(split).collect();
        let n_segments = usize::from(STRATA) + self.cuts.len();
        self.spare
            .resize_with(n_segments, || Vec::with_capacity(SPARE));
        for id in spare.into_iter().flatten() {
            let segment = self.segment(self.key.place(&id).bucket());
            self.keep(segment, id);
        }
        let mut strata: Vec<_> = self.cuts.iter().map(|cut| cut / WIDTH).collect();
        strata.dedup();
        self.inner = strata.into_iter().map(|cut| (cut, Deck::new())).collect();
    }
}

fn cuts(split: &Split) -> impl Iterator<Item = u16> {
    let edges = split.edges.iter().map(|(edge, _)| *edge);
    edges.filter(|edge| !edge.is_multiple_of(WIDTH))
}

impl Deck {
    fn new() -> Self {
        Self {
            cards: std::array::from_fn(|n| n as u8),
            dealt: 0,
        }
    }

    /// Fisher-Yates, one step at a time.
    fn deal(&mut self, random: [u8; 16]) -> u16 {
        if self.dealt == self.cards.len() {
            self.dealt = 0;
        }
        let left = (self.cards.len() - self.dealt) as u128;
        // 128 bits against at most 100 cards: the remainder favors none of them by more than 2^-121.
        let drawn = self.dealt + (u128::from_le_bytes(random) % left) as usize;
        self.cards.swap(self.dealt, drawn);
        self.dealt += 1;
        u16::from(self.cards[self.dealt - 1])
    }

    /// Takes the last dealt card back among those still to come, and says which it was.
    fn put_back(&mut self) -> u16 {
        self.dealt -= 1;
        u16::from(self.cards[self.dealt])
    }
}

#[cfg(test)]
mod tests;
