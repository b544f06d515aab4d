//! Evidence of no harm: what opens the next step of a ramp.
//!
//! The same bets as those on harm, made on the contrary. A canary that is as bad as the terms say opens a gate with a
//! chance of at most `alpha`, however long one waits.

use serde::{Deserialize, Serialize};

use super::{Row, bet, log};

/// What a harmful canary would be, and how sure its absence must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateTerms {
    /// Chance that a harmful canary opens the gate.
    pub alpha: f64,
    /// A canary is harmful when its rate is at least this many times that of stable,
    pub ratio: f64,
    /// plus this.
    pub margin: f64,
    /// What is bet on, in multiples of that rate; below 1.
    pub harms: Vec<f64>,
}

impl Default for GateTerms {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            ratio: 1.5,
            margin: 0.001,
            harms: vec![0.1, 0.35, 0.65],
        }
    }
}

impl GateTerms {
    /// Evidence that is enough.
    pub fn threshold(&self) -> f64 {
        -self.alpha.ln()
    }
}

/// The evidence of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    log_position: Vec<f64>,
    open: bool,
}

impl Gate {
    /// Shut, without evidence.
    pub fn new(terms: &GateTerms) -> Self {
        Self {
            log_position: vec![0.0; terms.harms.len()],
            open: false,
        }
    }

    /// Takes a window in, with the counts of all groups; returns the evidence after it.
    pub fn close(&mut self, terms: &GateTerms, row: Row, temper: f64) -> f64 {
        for (position, harm) in self.log_position.iter_mut().zip(&terms.harms) {
            *position += temper * bet::log_e(row, terms.ratio, terms.margin, *harm);
        }
        let log_e = self.log_e();
        self.open |= log_e >= terms.threshold();
        log_e
    }

    /// The evidence so far.
    pub fn log_e(&self) -> f64 {
        let n_harms = self.log_position.len() as f64;
        log::sum(self.log_position.iter().copied()) - n_harms.ln()
    }

    /// Whether there ever was enough.
    pub const fn is_open(&self) -> bool {
        self.open
    }
}
