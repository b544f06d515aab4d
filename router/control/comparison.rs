//! The pools of a route beside each other, for whoever looks. How that is worked out is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::journal::Entry;

/// How much older than the window what is told of paths may be.
pub const OLDEST: Duration = Duration::from_secs(300);

/// What is compared.
pub struct Question<'a> {
    /// The route.
    pub route: &'a str,
    /// Its stable pool.
    pub stable: &'a str,
    /// Its pools in file order, and the largest part, 0 to 1, that each was asked to have of what it and stable had
    /// together, in this time and `OLDEST` before.
    pub pools: Vec<(String, f64)>,
    /// How far back.
    pub window: Duration,
}

/// The pools of a route over the same time. Intervals are of 95 % and for one look.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Comparison {
    /// The route.
    pub route: String,
    /// Its stable pool.
    pub stable: String,
    /// How far back was asked for, in seconds.
    pub window_s: u64,
    /// From when on it was counted, RFC 3339: the beginning of a minute, or the router's start.
    pub from: String,
    /// Until when.
    pub to: String,
    /// How many seconds that is.
    pub seconds: u64,
    /// Pools in file order.
    pub pools: Vec<ComparedPool>,
    /// Paths on which most went wrong; those that a canary harms first.
    pub paths: Vec<ComparedPath>,
    /// The chance that one look at pools that do not differ calls any path of a canary harmed, at most.
    pub alpha: f64,
    /// Changes and annotations of this time, newest first.
    #[schema(value_type = Vec<Object>)]
    pub marks: Vec<Entry>,
    /// What else one should know.
    pub notes: Vec<String>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ComparedPool {
    /// Its name.
    pub pool: String,
    /// All of it.
    #[serde(flatten)]
    pub figures: Figures,
    /// Time to the head of the answer in milliseconds: `p50`, `p90` and `p99`; none before the first answer.
    pub latency_ms: BTreeMap<&'static str, Quantile>,
    /// By partition.
    pub partitions: BTreeMap<String, Figures>,
    /// What it would have to carry alone.
    pub alone: Load,
}

/// Requests, what went wrong with them, and bytes.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// Requests that the weights, or a pin, sent there.
    pub requests: u64,
    /// Answered 5xx.
    pub failed: Part,
    /// Not answered: no connection, no answer in time, a broken one, or stable served in its place.
    pub unanswered: Part,
    /// Answered 401, 403, 404 or 429.
    pub refused: Part,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// A part of the requests, by Wilson's score interval, and by how much it is more than stable's, by Newcombe's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// How many.
    pub n: u64,
    /// The part, 0 to 1; `null` without a request.
    pub part: Option<f64>,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Lower end of the difference to stable, -1 to 1; none for stable, and where one of them has no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_low: Option<f64>,
    /// Upper end of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_high: Option<f64>,
}

/// A quantile in milliseconds, each to the upper edge of its bin, which is 1/32 of an octave wide; `null` above 134 s. The
/// interval is that of order statistics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Quantile {
    /// The quantile.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// All requests of the route at what the requests of one pool cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Load {
    /// Requests a second.
    pub requests_per_s: f64,
    /// The same in the busiest minute of all that is over; none before one is.
    pub peak_requests_per_s: Option<f64>,
    /// Bytes a second from clients.
    pub bytes_in_per_s: f64,
    /// Bytes a second to clients.
    pub bytes_out_per_s: f64,
    /// Requests at the same time (Little's law).
    pub concurrency: f64,
}

/// A path on which something went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ComparedPath {
    /// The path, with ids as `*`.
    pub path: String,
    /// The partition of its host.
    pub partition: String,
    /// How it went wrong: `failed`, `unanswered` or `refused`.
    pub kind: &'static str,
    /// The status sent last.
    pub status: u16,
    /// By pool, where it went wrong.
    pub pools: BTreeMap<String, Hits>,
    /// The canary that most speaks against; none when it went wrong on stable alone.
    pub canary: Option<String>,
    /// How many of the clients it went wrong for the canary would have had by its share.
    pub expected_clients: f64,
    /// The chance of as many on the canary, if the pools did not differ.
    pub chance: f64,
    /// Whether that is below `alpha` divided by the number of paths looked at.
    pub harmed: bool,
}

/// How often something went wrong on a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Hits {
    /// Requests, at most.
    pub requests: u64,
    /// Requests, at least.
    pub requests_at_least: u64,
    /// Clients, at least.
    pub clients_at_least: u64,
    /// Clients, at most.
    pub clients_at_most: u64,
}
