//! `[routes.shadow]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fields, Pattern};
use crate::units::{Duration, Size};

/// Sends copies of requests to a pool that answers nobody: the answers of a shadow pool never reach a client, and copies are in
/// no access log, metric, guard or ramp of the requests they were made of. It acts when the table is there.
///
/// A copy is made of the head that the serving target got, and is sent by a thread and over connections of its own. What is too
/// much is left out and counted (`kanaria_shadow_total`): nothing waits for a copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// The pool that gets the copies. A request that it serves itself has none.
    pub pool: String,
    /// How many of the route's clients, by their buckets, from the high end, which moves last; in steps of 0.01. Where clients have
    /// no bucket (a route of one pool) it is of requests.
    #[schemars(range(min = 0.01, max = 100.0))]
    #[serde(default = "default_percent")]
    pub percent: f64,
    /// Methods of requests that are copied. Any but GET, HEAD and OPTIONS also needs `unsafe_methods`.
    #[serde(default = "default_methods")]
    pub methods: Vec<String>,
    /// `true` lets `methods` name those that change something. A shadow pool that shares its data with the serving one then
    /// changes it twice.
    #[serde(default)]
    pub unsafe_methods: bool,
    /// Paths of requests that are copied, written and compared as in `match`.
    #[serde(default = "default_paths")]
    pub paths: Vec<Pattern>,
    /// Paths of requests that are not, whatever `paths` says: those that clients send, and those that `rewrite` makes of them.
    /// A path that servers may read in several ways is not copied if one of them is here.
    #[serde(default = "default_deny_paths")]
    pub deny_paths: Vec<Pattern>,
    /// Fields that copies do not have.
    #[serde(default = "default_drop_headers")]
    pub drop_headers: Vec<String>,
    /// Further changes of the fields of copies; credentials that can only read, for example.
    #[serde(default)]
    pub headers: Fields,
    /// The `Host` of copies; absent: that of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Copies at the same time, waiting ones among them; what is over is left out.
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: u32,
    /// Copies a second, after a bucket of one second's worth; 0 means no limit.
    #[schemars(range(max = 1_000_000))]
    #[serde(default)]
    pub max_rps: u32,
    /// The largest body that is copied; a request with a larger one is left out.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// Bytes of all copies at the same time, heads and bodies; what is over is left out.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: Size,
    /// How long a copy may take, from the end of its request to the end of its answer.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Whether answers are compared with those that clients got: `true`, `false`, or `{ noise = true }`, which asks the serving
    /// pool once more, too (GET, HEAD and OPTIONS only): what differs from itself is no difference. `kanaria shadow` tells.
    #[serde(default)]
    pub compare: Compare,
    /// What may differ: `"status"`, `"header:NAME"`, `"cookie:NAME"` (the scope of a cookie that is set), `"json:$.PATH"` with
    /// `[*]` for the members of a list, `"html:text"`, `"html:tags"`, `"body"`, `"body:type"`. `*` stands for any characters.
    #[serde(default = "default_ignore")]
    pub ignore: Vec<String>,
    /// File that copies are written to as they are sent, relative to this file, one JSON object a line, for `kanaria shadow run`.
    /// `Cookie` and `Authorization` are never in it. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// The size from which on nothing is written to it.
    #[serde(default = "default_record_size")]
    pub record_size: Size,
    /// What else is left out of it: `"header:NAME"`, and `"query:NAME"` for the value of a parameter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}

/// Whether answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Compare {
    /// With those that clients got, or not.
    Plain(bool),
    /// With those that clients got.
    Noise {
        /// Also with what the serving pool answers when it is asked once more.
        noise: bool,
    },
}

impl Default for Compare {
    fn default() -> Self {
        Self::Plain(true)
    }
}

fn default_percent() -> f64 {
    10.0
}

fn default_methods() -> Vec<String> {
    vec!["GET".into(), "HEAD".into()]
}

fn default_paths() -> Vec<Pattern> {
    vec![Pattern::Wildcard("/*".into())]
}

fn default_deny_paths() -> Vec<Pattern> {
    vec![Pattern::Wildcard("/logout*".into())]
}

fn default_drop_headers() -> Vec<String> {
    vec!["Cookie".into(), "Authorization".into()]
}

const fn default_max_in_flight() -> u32 {
    64
}

const fn default_max_body() -> Size {
    Size::kib(64)
}

const fn default_max_bytes() -> Size {
    Size::kib(16 * 1024)
}

fn default_ignore() -> Vec<String> {
    let ignored = ["header:Date", "header:Set-Cookie", "json:$.generated_at"];
    ignored.map(str::to_owned).into()
}

const fn default_record_size() -> Size {
    Size::kib(64 * 1024)
}

const fn default_timeout() -> Duration {
    Duration::seconds(5)
}
