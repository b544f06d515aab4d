//! `[telemetry]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// Traces: of a part of the requests a collector gets a span, by OTLP over HTTP. No request waits for it. Without this table no span is
/// made, and `traceparent` and `tracestate` pass as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Address of the collector, `"http://127.0.0.1:4318"`, or `https://`; `/v1/traces` is put behind its path. Certificates are judged by
    /// the authorities of the system. Empty: no span is made.
    pub otlp: String,
    /// Part of the traces that begin here which get a span, 0 to 1. It is decided by the trace's id, so that it does not matter which
    /// router is asked.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(default = "default_sample")]
    pub sample: f64,
    /// Whose `traceparent` is followed: its trace goes on, and its flag says whether there is a span.
    #[serde(default)]
    pub parent: Parent,
    /// `service.name` of the spans.
    #[serde(default = "default_service")]
    pub service: String,
    /// Further attributes of the process, `{ "deployment.environment.name" = "production" }`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Headers for the collector, `{ "x-api-key" = "${API_KEY}" }`; they are never shown.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long one try to send spans may take.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
}

/// Whose `traceparent` is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    /// Everybody's: whoever sends requests can ask for a span of each of them.
    #[default]
    Any,
    /// That of peers in `trusted_proxies`. Requests of everybody else begin a new trace, whatever they say.
    Trusted,
}

const fn default_sample() -> f64 {
    0.01
}

fn default_service() -> String {
    "kanaria".into()
}

const fn default_timeout() -> Duration {
    Duration::seconds(10)
}
