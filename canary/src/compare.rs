//! Two pools beside each other at one look: rates and quantiles with their intervals.
//!
//! Intervals are of 95 % and for one look; whoever looks again and again and acts on it wants the guard, whose evidence
//! holds however often one looks. They take requests for independent of each other. The requests of one client are not, so
//! the truth is somewhat wider; what is called harm is therefore judged by clients (`tail`).

/// Of the normal distribution, for 95 %.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The interval of a part of which `k` of `n` were seen: Wilson's score interval (Wilson 1927), which is right for few and
/// for none, too. All that there is when `n` is 0.
pub fn rate(k: u64, n: u64) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    wilson(k as f64 / n as f64, n as f64)
}

/// The same of a part that `n` things say as much of, which need not be whole.
pub(crate) fn wilson(part: f64, n: f64) -> Interval {
    let z2 = Z * Z;
    let center = part + z2 / (2.0 * n);
    let half = Z * (part * (1.0 - part) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Interval {
        low: ((center - half) / scale).max(0.0),
        high: ((center + half) / scale).min(1.0),
    }
}

/// The interval of the difference between the part `k` of `n` and the part `other_k` of `other_n`: Newcombe's hybrid score
/// interval (Newcombe 1998, method 10).
pub fn difference((k, n): (u64, u64), (other_k, other_n): (u64, u64)) -> Interval {
    let part = |k: u64, n: u64| if n == 0 { 0.0 } else { k as f64 / n as f64 };
    let (one, other) = (part(k, n), part(other_k, other_n));
    let (of_one, of_other) = (rate(k, n), rate(other_k, other_n));
    let below = (one - of_one.low).hypot(of_other.high - other);
    let above = (of_one.high - one).hypot(other - of_other.low);
    Interval {
        low: (one - other - below).max(-1.0),
        high: (one - other + above).min(1.0),
    }
}

/// A quantile by its bins: the bin that holds it, and those that hold the ends of its interval. The interval is that of
/// order statistics (Conover 1999, 3.2): between the ranks `n q - z sqrt(n q (1 - q))` and `n q + z sqrt(n q (1 - q))`.
/// `counts` are in the order of the bins; `None` when they are all 0.
pub fn quantile(counts: &[u64], quantile: f64) -> Option<[usize; 3]> {
    let n: u64 = counts.iter().sum();
    if n == 0 {
        return None;
    }
    let rank = n as f64 * quantile;
    let half = Z * (rank * (1.0 - quantile)).sqrt();
    let bin = |rank: f64| {
        // The first and the last observation bound it when there are too few.
        let rank = (rank.ceil().max(1.0) as u64).min(n);
        let mut sum = 0;
        counts.iter().position(|count| {
            sum += count;
            sum >= rank
        })
    };
    // The upper one a rank later (Campbell and Gardner 1988), which is never too narrow.
    Some([bin(rank - half)?, bin(rank)?, bin(rank + half + 1.0)?])
}

/// The chance that of `n` things that each happen on one side with chance `part`, at least `k` do.
///
/// With clients that had something bad happen to them for things: a client is on a pool by lot, so under no difference
/// each of them is on the canary with the chance of its share, whatever paths they ask for and how often.
pub fn tail(k: u64, n: u64, part: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n || part <= 0.0 {
        return 0.0;
    }
    if part >= 1.0 {
        return 1.0;
    }
    let odds = part / (1.0 - part);
    let ratio = |i: u64| (n - i) as f64 / (i + 1) as f64 * odds;
    // In logarithms, so that nothing underflows.
    let mut log_term = n as f64 * (-part).ln_1p();
    let mut below = 0.0;
    for i in 0..k {
        below += log_term.exp();
        log_term += ratio(i).ln();
    }
    if k as f64 <= n as f64 * part {
        // It is the larger part of all, so that the rest of 1 is exact enough.
        return (1.0 - below).max(0.0);
    }
    // From here on each term is smaller than the one before, and what is too small to count is left out.
    let (mut i, mut term, mut sum) = (k, 1.0, 0.0);
    while term > sum * f64::EPSILON {
        sum += term;
        term *= ratio(i);
        i += 1;
    }
    (log_term + sum.ln()).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(interval: Interval, low: f64, high: f64) {
        let close = |one: f64, other: f64| (one - other).abs() < 5e-5;
        assert!(
            close(interval.low, low) && close(interval.high, high),
            "{interval:?}"
        );
    }

    /// Newcombe's own examples (Statistics in Medicine 17, 1998: 857-872 and 873-890).
    #[test]
    fn intervals_are_those_of_the_papers() {
        near(rate(81, 263), 0.2553, 0.3662);
        near(rate(15, 148), 0.0624, 0.1605);
        near(rate(0, 20), 0.0, 0.1611);
        near(rate(1, 29), 0.0061, 0.1718);
        near(difference((56, 70), (48, 80)), 0.0524, 0.3339);
        near(difference((9, 10), (3, 10)), 0.1705, 0.8090);
        near(difference((5, 56), (0, 29)), -0.0381, 0.1926);
        near(difference((0, 10), (0, 20)), -0.1611, 0.2775);
        near(difference((10, 10), (0, 20)), 0.6791, 1.0);
        near(rate(0, 0), 0.0, 1.0);
    }

    #[test]
    fn a_quantile_lies_between_its_order_statistics() {
        let counts = [1; 1000];
        assert_eq!(quantile(&counts, 0.5), Some([469, 499, 531]));
        assert_eq!(quantile(&counts, 0.99), Some([983, 989, 997]));
        assert_eq!(quantile(&[0, 3, 0], 0.99), Some([1, 1, 1]));
        assert_eq!(quantile(&[0, 0], 0.5), None);
    }

    /// Lots of many samples: the interval holds the true quantile about as often as it says.
    #[test]
    fn the_interval_of_a_quantile_covers_it() {
        let mut state = 1_u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % 1000
        };
        let n_covered = (0..1000)
            .filter(|_| {
                let mut counts = [0; 1000];
                (0..400).for_each(|_| counts[draw()] += 1);
                let [low, _, high] = quantile(&counts, 0.9).unwrap();
                (low..=high).contains(&900)
            })
            .count();
        println!("{n_covered} of 1000 intervals hold the quantile, bound 930");
        assert!(n_covered >= 930);
    }

    #[test]
    fn a_tail_is_exact() {
        let close = |one: f64, other: f64| (one / other - 1.0).abs() < 1e-9;
        assert!(close(tail(5, 5, 0.1), 1e-5));
        assert!(close(tail(1, 2, 0.5), 0.75));
        // 1 - (1 - p)^n - n p (1 - p)^(n - 1)
        let exact = 1.0 - 0.9_f64.powi(20) - 20.0 * 0.1 * 0.9_f64.powi(19);
        assert!(close(tail(2, 20, 0.1), exact));
        assert!(close(tail(0, 0, 0.3), 1.0));
        assert_eq!((tail(3, 2, 0.5), tail(1, 1, 1.0)), (0.0, 1.0));
        assert!(tail(500, 1000, 0.01) < 1e-300, "nothing overflows");
        // The two sides of each number are 1 together, on either side of the mean.
        for k in 1..=30 {
            let both = tail(k, 30, 0.3) + tail(31 - k, 30, 0.7);
            assert!(close(both, 1.0), "{k}: {both}");
        }
    }

    /// More than could be walked through: the work is by `k`, not by `n`.
    #[test]
    fn a_tail_of_very_many_is_that_of_poisson() {
        let (n, mean) = (1_000_000_000_000, 1.0_f64);
        let exact = 1.0 - (-mean).exp() * (1.0 + mean + mean * mean / 2.0);
        let found = tail(3, n, mean / n as f64);
        assert!((found / exact - 1.0).abs() < 1e-9, "{found} {exact}");
        assert!(tail(128, n, 0.1) > 0.999);
    }
}
