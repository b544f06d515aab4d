//! Answers of the admin API, as far as they are told to people.
//!
//! Absent fields are unknown, never an error: a newer command must be able to roll back an older router.

use config::model::indexed;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Weights by pool.
pub(super) type Weights = indexed::Map<u64>;

/// `GET /api/v1/status`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) revision: u64,
    pub(super) config_digest: String,
    pub(super) started_at: String,
    pub(super) state: String,
    pub(super) warnings: Vec<String>,
    pub(super) routes: Vec<Route>,
    pub(super) pools: Vec<Pool>,
}

/// `GET /api/v1/routes/{name}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) answer: Option<String>,
    pub(super) stable: Option<String>,
    pub(super) weights: Weights,
    pub(super) owner: String,
    pub(super) draining: Vec<String>,
    pub(super) state: String,
    pub(super) share: Share,
    pub(super) cap: Option<Cap>,
    pub(super) guard: Option<Guard>,
    pub(super) ramp: Option<Ramp>,
    pub(super) since: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

/// The ramp of a route.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Ramp {
    pub(super) canary: String,
    pub(super) phase: String,
    pub(super) step: usize,
    pub(super) steps: Vec<Step>,
    pub(super) window: String,
    pub(super) left_s: u64,
    pub(super) missing: Vec<String>,
}

/// One step of a ramp.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) percent: f64,
    pub(super) hold_s: u64,
}

/// What the guard of a route says.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Guard {
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) warm: bool,
    pub(super) stable_minutes: u64,
    pub(super) metrics: Vec<Metric>,
    pub(super) budget: Option<Budget>,
}

/// What an attempt has cost, and may.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Budget {
    pub(super) users: Option<Spent>,
    pub(super) extra_errors: Option<Spent>,
}

/// So much of so much.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    pub(super) used: u64,
    pub(super) allowed: u64,
}

/// Evidence of harm in one metric.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Metric {
    pub(super) metric: String,
    pub(super) log_evidence: f64,
    pub(super) threshold: f64,
}

/// What a route's canaries get at most, and have.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Cap {
    pub(super) max_rps: u64,
    pub(super) max_concurrent: u64,
    pub(super) canaries: indexed::Map<Canary>,
}

/// A canary under a cap.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Canary {
    pub(super) in_flight: u64,
    pub(super) tokens: Option<u64>,
}

/// What a route's pools should get and do get.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Share {
    pub(super) asked: Shares,
    pub(super) users: Shares,
    pub(super) requests: Shares,
    pub(super) drift: indexed::Map<Drift>,
}

/// Why a pool's part of the requests is another one than was asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Drift {
    pub(super) users: Range,
    pub(super) requests: Range,
    pub(super) causes: indexed::Map<DriftCause>,
}

/// From where to where, 0 to 1.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// By how much a cause moves a part, and by how many requests.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct DriftCause {
    pub(super) moves: f64,
    pub(super) requests: u64,
}

/// Shares by pool; `None` where nothing was measured.
#[derive(Default)]
pub(super) struct Shares(indexed::Map<Option<f64>>);

/// A pool of the status.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) healthy: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) deregistered: u64,
    pub(super) out: Vec<Target>,
    pub(super) discovery: Option<Discovery>,
}

/// A target of `GET /api/v1/pools/{name}/targets`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) description: Option<String>,
    pub(super) weight: u64,
    pub(super) in_flight: u64,
    pub(super) since: Option<String>,
    pub(super) source: Option<String>,
    pub(super) change: Option<TargetChange>,
}

/// Who registered or deregistered a target, and why.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TargetChange {
    pub(super) actor: String,
    pub(super) reason: Option<String>,
}

/// How a pool finds its targets.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Discovery {
    pub(super) by: String,
    pub(super) answered: bool,
    pub(super) age_s: f64,
    pub(super) failure: Option<String>,
}

/// The answer to a change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Changed {
    pub(super) revision: u64,
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) in_force_ms: Option<f64>,
    pub(super) durable: Option<bool>,
    pub(super) dry_run: bool,
    pub(super) warnings: Vec<String>,
    pub(super) note: Option<String>,
    pub(super) held: Vec<Value>,
    pub(super) config_digest: Option<String>,
}

/// Weights of one route before and after.
pub(super) struct Moved {
    pub(super) route: String,
    pub(super) before: Weights,
    pub(super) after: Weights,
}

/// One line of the history.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) revision: u64,
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) actor: String,
    pub(super) reason: Option<String>,
    pub(super) annotation: Option<Annotation>,
    pub(super) routes: indexed::Map<Edit>,
    /// By cohort.
    pub(super) epochs: indexed::Map<Value>,
    /// By pool and address.
    pub(super) targets: indexed::Map<indexed::Map<TargetEdit>>,
}

/// What was noted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotation {
    pub(super) text: String,
    pub(super) route: Option<String>,
}

/// One route in the history.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Edit {
    pub(super) before: Option<Edited>,
    pub(super) after: Option<Edited>,
}

/// One target in the history: `null`, `"deregistered"` or `{"registered": WEIGHT}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TargetEdit {
    pub(super) before: Value,
    pub(super) after: Value,
}

/// One side of an edit.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Edited {
    pub(super) weights: Weights,
    pub(super) state: String,
}

impl Shares {
    /// The share of `pool`.
    pub(super) fn of(&self, pool: &str) -> Option<f64> {
        self.0.get(pool).copied().flatten()
    }
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shares = Option::<indexed::Map<Option<f64>>>::deserialize(deserializer)?;
        Ok(Self(shares.unwrap_or_default()))
    }
}

/// Weights of every route in `before` and `after`, which hold one route's weights or those of several by name.
pub(super) fn moves(before: &Value, after: &Value, route: Option<&str>) -> Vec<Moved> {
    let mut before = by_route(before, route);
    let moved = by_route(after, route).into_iter().map(|(route, after)| {
        let known = before.iter().position(|(name, _)| *name == route);
        let before = known.map(|position| before.swap_remove(position).1);
        Moved {
            route,
            before: before.unwrap_or_default(),
            after,
        }
    });
    moved.collect()
}

fn by_route(value: &Value, route: Option<&str>) -> Vec<(String, Weights)> {
    let Value::Object(entries) = value else {
        return Vec::new();
    };
    if let Some(weights) = weights(value) {
        return vec![(route.unwrap_or_default().to_owned(), weights)];
    }
    let routes = entries.iter();
    let routes = routes.filter_map(|(name, entry)| Some((name.clone(), weights(entry)?)));
    routes.collect()
}

fn weights(value: &Value) -> Option<Weights> {
    Weights::deserialize(value)
        .ok()
        .filter(|weights| !weights.is_empty())
}

/// The part of `pool` of all weights.
pub(super) fn share_of(weights: &Weights, pool: &str) -> f64 {
    let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let weight = weights.get(pool).copied().unwrap_or(0);
    if sum == 0 {
        0.0
    } else {
        weight as f64 / sum as f64
    }
}
