//! The hard limit: no statistics, but seconds. For a canary that fails half of what it gets while stable does not.

use std::collections::VecDeque;

use super::Units;

/// When the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardTerms {
    /// Seconds that are looked back on.
    pub seconds: usize,
    /// Requests of the canary in them, at least.
    pub requests: u64,
    /// The part of them that is bad, at least.
    pub error_ratio: f64,
    /// Distinct units with a bad request, at least: one user alone takes nothing back.
    pub bad_units: usize,
    /// Not when this part of stable's requests is bad as well.
    pub stable_error_ratio: f64,
}

/// Requests of one second.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Of the canary.
    pub n_c: u64,
    /// Bad ones.
    pub k_c: u64,
    /// Units of the canary that had them.
    pub bad_units: Units,
    /// Of stable.
    pub n_b: u64,
    /// Bad ones.
    pub k_b: u64,
}

/// The last seconds.
#[derive(Clone, Debug, Default)]
pub struct HardLimit(VecDeque<Second>);

impl HardLimit {
    /// Takes a second in; whether the limit is reached now.
    pub fn second(&mut self, terms: &HardTerms, second: Second) -> bool {
        self.0.push_back(second);
        while self.0.len() > terms.seconds {
            self.0.pop_front();
        }
        self.is_reached(terms)
    }

    /// Forgets what was.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Requests of the canary and bad ones, then of stable, in the seconds that are looked back on.
    pub fn counts(&self) -> [u64; 4] {
        self.0.iter().fold([0; 4], |[n_c, k_c, n_b, k_b], second| {
            [
                n_c + second.n_c,
                k_c + second.k_c,
                n_b + second.n_b,
                k_b + second.k_b,
            ]
        })
    }

    fn is_reached(&self, terms: &HardTerms) -> bool {
        let [n_c, k_c, n_b, k_b] = self.counts();
        let has_harm = n_c >= terms.requests && k_c as f64 >= terms.error_ratio * n_c as f64;
        let is_shared = n_b > 0 && k_b as f64 >= terms.stable_error_ratio * n_b as f64;
        has_harm && !is_shared && self.bad_units() >= terms.bad_units
    }

    fn bad_units(&self) -> usize {
        let mut units = Units::default();
        units.extend(self.0.iter().flat_map(|second| second.bad_units.iter()));
        units.len()
    }
}
