//! Counts of one window: units at risk and bad ones, of both sides.

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Groups of units; the last three bits of a unit say which.
pub const GROUPS: usize = 8;

/// Units of one window.
///
/// Written as the four numbers in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 4]", into = "[u32; 4]")]
pub struct Row {
    /// Units of the canary at risk.
    pub n_c: u32,
    /// Those of them that had a bad request.
    pub k_c: u32,
    /// Units of stable at risk.
    pub n_b: u32,
    /// Those of them that had a bad request.
    pub k_b: u32,
}

/// Counts by group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rows(pub [Row; GROUPS]);

impl Rows {
    /// All groups together.
    pub fn total(&self) -> Row {
        self.0.iter().fold(Row::default(), |sum, row| sum + *row)
    }
}

impl Row {
    /// Whether the sides can be compared.
    pub const fn has_both(&self) -> bool {
        self.n_c > 0 && self.n_b > 0
    }
}

impl From<[u32; 4]> for Row {
    fn from([n_c, k_c, n_b, k_b]: [u32; 4]) -> Self {
        Self { n_c, k_c, n_b, k_b }
    }
}

impl From<Row> for [u32; 4] {
    fn from(row: Row) -> Self {
        [row.n_c, row.k_c, row.n_b, row.k_b]
    }
}

impl Add for Row {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            n_c: self.n_c + other.n_c,
            k_c: self.k_c + other.k_c,
            n_b: self.n_b + other.n_b,
            k_b: self.k_b + other.k_b,
        }
    }
}

impl AddAssign for Row {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Row {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            n_c: self.n_c - other.n_c,
            k_c: self.k_c - other.k_c,
            n_b: self.n_b - other.n_b,
            k_b: self.k_b - other.k_b,
        }
    }
}
