//! Two answers to one request: do they differ more often than the same pool differs from itself?
//!
//! Each request is asked three times: of the serving pool, of the candidate, and of the serving pool once more, as a control.
//! Only requests in which exactly one of the latter two differs from the first say anything; a field that always differs
//! (a date, an id) differs in both. Under no difference the candidate's differ alone at most `RATIO` times as often as the
//! control's, plus `MARGIN` of all requests; the evidence against that is the stake of `guard::log_e`, with as many units on
//! each side as there are requests.

use crate::guard::{Row, log_e};

/// The candidate may differ alone this many times as often as the control does,
pub const RATIO: f64 = 1.1;
/// plus this part of all requests.
pub const MARGIN: f64 = 0.0003;
/// The sizes of differences that are bet on, with equal parts of the stake.
const HARMS: [f64; 5] = [1.5, 2.5, 5.0, 15.0, 60.0];

/// What requests to one endpoint say of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Requests.
    pub n: u64,
    /// Those in which only the candidate differs.
    pub candidate: u64,
    /// Those in which only the control does.
    pub control: u64,
}

/// Evidence that the candidate differs, as a logarithm; 0 without any.
pub fn log_evidence(pairs: Pairs) -> f64 {
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let row = Row {
        n_c: count(pairs.n),
        k_c: count(pairs.candidate),
        n_b: count(pairs.n),
        k_b: count(pairs.control),
    };
    let stakes = HARMS.map(|harm| log_e(row, RATIO, MARGIN, harm));
    let most = stakes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = stakes.iter().map(|stake| (stake - most).exp()).sum();
    most + sum.ln() - (HARMS.len() as f64).ln()
}

/// How much evidence is enough when so many questions are asked and the chance of any false answer is to be at most `alpha`,
/// however often one looks.
pub fn threshold(alpha: f64, questions: usize) -> f64 {
    (questions.max(1) as f64 / alpha).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of looks at streams without a difference; how many ever had enough evidence.
    fn false_findings(runs: u64, rate: f64, seed: u64) -> usize {
        let mut state = seed | 1;
        let mut draw = move || {
            // SplitMix64: a run is told by its seed.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        let enough = threshold(0.05, 1);
        (0..runs)
            .filter(|_| {
                let mut pairs = Pairs::default();
                (0..2000).any(|_| {
                    let (one, other) = (draw() < rate, draw() < rate);
                    pairs.n += 1;
                    pairs.candidate += u64::from(one && !other);
                    pairs.control += u64::from(other && !one);
                    log_evidence(pairs) >= enough
                })
            })
            .count()
    }

    #[test]
    fn without_a_difference_evidence_is_rare_however_often_one_looks() {
        for (rate, seed) in [(0.001, 1), (0.05, 2), (0.5, 3), (0.95, 4)] {
            let found = false_findings(400, rate, seed);
            println!("{found} of 400 at rate {rate}, seed {seed}, bound 20 on average");
            assert!(found <= 33, "{found} at {rate}");
        }
    }

    #[test]
    fn what_always_differs_in_one_endpoint_of_fifty_is_found_within_forty_requests() {
        let enough = threshold(0.001, 50 * 20);
        let found = (1..).find(|n| {
            let pairs = Pairs {
                n: *n,
                candidate: *n,
                control: 0,
            };
            log_evidence(pairs) >= enough
        });
        assert!(found.is_some_and(|n| n <= 40), "{found:?}");
    }

    #[test]
    fn what_differs_as_often_in_the_control_is_no_evidence() {
        let pairs = |candidate, control| Pairs {
            n: 10_000,
            candidate,
            control,
        };
        assert!(log_evidence(pairs(300, 300)) < 0.0);
        assert!(log_evidence(pairs(2, 0)) < threshold(0.001, 1));
        assert!(log_evidence(pairs(0, 500)) < 0.0);
        assert!(log_evidence(pairs(300, 100)) > threshold(0.001, 1000));
        assert_eq!(log_evidence(Pairs::default()), 0.0);
    }
}
