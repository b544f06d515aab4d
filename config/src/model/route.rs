//! `[[routes]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Guard, Headers, Ramp, Redirect, Respond, Rewrite, Shadow, indexed};
use crate::units::{Cidr, Duration};

/// A match and what to do with the requests it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Name in the live state, on the command line, in logs and metrics.
    pub name: String,
    /// Which requests: all keys must hold, in each key any value; absent: every request.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// The pool that a rollback returns to; it owns the high end of the buckets. A route has exactly one of this, `redirect` and `respond`.
    #[serde(default)]
    pub stable: Option<String>,
    /// Weight by pool, 0 to 1,000,000; a share is weight / sum, resolved to 0.01 %. Absent: all to `stable`.
    #[serde(default)]
    pub weights: indexed::Map<u32>,
    /// Routes of one cohort place a client on the same bucket.
    #[serde(default = "default_cohort")]
    pub cohort: String,
    /// What happens when a canary has no healthy target.
    #[serde(default)]
    pub failover: Failover,
    /// Pools that are asked in this order when the answer to a GET or HEAD is 404, as for files that only one version has; the
    /// last answer counts. A pool without a healthy target is left out, and so is one that was asked already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// Largest rise of a canary's share in one change, in percent points; 0 means any.
    #[schemars(range(min = 0.0, max = 100.0))]
    #[serde(default)]
    pub max_step: f64,
    /// How clients keep their place.
    #[serde(default)]
    pub sticky: Sticky,
    /// Ways to a pool that beat the weights.
    #[serde(default)]
    pub flags: Vec<Flag>,
    /// Bounds of what each canary gets; what is over goes to `stable`, with reason `cap`.
    #[serde(default)]
    pub cap: Cap,
    /// Takes the canaries back when there is evidence that they do harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Raises a canary step by step, once it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Sends copies of requests to a pool that answers nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// Another address for targets.
    #[serde(default)]
    pub rewrite: Option<Rewrite>,
    /// Changes of header fields.
    #[serde(default)]
    pub headers: Headers,
    /// Answers with another address instead of a pool's answer.
    #[serde(default)]
    pub redirect: Option<Redirect>,
    /// Answers with a fixed text instead of a pool's answer.
    #[serde(default)]
    pub respond: Option<Respond>,
}

impl Route {
    /// The stable pool; empty when the route answers by itself.
    pub fn stable_pool(&self) -> &str {
        self.stable.as_deref().unwrap_or_default()
    }
}

fn default_cohort() -> String {
    "default".into()
}

/// One value or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Values<T> {
    /// One.
    One(T),
    /// Any of these.
    Many(Vec<T>),
}

/// A text to compare with: `*` stands for any characters, `?` for one; or `{ regex = "..." }`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Pattern {
    /// With wildcards.
    Wildcard(String),
    /// A regular expression, found anywhere unless anchored.
    Regex {
        /// The expression.
        regex: String,
    },
}

/// Which requests a route takes: all keys must hold, in each key any value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Names of partitions.
    pub partition: Option<Values<String>>,
    /// Names of listeners.
    pub listener: Option<Values<String>>,
    /// Hosts, in any case; without port and without a final dot.
    pub host: Option<Values<Pattern>>,
    /// Paths, without the query; case matters. They are compared as a target reads them: percent-decoded, `//` as `/`, without `.` and `..`.
    pub path: Option<Values<Pattern>>,
    /// Methods; case matters; no wildcards.
    pub method: Option<Values<String>>,
    /// Header values by name, in any case; every named header must match.
    pub header: BTreeMap<String, Values<Pattern>>,
    /// Query parameters, in any case: `{ version = "v2*" }`, or a list of `{ key = "...", value = "..." }` of which one must match.
    pub query: Option<QueryCondition>,
    /// Cookie values by name; every named cookie must match.
    pub cookie: BTreeMap<String, Values<Pattern>>,
    /// Addresses of the TCP peer, as CIDRs.
    pub source_ip: Option<Values<Cidr>>,
}

