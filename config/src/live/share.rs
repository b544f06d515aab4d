//! A pool's part of its route, compared exactly: no rounding decides whether a canary is raised.

use std::fmt;

use super::Weights;
use super::refusal::Refusal;
use super::routes::canaries;
use crate::model;
use crate::split::BUCKETS;

/// Largest weight of a pool.
const MAX_WEIGHT: u32 = 1_000_000;

/// Weight over sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    weight: u32,
    sum: u64,
}

/// A canary whose share would rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raise {
    pub(super) pool: String,
    pub(super) before: Share,
    pub(super) after: Share,
}

impl Share {
    /// The part of `pool`; a pool without a weight has none.
    pub fn of(weights: &Weights, pool: &str) -> Self {
        Self {
            weight: weights.get(pool).copied().unwrap_or(0),
            sum: sum(weights).max(1),
        }
    }

    /// As a part of 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.weight) / self.sum as f64
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        self.ratio() * 100.0
    }

    fn exceeds(self, other: Self) -> bool {
        u128::from(self.weight) * u128::from(other.sum)
            > u128::from(other.weight) * u128::from(self.sum)
    }
}

/// As `12.5 %`, to a hundredth.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.percent() * 100.0).round() / 100.0;
        write!(f, "{hundredths} %")
    }
}

/// The part of all pools but `stable` together, 0 to 1.
pub fn canaries_share(weights: &Weights, stable: &str) -> f64 {
    let canaries = weights.keys().filter(|pool| *pool != stable);
    canaries.map(|pool| Share::of(weights, pool).ratio()).sum()
}

fn sum(weights: &Weights) -> u64 {
    weights.values().copied().map(u64::from).sum()
}

/// The canary of `route` that rises most from `before` to `after`.
pub(super) fn raise(route: &model::Route, before: &Weights, after: &Weights) -> Option<Raise> {
    canaries(route)
        .map(|pool| Raise {
            pool: pool.to_owned(),
            before: Share::of(before, pool),
            after: Share::of(after, pool),
        })
        .filter(|raise| raise.after.exceeds(raise.before))
        .max_by(|a, b| a.points().total_cmp(&b.points()))
}

impl Raise {
    /// The rise in percent points.
    pub(super) fn points(&self) -> f64 {
        self.after.percent() - self.before.percent()
    }

    /// Whether the rise is more than `route` allows in one change.
    pub(super) fn oversteps(&self, route: &model::Route) -> bool {
        // The slack is below the finest share, and above what division loses.
        route.max_step > 0.0 && self.points() > route.max_step + 1e-6
    }
}

/// Whether `weights` can be split into buckets: within bounds, not all 0, and every pool with a weight gets a bucket.
pub(super) fn divisible(route: &model::Route, weights: &Weights) -> Result<(), Refusal> {
    if let Some((pool, weight)) = weights.iter().find(|(_, weight)| **weight > MAX_WEIGHT) {
        return Err(Refusal::Heavy {
            pool: pool.clone(),
            weight: *weight,
        });
    }
    let sum = sum(weights);
    if sum == 0 {
        return Err(Refusal::AllZero);
    }
    match unplaced(route, weights, sum) {
        Some((pool, weight)) => Err(Refusal::NoBucket {
            pool: pool.to_owned(),
            weight,
        }),
        None => Ok(()),
    }
}

/// The first canary with a weight and without a bucket; stable always keeps one, because edges are rounded down.
fn unplaced<'a>(route: &'a model::Route, weights: &Weights, sum: u64) -> Option<(&'a str, u32)> {
    let (mut total, mut edge) = (0, 0);
    for pool in canaries(route) {
        let weight = weights.get(pool).copied().unwrap_or(0);
        total += u64::from(weight);
        let next = total * u64::from(BUCKETS) / sum;
        if weight > 0 && next == edge {
            return Some((pool, weight));
        }
        edge = next;
    }
    None
}
