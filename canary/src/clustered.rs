//! The part of requests that one side has, when they come from clients who send many of them.
//!
//! All requests of a client go to one side, so an interval that takes them for independent is too narrow by far. How much
//! chance does depends on the sum of the squares of what each client sends (Kish 1965, 11.7): 10,000 requests of one
//! client say no more than one. That sum is estimated without counting any client by itself: clients are divided at random
//! into groups, and the more unequal clients are, the more unequal are the groups.

use crate::compare::{self, Interval, Z};

/// Groups that clients are divided into.
pub const GROUPS: usize = 16;

/// The quantile of Student's t for 95 % and one degree of freedom less than there are groups: the groups are few, and what
/// they say of clients is uncertain itself.
const T: f64 = 2.131;

/// The interval of the part of one side, with 95 %, of which `k` of `n` requests were seen. `groups` are those of the
/// requests that a lot sent to their side, one lot a client; `n_clients` is how many clients there were at least, which
/// counts where all groups are equal.
pub fn rate(k: u64, n: u64, groups: &[u64; GROUPS], n_clients: u64) -> Interval {
    if n == 0 {
        return compare::rate(k, n);
    }
    let n_groups = GROUPS as f64;
    let mean = groups.iter().sum::<u64>() as f64 / n_groups;
    let beyond = groups.iter().map(|group| (*group as f64 - mean).powi(2));
    let squares = beyond.sum::<f64>() * n_groups / (n_groups - 1.0);
    let (part, n) = (k as f64 / n as f64, n as f64);
    // As many requests of as many clients would scatter like that.
    let like = if squares > 0.0 {
        n * n / squares * (Z / T).powi(2)
    } else {
        n_clients.max(1) as f64
    };
    compare::wilson(part, like.min(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(mut state: u64) -> impl FnMut() -> f64 {
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// How many of 1,000 intervals hold a share of 20 %, by clients and by requests; 2 % of the clients send `heavy`
    /// requests, all others one.
    fn held(heavy: u64) -> (u32, u32) {
        let (mut draw, share) = (draws(7), 0.2);
        let holds = |it: Interval| u32::from(it.low <= share && share <= it.high);
        let (mut by_clients, mut by_requests) = (0, 0);
        for _ in 0..1_000 {
            let (mut groups, mut k) = ([0; GROUPS], 0);
            for _ in 0..2_000 {
                let n = if draw() < 0.02 { heavy } else { 1 };
                groups[(draw() * GROUPS as f64) as usize] += n;
                k += if draw() < share { n } else { 0 };
            }
            let n = groups.iter().sum();
            by_clients += holds(rate(k, n, &groups, 2_000));
            by_requests += holds(compare::rate(k, n));
        }
        (by_clients, by_requests)
    }

    #[test]
    fn the_interval_holds_what_was_asked_whatever_clients_send() {
        for heavy in [1, 50, 2_000] {
            let (by_clients, by_requests) = held(heavy);
            println!(
                "{heavy}: {by_clients} of 1000 hold the share, bound 930; {by_requests} by requests"
            );
            assert!(by_clients >= 930, "{heavy}: {by_clients}");
            assert!(heavy == 1 || by_requests < 700, "{heavy}: {by_requests}");
        }
    }

    #[test]
    fn many_requests_of_one_client_say_no_more_than_one() {
        let mut groups = [10; GROUPS];
        groups[3] += 10_000;
        let Interval { low, high } = rate(10_000, 10_160, &groups, 161);
        assert!(low < 0.25 && high > 0.99, "{low} {high}");
        // Nobody drew a lot for what flags send.
        let flagged = rate(10_000, 10_160, &[10; GROUPS], 160);
        assert!(flagged.low > 0.95, "{flagged:?}");
    }

    #[test]
    fn groups_that_are_equal_leave_it_to_the_number_of_clients() {
        assert_eq!(rate(0, 1_600, &[100; GROUPS], 40), compare::rate(0, 40));
        assert_eq!(rate(0, 0, &[0; GROUPS], 0), compare::rate(0, 0));
    }
}