/// A condition on query parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum QueryCondition {
    /// Values by key; every named key must match.
    ByKey(BTreeMap<String, Values<String>>),
    /// One of these must match, as an ALB's.
    AnyOf(Vec<QueryValue>),
}

/// A key, or any, and a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryValue {
    /// The parameter's name, with wildcards; absent: any parameter.
    #[serde(default)]
    pub key: Option<String>,
    /// The parameter's value, with wildcards.
    pub value: String,
}

/// What happens when a canary has no healthy target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// 503.
    None,
    /// The stable pool serves, and it is counted against the canary.
    #[default]
    Stable,
}

/// How clients keep their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sticky {
    /// `bucket`: a cookie with a random id; `pin`: a second, signed cookie keeps a client on its pool for `pin_for`;
    /// `off`: every request is placed afresh.
    pub mode: StickyMode,
    /// Mode `bucket`: a client seen on a pool within this time keeps it when another pool is given more, for forms and CSRF
    /// tokens; at most half as long again. It never delays a way back, and weight 0 ends it. 0 means no hold.
    pub hold_up: Duration,
    /// Mode `pin`: a client keeps its pool for this long from its first request, whatever the weights, as long as the
    /// pool has a weight or is drained (`kanaria drain`).
    pub pin_for: Duration,
    /// Name of the cookie.
    pub cookie: String,
    /// Lifetime of the cookie; browsers keep none longer than 400 days (RFC 6265bis section 5.5).
    pub max_age: Duration,
    /// `SameSite` of the cookie; `none` also makes it `Secure`.
    pub same_site: SameSite,
    /// For clients without our cookie, the first that the request has: `"header:Authorization"`, `"cookie:session"`, `"ip"`.
    pub keys: Vec<String>,
    /// Whether a response marked for shared caches may set the cookie.
    pub on_cacheable: bool,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            mode: StickyMode::Bucket,
            hold_up: Duration::seconds(0),
            pin_for: Duration::seconds(86_400),
            cookie: "kanaria".into(),
            max_age: Duration::seconds(400 * 86_400),
            same_site: SameSite::Lax,
            keys: Vec::new(),
            on_cacheable: false,
        }
    }
}

/// Whether clients keep their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StickyMode {
    /// A cookie with a random id places a client on a bucket.
    #[default]
    Bucket,
    /// Every request is placed afresh.
    Off,
    /// As `bucket`, and a client keeps the pool it was first placed on.
    Pin,
}

/// `SameSite` of the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Sent on top-level navigation from other sites.
    #[default]
    Lax,
    /// Always sent; needs `Secure`.
    None,
    /// Never sent from other sites.
    Strict,
}

/// A way to a pool that beats the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Name in logs.
    pub name: String,
    /// Cookie that carries the flag; either this or `header`.
    #[serde(default)]
    pub cookie: Option<String>,
    /// Header that carries the flag; either this or `cookie`.
    #[serde(default)]
    pub header: Option<String>,
    /// The value, compared exactly; either this or `signed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Takes values that `kanaria flag mint` made for this flag, each until it expires; an expired cookie is cleared.
    #[serde(default)]
    pub signed: bool,
    /// The pool; any, also one without a weight.
    pub pool: String,
    /// Client addresses it is believed from, as CIDRs; empty: any.
    #[serde(default)]
    pub from: Vec<Cidr>,
    /// File that flagged clients get for `/favicon.ico`, at most 1 MiB, so that they see where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub favicon: Option<PathBuf>,
    /// Flagged clients get the response header `kanaria-decision`.
    #[serde(default = "default_reveal")]
    pub reveal: bool,
}

/// Bounds of what each canary of the route gets from one router; what is over goes to `stable`, with reason `cap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cap {
    /// Requests a second, flagged ones and retries among them, after a bucket of one second's worth; 0 means no limit.
    #[schemars(range(max = 1_000_000))]
    pub max_rps: u32,
    /// Requests at the same time, open WebSockets among them; 0 means no limit.
    pub max_concurrent: u32,
}

fn default_reveal() -> bool {
    true
}
