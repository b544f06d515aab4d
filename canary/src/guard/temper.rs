//! How much a pool's rate of bad units changes from minute to minute by itself, and how much less a window counts for it.

use serde::{Deserialize, Serialize};

use super::WINDOWS_PER_MINUTE;

/// After so many minutes a minute counts half.
const HALF_LIFE_MIN: f64 = 30.0;
/// The excess before anything was seen.
const FIRST_EXCESS: f64 = 0.1;
/// What one minute may say of the excess.
const CLAMP: f64 = 4.0;

/// What is known of the restlessness of stable. It learns from the start of the router, whether a canary has a weight or
/// not: a cold one lets noise pass for harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temper {
    rate: Option<f64>,
    excess: f64,
    last: Option<Minute>,
    minutes: u32,
}

/// A minute of stable: its rate, and of how many units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Minute {
    rate: f64,
    units: f64,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            rate: None,
            excess: FIRST_EXCESS,
            last: None,
            minutes: 0,
        }
    }
}

impl Temper {
    /// Takes in a minute of stable: units at risk, and bad ones. A minute without units says nothing.
    pub fn minute(&mut self, units: u32, bad: u32) {
        if units == 0 {
            return;
        }
        self.minutes += 1;
        let keep = (-1.0 / HALF_LIFE_MIN).exp2();
        let minute = Minute {
            rate: f64::from(bad) / f64::from(units),
            units: f64::from(units),
        };
        let rate = match self.rate {
            None => minute.rate,
            Some(rate) => keep * rate + (1.0 - keep) * minute.rate,
        };
        self.rate = Some(rate);
        if let Some(last) = self.last
            && rate > 0.0
        {
            let by_chance = rate * (1.0 / minute.units + 1.0 / last.units);
            let step = minute.rate - last.rate;
            let seen = (step * step - by_chance) / (2.0 * rate * rate);
            self.excess = keep * self.excess + (1.0 - keep) * seen.clamp(-CLAMP, CLAMP);
        }
        self.last = Some(minute);
    }

    /// How much a window with so many units at risk counts: at most 1.
    pub fn factor(&self, n_c: u32, n_b: u32) -> f64 {
        let rate = self.rate.unwrap_or(0.0);
        let expected = |units: u32| rate * f64::from(units) * WINDOWS_PER_MINUTE as f64;
        let (bad_c, bad_b) = (expected(n_c), expected(n_b));
        if self.excess <= 0.0 || bad_c + bad_b == 0.0 {
            return 1.0;
        }
        1.0 / (1.0 + 2.0 * self.excess * bad_c * bad_b / (bad_c + bad_b))
    }

    /// Rate of bad units of stable lately; `None` before the first minute.
    pub const fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// By how much the rate changes beyond chance: the square of its coefficient of variation.
    pub const fn excess(&self) -> f64 {
        self.excess
    }

    /// Minutes of stable that it knows.
    pub const fn minutes(&self) -> u32 {
        self.minutes
    }
}
