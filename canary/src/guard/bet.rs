//! One bet on one window: what a stake becomes if the canary's rate is `harm` times what is allowed.

use super::Row;

/// What one unit changes of the logarithm of a stake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bet {
    /// A bad unit of the canary adds this.
    pub(super) gain: f64,
    /// A bad unit of stable takes this away.
    pub(super) loss: f64,
    /// A unit of the canary, bad or not, takes away this times the margin.
    pub(super) drag: f64,
}

impl Bet {
    /// For so many units of the canary and of stable, none of them 0.
    ///
    /// `harm` above 1 bets on harm, below 1 on its absence.
    /// With `a = harm * b` and `b = 1 / (1 + s m)` the expectation under no harm is at most 1: the rate of stable,
    /// which nobody knows, cancels.
    pub(super) fn new(n_c: f64, n_b: f64, ratio: f64, harm: f64) -> Self {
        let m = harm - 1.0;
        let all = ratio * n_c + n_b;
        let (s, rest) = (ratio * n_c / all, n_b / all);
        Self {
            gain: -(-rest * m / harm).ln_1p(),
            loss: (s * m).ln_1p(),
            drag: m * rest / (1.0 + s * m),
        }
    }
}

/// The logarithm of what a stake of 1 becomes in one window; 0 when a side is missing.
///
/// `ratio` and `margin` say what no harm means, `harm` how large the harm is that the bet is on.
pub fn log_e(row: Row, ratio: f64, margin: f64, harm: f64) -> f64 {
    if !row.has_both() {
        return 0.0;
    }
    let n_c = f64::from(row.n_c);
    let bet = Bet::new(n_c, f64::from(row.n_b), ratio, harm);
    f64::from(row.k_c) * bet.gain - f64::from(row.k_b) * bet.loss - margin * n_c * bet.drag
}
