//! The file as written: one type per table, one field per key, its doc comment is the key's reference text.
//!
//! Nothing here is checked beyond its form; what the keys mean together is `compile`'s business.

mod action;
mod guard;
mod health;
pub mod indexed;
mod log;
mod pool;
mod ramp;
mod route;
mod rules;
mod server;
mod shadow;
mod shape;
mod telemetry;
mod tls;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action::{Port, Redirect, Respond};
pub use guard::{Budget, ClientErrorBound, ErrorBound, Guard, HardLimit, LatencyBound, OnTrip};
pub use health::{BodyMatch, HealthCheck, HealthProtocol};
pub use log::{AccessLog, LogFormat, OnFull, PARTITION, Rotate, STDOUT};
pub use pool::{Balance, Ejection, Pool, PoolTls, RetryBudget, SuccessRate, Target};
pub use ramp::{Ramp, Step};
pub use route::{
    Cap, Failover, Flag, Match, Pattern, QueryCondition, QueryValue, Route, SameSite, Sticky,
    StickyMode, Values,
};
pub use rules::{CookieNames, Cookies, Expire, Fields, Headers, Replacement, Rewrite, When};
pub use server::{
    Admin, AdminTls, DesyncMode, Forwarded, ForwardedMode, HostHeader, InvalidHeaders, Limits,
    Role, Server, Timeouts, Token,
};
pub use shadow::{Compare, Shadow};
pub use telemetry::{Parent, Telemetry};
pub use tls::{CertificateSource, ClientAuth, ListenerTls, TlsVersion};
pub use webhook::{Webhook, WebhookEvent};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Further files to merge, as glob patterns relative to this file, `["routes.d/*.toml"]`. Lists grow in the order of the file names,
    /// tables merge, and a key given twice is an error.
    #[serde(default)]
    pub include: Vec<String>,
    /// Settings of the process.
    #[serde(default)]
    pub server: Server,
    /// Where changes are asked for, and by whom.
    #[serde(default)]
    pub admin: Admin,
    /// Addresses that accept traffic.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// How names of `pools.*.dns` and `pools.*.srv` are looked up.
    #[serde(default)]
    pub resolver: Resolver,
    /// Groups of targets, by name.
    #[serde(default)]
    pub pools: indexed::Map<Pool>,
    /// Named groups of hosts.
    #[serde(default)]
    pub partitions: Partitions,
    /// Tried in file order; the first match wins; no match is answered 404.
    #[serde(default)]
    pub routes: Vec<Arc<Route>>,
    /// Access logs, any number.
    #[serde(default)]
    pub access_log: Vec<AccessLog>,
    /// Services that are told what happens, any number up to 16.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
    /// Spans for a collector; absent: none.
    #[serde(default)]
    pub telemetry: Option<Telemetry>,
}

/// An address that accepts traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Name in matches, logs and metrics.
    pub name: String,
    /// Address and port to bind, `0.0.0.0:8080`; port 0 takes a free one, which is printed at start.
    pub bind: String,
    /// With `true` clients may speak HTTP/2 without TLS, by prior knowledge (h2c, as gRPC clients inside a network do); HTTP/1.1 is
    /// spoken all the same. A change holds for new connections.
    #[serde(default)]
    pub h2c: bool,
    /// TLS; absent: clear text.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// Whether each connection begins with a PROXY header of a load balancer that names the client. A change holds for new connections.
    #[serde(default)]
    pub proxy_protocol: ProxyProtocol,
}

/// Whether connections begin with a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// No: the peer is the client, and a PROXY header is no request.
    #[default]
    Off,
    /// Yes, of version 1 or 2, before TLS, within `timeouts.header`; a connection without one, or of a peer that is not in
    /// `trusted_proxies`, is closed. The client it names is not trusted by that, unless it is in `trusted_proxies` itself.
    Required,
}

/// How names are looked up. `/etc/hosts` comes first, and search domains and options are those of `/etc/resolv.conf`; both files are
/// read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resolver {
    /// Name servers to ask, `"10.0.0.2"` or `"127.0.0.1:5353"`; empty: those of `/etc/resolv.conf`.
    pub nameservers: Vec<String>,
}

/// Named groups of hosts: computed from the host of a request, told to the target in a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Partitions {
    /// The header set on every request to a target; a client's own copy is removed.
    pub header: String,
    /// The partition of a host that no entry of `hosts` names.
    pub default: String,
    /// Partition by host: exact names beat the longest `*.suffix`, which beats `default`.
    pub hosts: BTreeMap<String, String>,
}

impl Default for Partitions {
    fn default() -> Self {
        Self {
            header: "X-Blog-Domain-Partition".into(),
            default: "main".into(),
            hosts: BTreeMap::new(),
        }
    }
}
