//! Sums of numbers that are kept as their logarithms: stakes run from far below to far above what a float holds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The logarithm of nothing.
pub(super) const NOTHING: f64 = f64::NEG_INFINITY;

/// `ln(exp(a) + exp(b))`.
pub(super) fn add(a: f64, b: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if small == NOTHING {
        return large;
    }
    large + (small - large).exp().ln_1p()
}

/// `ln` of the sum of all `exp`.
pub(super) fn sum(logs: impl IntoIterator<Item = f64>) -> f64 {
    logs.into_iter().fold(NOTHING, add)
}

/// JSON has no infinity: nothing is `null`.
pub(super) fn serialize<S: Serializer>(rows: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
    let finite = |log: &f64| log.is_finite().then_some(*log);
    let rows: Vec<Vec<Option<f64>>> = rows
        .iter()
        .map(|row| row.iter().map(finite).collect())
        .collect();
    rows.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Vec::<Vec<Option<f64>>>::deserialize(from)?;
    let log = |log: Option<f64>| log.unwrap_or(NOTHING);
    Ok(rows
        .into_iter()
        .map(|row| row.into_iter().map(log).collect())
        .collect())
}
