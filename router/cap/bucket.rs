//! A token bucket in one number: one second's worth of tokens, which come back evenly.
//!
//! It is the generic cell rate algorithm (ITU-T I.371, annex A): the number is the moment at which the bucket is full
//! again, and a token taken moves that moment by the time that a token takes to come back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The moment at which the bucket is full again, in nanoseconds.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

const SECOND: u64 = 1_000_000_000;

impl Bucket {
    /// Takes a token at `now`, which is in nanoseconds, if there is one; `rate` tokens fill the bucket, and come back in a second. Not 0.
    pub fn take(&self, now: u64, rate: u32) -> bool {
        let token = token(rate);
        let taken = self.0.fetch_update(Relaxed, Relaxed, |full| {
            let full = full.max(now) + token;
            (full <= now + depth(rate)).then_some(full)
        });
        taken.is_ok()
    }

    /// Tokens that can be taken at `now`.
    pub(super) fn tokens(&self, now: u64, rate: u32) -> u32 {
        let missing = self.0.load(Relaxed).saturating_sub(now);
        (depth(rate).saturating_sub(missing) / token(rate)) as u32
    }
}

/// The time a token takes to come back, rounded up: never more than `rate` in a second.
const fn token(rate: u32) -> u64 {
    SECOND.div_ceil(rate as u64)
}

/// The time that an empty bucket takes to be full: a second, but for the rounding of its tokens.
const fn depth(rate: u32) -> u64 {
    token(rate) * rate as u64
}

#[cfg(test)]
mod laws {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In any stretch of time there are at most one bucket and what came back in it, whoever asks when.
        #[test]
        fn never_more_than_a_bucket_and_the_rate(
            rate in 1u32..2000,
            steps in prop::collection::vec((0u64..50_000_000, 1usize..40), 1..200),
        ) {
            let bucket = Bucket::default();
            let mut now = 12_345;
            let mut taken = Vec::new();
            for (step, asks) in steps {
                now += step;
                taken.extend((0..asks).filter(|_| bucket.take(now, rate)).map(|_| now));
            }
            // From any one to any later one: as many as the bucket holds, and as came back in between.
            let due = |(n, at): (usize, &u64)| n as i64 * token(rate) as i64 - *at as i64;
            let mut least = i64::MAX;
            for due in taken.iter().enumerate().map(due) {
                least = least.min(due);
                prop_assert!(due - least <= (i64::from(rate) - 1) * token(rate) as i64);
            }
        }

        /// Who asks evenly and no oftener than the rate is never refused.
        #[test]
        fn an_even_rate_passes(rate in 1u32..1_000_000, asks in 1u64..5000) {
            let bucket = Bucket::default();
            for n in 0..asks {
                prop_assert!(bucket.take(7 + n * token(rate), rate));
            }
        }

        /// A full bucket gives its tokens at once, not one more; they come back one by one.
        #[test]
        fn a_full_bucket_is_one_second_of_the_rate(rate in 1u32..5000, back in 0u32..5000) {
            let bucket = Bucket::default();
            let back = back.min(rate);
            prop_assert_eq!(bucket.tokens(0, rate), rate);
            prop_assert!((0..rate).all(|_| bucket.take(0, rate)));
            prop_assert!(!bucket.take(0, rate));
            let later = token(rate) * u64::from(back);
            prop_assert_eq!(bucket.tokens(later, rate), back);
            prop_assert_eq!((0..=rate).filter(|_| bucket.take(later, rate)).count(), back as usize);
        }

        /// Another rate finds the bucket as empty as it was.
        #[test]
        fn a_new_rate_does_not_refill(before in 1u32..2000, after in 1u32..2000) {
            let bucket = Bucket::default();
            while bucket.take(1, before) {}
            // The rounding of tokens may leave a part of one.
            prop_assert!(bucket.tokens(1, after) <= 1);
        }
    }

    #[test]
    fn threads_that_ask_at_once_share_the_tokens() {
        let bucket = Bucket::default();
        let taken: usize = std::thread::scope(|scope| {
            let ask = || (0..1000).filter(|_| bucket.take(5, 700)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 700);
    }
}
