//! What a route does instead of sending requests to pools: `redirect` and `respond`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// Another address as the answer.
///
/// Texts may contain the keywords of an ALB, which stand for what the client asked for: `#{protocol}`, `#{host}`
/// (without the port), `#{port}`, `#{path}` (without its leading `/`), `#{query}`. At least one of `protocol`, `host`,
/// `port` and `path` must differ from what was asked for. A `Location` above 8 KiB is answered 507.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redirect {
    /// `http`, `https` or `#{protocol}`; absent: the client's. A client that came by https is never sent to http.
    pub protocol: Option<String>,
    /// Host, without port; absent: `#{host}`.
    pub host: Option<String>,
    /// Port, 1 to 65535, or `#{port}`; absent: the client's, or the default port of another `protocol`. A default port is left out of the address.
    pub port: Option<Port>,
    /// Path, with its leading `/`; absent: `/#{path}`.
    pub path: Option<String>,
    /// Query, without `?`; absent: `#{query}`; empty: none.
    pub query: Option<String>,
    /// 301, 302, 303, 307 or 308; 307 and 308 keep the method.
    #[schemars(range(min = 301, max = 308))]
    pub status: u16,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            protocol: None,
            host: None,
            port: None,
            path: None,
            query: None,
            status: 302,
        }
    }
}

/// A port, or the keyword that stands for the client's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// The port.
    Number(#[schemars(range(min = 1))] u16),
    /// The port as an ALB writes it, or `#{port}`.
    Text(String),
}

/// A fixed answer: a maintenance page, `robots.txt`, a refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// Status: 200 to 299, or 400 to 599.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// Type of the body.
    #[serde(default = "default_content_type")]
    pub content_type: String,
    /// The body, at most 64 KiB; either this or `body_file`; absent: empty.
    #[serde(default)]
    pub body: Option<String>,
    /// A file whose content is the body, at most 1 MiB, relative to this file; read when the file is loaded.
    #[serde(default)]
    pub body_file: Option<PathBuf>,
    /// When to try again, sent as `Retry-After`; whole seconds.
    #[serde(default)]
    pub retry_after: Option<Duration>,
}

fn default_content_type() -> String {
    "text/plain; charset=utf-8".into()
}
