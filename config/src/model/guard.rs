//! `[routes.guard]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// Compares every canary of a route with its stable pool, every five seconds, and takes it back when there is evidence of
/// harm. It acts when the table is there, and counts a client once in five seconds, whatever it sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// What is done: everything back to `stable`, latched; or canaries may not rise any more; or it is only told.
    pub on_trip: OnTrip,
    /// Chance of a false rollback over a whole attempt, however often one looks. A change of this and of the bounds below
    /// counts from the next attempt on.
    #[schemars(range(min = 0.000001, max = 0.5))]
    pub alpha: f64,
    /// What is no harm in 5xx, failed connects and timeouts of targets.
    pub errors: ErrorBound,
    /// What is no harm in 401, 403, 404 and 429 of targets.
    pub client_errors: ClientErrorBound,
    /// What is no harm in times to the head of an answer, at the median, the 90th and the 99th percentile.
    pub latency: LatencyBound,
    /// Takes back within seconds, without statistics, when a canary fails that much and stable does not.
    pub hard_limit: HardLimit,
    /// What an attempt may cost. When it has, canaries may not rise any more until `resume`, which begins another attempt.
    pub budget: Budget,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            on_trip: OnTrip::default(),
            alpha: 0.001,
            errors: ErrorBound::default(),
            client_errors: ClientErrorBound::default(),
            latency: LatencyBound::default(),
            hard_limit: HardLimit::default(),
            budget: Budget::default(),
        }
    }
}

/// What is done when there is evidence of harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTrip {
    /// It is only told.
    Alert,
    /// Canaries stay where they are, and may not rise until `resume`.
    Freeze,
    /// Everything goes back to stable, latched.
    #[default]
    Rollback,
}

/// What is no harm in failures of targets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorBound {
    /// A canary may fail this many times as often as stable,
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub ratio: f64,
    /// plus this part of its clients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
}

impl Default for ErrorBound {
    fn default() -> Self {
        Self {
            ratio: 1.5,
            margin: 0.0005,
        }
    }
}

/// What is no harm in refusals of targets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientErrorBound {
    /// A canary may refuse this many times as often as stable,
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub ratio: f64,
    /// plus this part of its clients.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
}

impl Default for ClientErrorBound {
    fn default() -> Self {
        Self {
            ratio: 2.0,
            margin: 0.005,
        }
    }
}

/// What is no harm in times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyBound {
    /// A canary may be slower by this part of stable's time,
    #[schemars(range(min = 0.0, max = 100.0))]
    pub relative: f64,
    /// plus this.
    pub absolute: Duration,
}

impl Default for LatencyBound {
    fn default() -> Self {
        Self {
            relative: 0.10,
            absolute: Duration::millis(5),
        }
    }
}

/// What takes a canary back within seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HardLimit {
    /// Requests that the canary must have had within `window`, from five clients at least.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// The part of them that must have failed, while less than a tenth of stable's did.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub error_ratio: f64,
    /// How long is looked back, in whole seconds up to a minute.
    pub window: Duration,
}

impl Default for HardLimit {
    fn default() -> Self {
        Self {
            requests: 20,
            error_ratio: 0.5,
            window: Duration::seconds(10),
        }
    }
}

/// What an attempt may cost, by keys that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Users that canaries have had, by what makes them sticky; counted to about a percent. A client without a cookie or
    /// key counts anew with each request.
    #[schemars(range(min = 1, max = 400000))]
    pub users: Option<u32>,
    /// Requests of canaries that failed, beyond as many as would have at stable's rate of the moment.
    #[schemars(range(min = 1))]
    pub extra_errors: Option<u32>,
}
