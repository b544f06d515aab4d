//! `[pools.NAME]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cookies, Headers, HealthCheck};
use crate::units::{Duration, Term};

/// A group of targets and how to reach them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Addresses of the targets, `"127.0.0.1:3001"` or `{ address = "127.0.0.1:3002", weight = 2 }`. A pool has one of `targets`, `dns`,
    /// `srv` and `file`.
    #[serde(default)]
    pub targets: Option<Vec<Target>>,
    /// Host name and port, `"web.ecs.internal:8080"`: each of its IPv4 and IPv6 addresses is a target. The name is looked up and sent
    /// nowhere: requests keep their host, and `tls.sni` and `health_check.host` mean what they mean without it.
    #[serde(default)]
    pub dns: Option<String>,
    /// Name of SRV records, `"_web._tcp.ecs.internal"`: they say names, ports and weights of the targets; only those of the lowest
    /// priority are used.
    #[serde(default)]
    pub srv: Option<String>,
    /// File with the targets, in the JSON of a Prometheus `file_sd`: `[{ "targets": ["10.0.0.1:8080"], "labels": { "weight": "2" } }]`.
    /// It is watched; replace it by a rename.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// `dns` and `srv` are looked up at least this often, and sooner when a record lives shorter; at least `1s`.
    #[serde(default = "default::dns_refresh")]
    pub dns_refresh: Duration,
    /// How the next target is picked.
    #[serde(default)]
    pub balance: Balance,
    /// HTTP/2 to the targets: over TLS by ALPN, in clear text with prior knowledge.
    #[serde(default)]
    pub http2: bool,
    /// TLS to the targets; absent: clear text.
    #[serde(default)]
    pub tls: Option<PoolTls>,
    /// Establishing a connection.
    #[serde(default = "default::connect_timeout")]
    pub connect_timeout: Duration,
    /// To the first byte of the response, and between two reads of it; without a request body the whole head must come in it.
    #[serde(default = "default::response_timeout")]
    pub response_timeout: Duration,
    /// A kept connection without a request; keep it below the target's own.
    #[serde(default = "default::idle_timeout")]
    pub idle_timeout: Duration,
    /// The whole request, from its arrival to the end of its answer, further tries among it; 0 means no limit; above: 504.
    #[serde(default)]
    pub request_timeout: Duration,
    /// A WebSocket without a byte in either direction.
    #[serde(default = "default::upgraded_idle")]
    pub upgraded_idle: Duration,
    /// After no route gives the pool a weight any more: its WebSockets are closed within this time, spread evenly.
    #[serde(default)]
    pub evict_upgraded: Term,
    /// Requests at the same time; 0 means no limit; above: a canary's go to `stable`, stable's are answered 503.
    #[serde(default)]
    pub max_requests: u32,
    /// The same for each target; one that has so many gets no more, and when all have, the pool is full.
    #[serde(default)]
    pub max_requests_per_target: u32,
    /// A target that became healthy gets its full part only after this time.
    #[serde(default)]
    pub slow_start: Duration,
    /// A target that leaves gets no new request, and is shown as draining for this time; at most 1h.
    #[serde(default = "default::deregistration_delay")]
    pub deregistration_delay: Duration,
    /// Further tries: connect failures, and idempotent requests on a reused connection that died.
    #[schemars(range(max = 10))]
    #[serde(default = "default::retries")]
    pub retries: u8,
    /// How many further tries all requests together may have.
    #[serde(default)]
    pub retry_budget: RetryBudget,
    /// Changes of header fields.
    #[serde(default)]
    pub headers: Headers,
    /// Changes of cookies between clients and these targets.
    #[serde(default)]
    pub cookies: Cookies,
    /// Active health check; absent: passive ejection only.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// Passive ejection.
    #[serde(default)]
    pub ejection: Ejection,
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Target {
    /// Address and port.
    Address(String),
    /// Address and port, and its part of the pool's requests.
    Weighted {
        /// Address and port.
        address: String,
        /// Part relative to the other targets.
        #[schemars(range(min = 1, max = 1000))]
        #[serde(default = "default::weight")]
        weight: u32,
    },
}

/// TLS to the targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolTls {
    /// Name sent and verified; absent: the request's host.
    pub sni: Option<String>,
    /// Whether the target's certificate is checked.
    pub verify: bool,
    /// Certificates that may sign the target's, as a PEM file; absent: the system's.
    pub ca: Option<PathBuf>,
}

impl Default for PoolTls {
    fn default() -> Self {
        Self {
            sni: None,
            verify: true,
            ca: None,
        }
    }
}

/// How the next target is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The less busy of two random ones.
    LeastRequests,
    /// Any.
    Random,
    /// In turn.
    #[default]
    RoundRobin,
}

/// How many further tries the pool may get within ten seconds: both numbers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudget {
    /// A part of the requests of these ten seconds, in percent.
    #[schemars(range(max = 1000))]
    pub percent: u16,
    /// So many for each of these seconds, for a pool with few requests.
    #[schemars(range(max = 1_000_000))]
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            min_per_second: 10,
        }
    }
}

/// Passive ejection: targets that fail requests are left out for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ejection {
    /// Connect errors, timeouts and 502 to 504 of the target in a row; 0 ejects nobody for failures or refused connects.
    pub consecutive_failures: u32,
    /// How long a target is left out; it grows with each repetition.
    pub base_time: Duration,
    /// Largest part of a pool left out at the same time, in percent.
    #[schemars(range(max = 100))]
    pub max_percent: u8,
    /// Comparison of the targets with each other; absent: they are not compared.
    pub success_rate: Option<SuccessRate>,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base_time: Duration::seconds(10),
            max_percent: 50,
            success_rate: None,
        }
    }
}

/// Ejection of targets that fail more often than the others of their pool. A failure is a 5xx, a connect error, a timeout
/// or a connection that died.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuccessRate {
    /// From one comparison to the next, each of the requests since the last.
    pub interval: Duration,
    /// Targets with enough requests that it takes; with fewer nobody is compared.
    #[schemars(range(min = 3))]
    pub min_targets: u32,
    /// Requests within an interval that it takes for a target to be compared.
    #[schemars(range(min = 1))]
    pub min_requests: u32,
    /// A target is ejected when its success rate is below the mean by more than so many standard deviations, 0.1 to 10:
    /// Envoy's `success_rate_stdev_factor`, where 1900 is 1.9. Of N targets a lone bad one is √(N-1) off at most.
    #[schemars(range(min = 0.1, max = 10.0))]
    pub deviations: f64,
    /// And by more than this, 0 to 1: with 0, one failure in an otherwise faultless pool would do. 0.05 is 5 percent points.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
}

/// Envoy's defaults, but for the margin, which it does not have.
impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            interval: Duration::seconds(10),
            min_targets: 5,
            min_requests: 100,
            deviations: 1.9,
            margin: 0.05,
        }
    }
}

mod default {
    use crate::units::Duration;

    pub(super) fn weight() -> u32 {
        1
    }
    pub(super) fn dns_refresh() -> Duration {
        Duration::seconds(5)
    }
    pub(super) fn connect_timeout() -> Duration {
        Duration::seconds(3)
    }
    pub(super) fn response_timeout() -> Duration {
        Duration::seconds(60)
    }
    pub(super) fn idle_timeout() -> Duration {
        Duration::seconds(30)
    }
    pub(super) fn upgraded_idle() -> Duration {
        Duration::seconds(3600)
    }
    pub(super) fn deregistration_delay() -> Duration {
        Duration::seconds(30)
    }
    pub(super) fn retries() -> u8 {
        1
    }
}
