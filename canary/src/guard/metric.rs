//! What the guard watches, and the terms of each.

use serde::{Deserialize, Serialize};

use super::Terms;

/// Something a canary may do worse than stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Failures of the target: 5xx, no connection, no answer in time.
    Errors,
    /// Answers that migrations really break: 401, 403, 404, 429.
    ClientErrors,
    /// Time to the head of an answer, above the median of stable's past.
    LatencyP50,
    /// The same, above its 90th percentile.
    LatencyP90,
    /// The same, above its 99th percentile.
    LatencyP99,
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// Every metric, in the order in which they are kept.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Errors,
        Self::ClientErrors,
        Self::LatencyP50,
        Self::LatencyP90,
        Self::LatencyP99,
    ];

    /// The word in answers, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::ClientErrors => "client_errors",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP90 => "latency_p90",
            Self::LatencyP99 => "latency_p99",
        }
    }

    /// The part of alpha that it may use; a tenth is left for what a router of a fleet finds by itself.
    const fn share(self) -> f64 {
        match self {
            Self::Errors => 0.45,
            Self::LatencyP99 => 0.15,
            Self::ClientErrors | Self::LatencyP50 | Self::LatencyP90 => 0.10,
        }
    }
}

/// Quantiles of stable's past above which a time is slow, in the order of the metrics.
pub const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// What no harm means for a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The canary's may be so many times that of stable,
    pub ratio: f64,
    /// plus this.
    pub margin: f64,
}

/// What no harm means for a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slack {
    /// The canary may be slower by this part,
    pub relative: f64,
    /// plus so many milliseconds.
    pub absolute_ms: f64,
}

/// What an operator asks of the guard of a route. It holds for a whole attempt: a change of it counts from the next one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Chance of a false rollback over a whole attempt.
    pub alpha: f64,
    /// Failures of the target.
    pub errors: Bound,
    /// 401, 403, 404, 429.
    pub client_errors: Bound,
    /// Times to the head of an answer.
    pub latency: Slack,
    /// The part of the stake that is put at risk in each window; see `drip`.
    pub drip: f64,
}

/// The part of the stake to put at risk in each window of an attempt that is planned to take so long.
pub fn drip(planned_s: f64) -> f64 {
    (super::WINDOW_S as f64 / planned_s).clamp(1e-6, 1e-3)
}

impl Rules {
    /// The terms of `metric`.
    pub fn terms(&self, metric: Metric) -> Terms {
        let (bound, harms) = match metric {
            Metric::Errors => (self.errors, [1.5, 2.5, 5.0, 15.0, 60.0]),
            Metric::ClientErrors => (self.client_errors, [1.5, 2.5, 5.0, 15.0, 60.0]),
            _ => (SLOW, [1.2, 1.5, 2.5, 6.0, 20.0]),
        };
        Terms {
            alpha: self.alpha,
            share: metric.share(),
            ratio: bound.ratio,
            margin: bound.margin,
            crowd: 2.0,
            harms: harms.to_vec(),
            drip: self.drip,
            step: 0.1,
            max_steps: 20,
            clip: 7.0,
            leave_out: true,
        }
    }
}

/// How often a canary that is within its slack may be slow.
const SLOW: Bound = Bound {
    ratio: 1.1,
    margin: 0.002,
};
