//! `[pools.NAME.health_check]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// Active health check of the targets, on a new connection each time, whatever weight the pool has.
///
/// `protocol` decides which keys apply; one that does not is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What a target is asked.
    #[serde(default)]
    pub protocol: HealthProtocol,
    /// `http`, required: path asked for; starts with `/`. `grpc`: a method to call with an empty message, as `/AWS.ALB/healthcheck`;
    /// absent: `/grpc.health.v1.Health/Check`.
    #[serde(default)]
    pub path: Option<String>,
    /// From the start of one check to the start of the next, give or take a tenth.
    #[serde(default = "default::interval")]
    pub interval: Duration,
    /// For the connection and the whole answer. May be longer than `interval`: a check that still waits delays the next one.
    #[serde(default = "default::timeout")]
    pub timeout: Duration,
    /// Successes until an unhealthy target is healthy; a new target needs one.
    #[schemars(range(min = 1))]
    #[serde(default = "default::threshold")]
    pub healthy_threshold: u32,
    /// Failures until a healthy target is unhealthy.
    #[schemars(range(min = 1))]
    #[serde(default = "default::threshold")]
    pub unhealthy_threshold: u32,
    /// `http`: accepted status codes, `"200"`, `"200,204"`, `"200-399"`; absent: `"200"`.
    #[serde(default)]
    pub status: Option<String>,
    /// `http`: what the first 64 KiB of the answer's body must hold, a text or `{ regex = "..." }`; absent: anything.
    #[serde(default)]
    pub body: Option<BodyMatch>,
    /// `http` and `grpc`: host header; absent: the target's address.
    #[serde(default)]
    pub host: Option<String>,
    /// `http`: method; absent: `"GET"`.
    #[serde(default)]
    pub method: Option<String>,
    /// `http` and `grpc`: user agent; absent: `"kanaria-HealthChecker/VERSION"`.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// `grpc`: service whose health is asked; absent: the server's as a whole.
    #[serde(default)]
    pub grpc_service: Option<String>,
    /// `grpc`: accepted status codes, `"0"`, `"0,12"`, `"0-99"`; absent: `"0"`. Without a `path` a 0 must come with `SERVING`.
    #[serde(default)]
    pub grpc_status: Option<String>,
    /// Port; absent: the target's own.
    #[schemars(range(min = 1))]
    #[serde(default)]
    pub port: Option<u16>,
    /// `http` and `grpc`: `false` asks in clear text although the pool has `tls`, as a health port may want it; absent: as the pool.
    #[serde(default)]
    pub tls: Option<bool>,
}

/// What a target is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthProtocol {
    /// The standard health service, `grpc.health.v1.Health/Check`, over HTTP/2.
    Grpc,
    /// One request; with the pool's `http2` over HTTP/2.
    #[default]
    Http,
    /// A connection, and nothing more.
    Tcp,
}

/// What a body must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum BodyMatch {
    /// This text, anywhere.
    Text(String),
    /// A match of an expression, anywhere unless anchored.
    Regex {
        /// The expression.
        regex: String,
    },
}

impl HealthProtocol {
    /// As it stands in a sentence: "a `tcp`".
    pub(crate) const fn with_article(self) -> &'static str {
        match self {
            Self::Grpc => "a `grpc`",
            Self::Http => "an `http`",
            Self::Tcp => "a `tcp`",
        }
    }

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

mod default {
    use crate::units::Duration;

    pub(super) fn interval() -> Duration {
        Duration::seconds(10)
    }
    pub(super) fn timeout() -> Duration {
        Duration::seconds(5)
    }
    pub(super) fn threshold() -> u32 {
        2
    }
}
