//! How many further tries a pool may get: a part of its recent requests, and a few a second beside them.
//!
//! An outage must not be multiplied by the tries to get around it. Counted is what arrived and what was tried again in
//! each of the last ten seconds, as in finagle's and linkerd's budgets (ten seconds, a fifth, ten a second), so that a
//! quiet minute saves nothing up for a storm.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use config::model::RetryBudget;

/// Seconds that are looked back on, the present one among them.
const WINDOW: u64 = 10;

/// Requests and further tries of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Budget {
    requests: Counts,
    tries: Counts,
}

/// A count for each second of the window, in one number with the second it is of: 40 bits of time, 24 of count.
#[derive(Debug, Default)]
struct Counts([AtomicU64; WINDOW as usize]);

const COUNT_BITS: u32 = 24;
const MOST: u64 = (1 << COUNT_BITS) - 1;

impl Budget {
    /// A request came at `now`, in microseconds.
    pub(super) fn arrived(&self, now: u64) {
        self.requests.add(second(now));
    }

    /// Takes a further try at `now`, if `rule` has one left.
    pub(super) fn take(&self, now: u64, rule: &RetryBudget) -> bool {
        let second = second(now);
        // Counted first: of several that ask for the last one at most one gets it.
        self.tries.add(second);
        let by_requests = self.requests.sum(second) * u64::from(rule.percent) / 100;
        let granted = by_requests + u64::from(rule.min_per_second) * WINDOW;
        let has_one = self.tries.sum(second) <= granted;
        if !has_one {
            self.tries.take_back(second);
        }
        has_one
    }
}

/// From 1 on, so that a count of second 0 is one that was never used.
const fn second(now: u64) -> u64 {
    now / 1_000_000 + 1
}

impl Counts {
    fn add(&self, second: u64) {
        let slot = self.slot(second);
        let next = |count: u64| match count >> COUNT_BITS == second {
            true if count & MOST == MOST => None,
            true => Some(count + 1),
            false => Some(second << COUNT_BITS | 1),
        };
        // A count that is full stays full: 16 million in a second are enough for any share.
        let _ = slot.fetch_update(Relaxed, Relaxed, next);
    }

    fn take_back(&self, second: u64) {
        let back = |count: u64| {
            let is_of = count >> COUNT_BITS == second && count & MOST > 0;
            is_of.then(|| count - 1)
        };
        // Another second has begun meanwhile: its count never had it.
        let _ = self.slot(second).fetch_update(Relaxed, Relaxed, back);
    }

    fn sum(&self, second: u64) -> u64 {
        let counts = self.0.iter().map(|slot| slot.load(Relaxed));
        let recent = counts.filter(|count| second.saturating_sub(count >> COUNT_BITS) < WINDOW);
        recent.map(|count| count & MOST).sum()
    }

    fn slot(&self, second: u64) -> &AtomicU64 {
        &self.0[(second % WINDOW) as usize]
    }
}

#[cfg(test)]
mod laws {
    use proptest::prelude::*;

    use super::*;

    const fn rule(percent: u16, min_per_second: u32) -> RetryBudget {
        RetryBudget {
            percent,
            min_per_second,
        }
    }

    proptest! {
        /// In the ten seconds up to any further try there are at most the share of what arrived in them, and the few of each.
        #[test]
        fn never_more_than_the_share_and_the_few(
            percent in 0u16..=100,
            few in 0u32..5,
            seconds in prop::collection::vec((0u64..300, 0u64..300), 1..40),
        ) {
            let (budget, rule) = (Budget::default(), rule(percent, few));
            let mut granted = Vec::new();
            for (second, (requests, tries)) in (0u64..).zip(&seconds) {
                let now = second * 1_000_000;
                (0..*requests).for_each(|n| budget.arrived(now + n));
                granted.push((0..*tries).filter(|n| budget.take(now + 500_000 + n, &rule)).count() as u64);
            }
            for end in (1..=seconds.len()).filter(|end| granted[end - 1] > 0) {
                let begin = end.saturating_sub(WINDOW as usize);
                let arrived: u64 = seconds[begin..end].iter().map(|(requests, _)| requests).sum();
                let most = arrived * u64::from(percent) / 100 + u64::from(few) * WINDOW;
                prop_assert!(granted[begin..end].iter().sum::<u64>() <= most);
            }
        }

        /// Tries that stay below the share are never denied, however long it goes on.
        #[test]
        fn a_share_below_the_budget_passes(rate in 10u64..500, seconds in 1u64..60) {
            let (budget, rule) = (Budget::default(), rule(20, 0));
            for second in 0..seconds {
                for n in 0..rate {
                    let now = second * 1_000_000 + n * 1_000_000 / rate;
                    budget.arrived(now);
                    if n % 5 == 4 {
                        prop_assert!(budget.take(now, &rule));
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_quiet_for_long_may_try_a_few_times() {
        let budget = Budget::default();
        let later = 3_600_000_000;
        budget.arrived(0);
        let taken = (0..1000)
            .filter(|_| budget.take(later, &rule(20, 10)))
            .count();
        assert_eq!(taken, 100);
        assert!(!budget.take(later + 9_000_000, &rule(20, 10)));
        assert!(budget.take(later + 10_000_000, &rule(20, 10)));
    }

    #[test]
    fn threads_that_ask_at_once_share_the_budget() {
        let budget = Budget::default();
        (0..1000).for_each(|_| budget.arrived(5));
        let taken: usize = std::thread::scope(|scope| {
            let ask = || (0..500).filter(|_| budget.take(5, &rule(20, 0))).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        // Some that counted themselves and then had to give it back may have kept others out.
        assert!((1..=200).contains(&taken), "{taken}");
    }
}
