//! Whether there is anything to compare: the last minute of both sides.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Row, WINDOWS_PER_MINUTE};

/// Units of the canary in the last minute, window by window, that are needed to speak of it.
const UNIT_WINDOWS: u32 = 20;
/// Distinct units of the canary that are needed.
const UNITS: u32 = 5;
/// From this part of bad units on stable is not well,
const BURNING: f64 = 0.2;
/// if it has had so many in the last minute.
const BURNING_UNITS: u32 = 20;

/// The last minute, window by window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(VecDeque<Row>);

/// Whether there is anything to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There is.
    Comparing,
    /// Stable is not well: a rollback would lead into a fire, so nothing is compared.
    Frozen,
    /// Too few units to speak of.
    NoData,
}

impl Recent {
    /// Takes a closed window in.
    pub fn close(&mut self, total: Row) {
        self.0.push_back(total);
        while self.0.len() > WINDOWS_PER_MINUTE {
            self.0.pop_front();
        }
    }

    /// The minute as a whole.
    pub fn total(&self) -> Row {
        self.0.iter().fold(Row::default(), |sum, row| sum + *row)
    }

    /// Whether stable is not well; asked before a window is closed, so that no window decides about itself.
    pub fn is_frozen(&self) -> bool {
        let minute = self.total();
        minute.n_b >= BURNING_UNITS && f64::from(minute.k_b) >= BURNING * f64::from(minute.n_b)
    }

    /// Whether there are enough units to speak of, in an epoch with so many of the canary. Without them evidence does not
    /// move: a few users of a canary may simply be other people than those of stable.
    pub fn has_data(&self, units_c: u32) -> bool {
        let minute = self.total();
        minute.n_c >= UNIT_WINDOWS && units_c >= UNITS && minute.n_b > 0
    }

    /// What can be said after the last window, in an epoch with so many units of the canary.
    pub fn standing(&self, units_c: u32) -> Standing {
        if self.is_frozen() {
            Standing::Frozen
        } else if self.has_data(units_c) {
            Standing::Comparing
        } else {
            Standing::NoData
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(rows: &[[u32; 4]]) -> Recent {
        let mut recent = Recent::default();
        rows.iter().for_each(|row| recent.close(Row::from(*row)));
        recent
    }

    #[test]
    fn without_units_there_is_no_data_and_never_a_comparison() {
        let enough = [[10, 0, 100, 0], [10, 0, 100, 0]];
        for (rows, units_c, expected) in [
            (&enough[..0], 100, Standing::NoData),
            (&enough[..1], 100, Standing::NoData),
            (&enough[..], 4, Standing::NoData),
            (&[[40, 0, 0, 0]], 100, Standing::NoData),
            (&enough[..], 5, Standing::Comparing),
        ] {
            assert_eq!(
                minute(rows).standing(units_c),
                expected,
                "{rows:?} {units_c}"
            );
        }
    }

    #[test]
    fn a_fifth_of_bad_units_freezes_and_a_minute_later_it_may_thaw() {
        let mut recent = minute(&[[50, 0, 100, 20]]);
        assert_eq!(recent.standing(100), Standing::Frozen);
        for _ in 0..WINDOWS_PER_MINUTE {
            assert!(recent.is_frozen());
            recent.close(Row::from([50, 0, 0, 0]));
        }
        recent.close(Row::from([50, 0, 10, 0]));
        assert_eq!(recent.standing(100), Standing::Comparing);
        assert!(
            !minute(&[[50, 0, 19, 19]]).is_frozen(),
            "too few units of stable"
        );
    }
}
