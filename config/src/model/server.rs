//! `[server]` and `[admin]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Cidr, Duration, Size};

/// Settings of the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Worker threads; 0 takes the number of cores.
    pub threads: u16,
    /// Folder of the live state and its journal, relative to the file.
    pub state_dir: PathBuf,
    /// After SIGTERM, requests in flight may take this long.
    pub drain_timeout: Duration,
    /// Before draining: `/readyz` answers 503 for this long while connections are still accepted.
    pub pre_drain: Duration,
    /// Peers whose `X-Forwarded-*` and partition header are believed, as CIDRs.
    pub trusted_proxies: Vec<Cidr>,
    /// Client connections at the same time; one more is closed at once.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// Connections of one client at the same time; one more is closed at once; 0 means no limit. A client is an IPv4 address, or the
    /// first 64 bits of an IPv6 address; a PROXY header names it. `trusted_proxies` are not limited.
    pub max_connections_per_client: u32,
    /// Requests of one client a second, of which it may use a second's worth at once; above: 429; 0 means no limit. Behind
    /// `trusted_proxies` the client is the one they name; they themselves are not limited.
    pub max_rps_per_client: u32,
    /// What happens to requests that two readers could read differently, as an ALB's mode of this name.
    pub desync_mode: DesyncMode,
    /// What happens to headers whose name has other characters than letters, digits and `-`: servers that know a header by `_` for `-`
    /// confuse `X_Real_IP` with `X-Real-IP`. One that could be confused with a header of ours is always left out.
    pub invalid_headers: InvalidHeaders,
    /// File of 32 random bytes, made with mode 0600 when absent: the keys of buckets come from it, so a fleet shares it.
    pub secret_file: PathBuf,
    /// The secret itself instead of a file, as `"${KANARIA_SECRET}"`.
    pub secret: Option<String>,
    /// With `true` a missing state starts every route at 100 % stable, latched, instead of the file's weights.
    pub require_state: bool,
    /// Path that the listeners answer themselves, for the checks of a load balancer in front: 200, and 503 from SIGTERM on, during
    /// `pre_drain` too. It takes GET and HEAD for any host, is not routed, has no line in a log and counts as no request. Empty: none.
    pub health_path: String,
    /// With `true` the file is also read again by itself when it changes, or one that it includes: it is looked at by name four times
    /// a second, so that a rename, a rewrite and a swapped link (a ConfigMap) are seen on any file system. A file that is refused
    /// changes nothing.
    pub watch: bool,
    /// Bounds of a request and a response.
    pub limits: Limits,
    /// Bounds of waiting for a client.
    pub timeouts: Timeouts,
    /// What happens to `X-Forwarded-*` of peers that are not trusted.
    pub forwarded: Forwarded,
    /// `preserve`: targets get `Host` as it came; `alb`: with the listener's port when that is not 80 or 443, and without a
    /// port when it is, as an ALB does without `preserve_host_header`.
    pub host_header: HostHeader,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            threads: 0,
            state_dir: "state".into(),
            drain_timeout: Duration::seconds(25),
            pre_drain: Duration::seconds(0),
            trusted_proxies: Vec::new(),
            max_connections: 50_000,
            max_connections_per_client: 0,
            max_rps_per_client: 0,
            desync_mode: DesyncMode::default(),
            invalid_headers: InvalidHeaders::default(),
            secret_file: "state/secret".into(),
            secret: None,
            require_state: false,
            health_path: String::new(),
            watch: false,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            forwarded: Forwarded::default(),
            host_header: HostHeader::default(),
        }
    }
}

/// What happens to requests that two readers could read differently. What cannot be read in one way only is answered 400 in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DesyncMode {
    /// Ambiguous ones are told in log and metrics, and served over a connection to the target that nothing else uses.
    Monitor,
    /// As `monitor`, and the client's connection is closed with the answer.
    #[default]
    Defensive,
    /// Everything that is not compliant is answered 400.
    Strictest,
}

/// What happens to headers with a name that an ALB calls invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvalidHeaders {
    /// They are left out.
    Drop,
    /// They go on, and the request is counted.
    #[default]
    Pass,
    /// The request is answered 400.
    Refuse,
}

/// Bounds of a request and a response; the defaults are an ALB's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Request line, at most 63KiB; above: 414.
    pub request_line: Size,
    /// One request header; above: 431.
    pub header: Size,
    /// All request headers, at most 960KiB; above: 431.
    pub headers: Size,
    /// All response headers; above: 502.
    pub response_headers: Size,
    /// Request body; above: 413; 0 means no limit.
    pub request_body: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: Size::kib(16),
            header: Size::kib(16),
            headers: Size::kib(64),
            response_headers: Size::kib(32),
            request_body: Size(0),
        }
    }
}

/// Bounds of waiting for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// The whole header of every request of a connection, from its first byte.
    pub header: Duration,
    /// A connection without a request in progress.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// The whole handshake of TLS.
    pub tls_handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::seconds(10),
            idle: Duration::seconds(60),
            body: Duration::seconds(60),
            tls_handshake: Duration::seconds(5),
        }
    }
}

/// What happens to `X-Forwarded-*` that a peer sent which is not a trusted proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forwarded {
    /// `X-Forwarded-For`.
    #[serde(rename = "for")]
    pub client: ForwardedMode,
    /// `X-Forwarded-Proto`.
    pub proto: ForwardedMode,
    /// `X-Forwarded-Port`.
    pub port: ForwardedMode,
    /// `X-Forwarded-Host`.
    pub host: ForwardedMode,
    /// `X-Amzn-Tls-Version` and `X-Amzn-Tls-Cipher-Suite` of clients that came over TLS, as an ALB sends them when asked to. Copies of
    /// peers that are not trusted are removed in any case.
    pub tls: bool,
}

impl Default for Forwarded {
    fn default() -> Self {
        Self {
            client: ForwardedMode::Append,
            proto: ForwardedMode::Set,
            port: ForwardedMode::Set,
            host: ForwardedMode::Preserve,
            tls: false,
        }
    }
}

/// What targets get as `Host`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostHeader {
    /// With the listener's port, unless that is 80 or 443.
    Alb,
    /// As it came.
    #[default]
    Preserve,
}

/// What happens to one forwarded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedMode {
    /// Our value is added behind the client's.
    Append,
    /// The client's value stays; nothing is added.
    Preserve,
    /// The header is removed.
    Remove,
    /// Our value replaces the client's.
    Set,
}

/// Where changes are asked for, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address of the admin API, `127.0.0.1:9900`, or `unix:/run/kanaria/admin.sock`.
    pub bind: String,
    /// `/metrics` needs no token.
    pub metrics_public: bool,
    /// TLS; absent: clear text. Not for a unix socket.
    pub tls: Option<AdminTls>,
    /// Who may do what; required when `bind` is neither loopback nor a unix socket.
    pub tokens: Vec<Token>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:9900".into(),
            metrics_public: false,
            tls: None,
            tokens: Vec::new(),
        }
    }
}

/// TLS of the admin API. Its files are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTls {
    /// File of the certificate and its chain, PEM.
    pub cert: PathBuf,
    /// File of its private key, PEM.
    pub key: PathBuf,
    /// File of the authorities that vouch for clients, PEM: without a certificate of theirs there is no connection. Tokens are asked for
    /// all the same.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// One bearer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Name in the journal and in events.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// SHA-256 of the token, 64 hex digits.
    pub sha256: String,
}

/// What a bearer may do; each role may do what the ones before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Change weights, roll back, resume.
    Operator,
    /// Everything, also reload and restore.
    Admin,
}
