//! What the guard of a route says, for whoever looks. How it comes to that is not known here.

use serde::Serialize;

/// The guard of one route.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GuardView {
    /// `ok`, `no_data`, `baseline_unhealthy` or `tripped`.
    pub state: &'static str,
    /// In words.
    pub reason: String,
    /// Counts from 1; lifting a mark of the guard's begins another one.
    pub attempt: u32,
    /// The file has other rules than this attempt, which count from the next one on.
    pub rules_wait: bool,
    /// Minutes of stable that are known.
    pub stable_minutes: u32,
    /// Whether that is enough to tell noise of the pools from harm.
    pub warm: bool,
    /// Users of the canary seen lately.
    pub users: u32,
    /// Users that failed once and count no more for a while.
    pub out_of_count: Sides,
    /// Evidence that there is no harm, since the canary was last given more.
    pub gate: GateView,
    /// Evidence of harm.
    pub metrics: Vec<MetricView>,
}

/// Evidence that there is no harm. All evidence is in nats: 6.9 is a chance of 1 in 1000.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GateView {
    /// How much there is.
    pub log_evidence: f64,
    /// How much is enough.
    pub threshold: f64,
    /// Whether there ever was.
    pub open: bool,
    /// Users of the canary, window by window, that it rests on.
    pub users: u64,
}

/// Evidence of harm in one metric.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct MetricView {
    /// `errors`, `client_errors`, `latency_p50`, `latency_p90` or `latency_p99`.
    pub metric: &'static str,
    /// How much there is, without the group of users that speaks most against the canary.
    pub log_evidence: f64,
    /// How much is enough for a rollback.
    pub threshold: f64,
    /// The chance of as much evidence without harm, at any time of this attempt.
    pub p_value: f64,
    /// Which of eight groups of users that is.
    pub decisive_group: Option<usize>,
    /// How much a window counts, for how restless stable is: at most 1.
    pub temper: f64,
    /// Users at risk in the last minute, window by window.
    pub users: Sides,
    /// Bad ones of them.
    pub bad: Sides,
}

/// A count of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Sides {
    /// All canaries together.
    pub canary: u64,
    /// The stable pool.
    pub stable: u64,
}
