//! How long harm would go unseen: what is shown before a step is taken.

use super::bet::Bet;
use super::process::Terms;

/// What a window is expected to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Units of the canary at risk.
    pub n_c: f64,
    /// Units of stable at risk.
    pub n_b: f64,
    /// The part of stable's units that is bad.
    pub p_b: f64,
    /// The part of the canary's units that would be bad.
    pub p_c: f64,
    /// Distinct units of the canary so far.
    pub units_c: f64,
}

/// The part of the units that is left when one group of eight is left out.
const LEFT: f64 = 7.0 / 8.0;

/// Windows until a rollback, on average; `at_step` when the harm begins with more for the canary, and not later by itself.
/// `None`: never, because no harm by the terms is as small.
pub fn time_to_detect(terms: &Terms, traffic: &Traffic, at_step: bool) -> Option<f64> {
    let part = if at_step { terms.step } else { terms.drip };
    let need = terms.threshold() - part.ln() + (terms.harms.len() as f64).ln();
    let best = terms.harms.iter().map(|harm| growth(terms, traffic, *harm));
    let best = best.fold(f64::NEG_INFINITY, |best, growth| {
        best.max(growth.min(terms.clip))
    });
    (best > 0.0).then(|| need / best)
}

/// The smallest part of bad units of the canary that is found within so many windows; `None` when not even a canary that
/// fails always is.
pub fn smallest_harm(terms: &Terms, traffic: &Traffic, windows: f64, at_step: bool) -> Option<f64> {
    let is_found = |p_c: f64| {
        let traffic = Traffic { p_c, ..*traffic };
        time_to_detect(terms, &traffic, at_step).is_some_and(|needed| needed <= windows)
    };
    if !is_found(1.0) {
        return None;
    }
    let (mut unseen, mut seen) = (traffic.p_b.min(1.0), 1.0);
    // What is found falls with the size of the harm, so halving comes closer to the border each time.
    while seen - unseen > 1e-5 {
        let middle = f64::midpoint(unseen, seen);
        if is_found(middle) {
            seen = middle;
        } else {
            unseen = middle;
        }
    }
    Some(seen)
}

/// What evidence grows by in a window, on average, if one bets on `harm`.
fn growth(terms: &Terms, traffic: &Traffic, harm: f64) -> f64 {
    let left = if terms.leave_out { LEFT } else { 1.0 };
    let (n_c, n_b) = (left * traffic.n_c, left * traffic.n_b);
    if n_c <= 0.0 || n_b <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let bet = Bet::new(n_c, n_b, terms.allowed_ratio(traffic.units_c), harm);
    n_c * traffic.p_c * bet.gain - n_b * traffic.p_b * bet.loss - terms.margin * n_c * bet.drag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Metric;
    use crate::guard::whole::tests::rules;

    #[test]
    fn the_smallest_harm_is_found_in_the_time_and_a_smaller_one_is_not() {
        let terms = rules().terms(Metric::Errors);
        let traffic = Traffic {
            n_c: 50.0,
            n_b: 450.0,
            p_b: 0.001,
            p_c: 0.0,
            units_c: 2_000.0,
        };
        let windows = 720.0;
        let harm = smallest_harm(&terms, &traffic, windows, true).unwrap();
        let found = |p_c: f64| {
            time_to_detect(&terms, &Traffic { p_c, ..traffic }, true)
                .is_some_and(|needed| needed <= windows)
        };
        println!(
            "0.1 % on stable, 10 % canary, 100 requests/s: {:.3} % is found within an hour",
            harm * 100.0
        );
        assert!(found(harm) && !found(harm - 2e-5));
        assert_eq!(smallest_harm(&terms, &traffic, 0.5, true), None);
    }
}
