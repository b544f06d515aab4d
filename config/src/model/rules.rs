//! What is changed on the way: header fields, cookies, and the address that a target sees.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Values;

/// Changes of header fields: of a route or of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// On requests to targets: first the route's, then the pool's. What kanaria sets itself comes last and is not theirs to change.
    pub request: Fields,
    /// On answers: first the pool's, on answers of its targets; then the route's, on every answer of the route, also ours.
    pub response: Fields,
}

/// Changes of header fields, in this order: `remove`, `set`, `add`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The one value of a field, whatever values it has: `{ Strict-Transport-Security = "max-age=31536000" }`.
    pub set: BTreeMap<String, String>,
    /// Further values of a field, behind those it has; one, or a list.
    pub add: BTreeMap<String, Values<String>>,
    /// Names of fields to leave out.
    pub remove: Vec<String>,
}

/// Changes of cookies on the way to and from the targets of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cookies {
    /// Cookies of clients, as targets see them.
    pub request: CookieNames,
    /// Cookies that targets set, as clients get them.
    pub response: CookieNames,
    /// Cookies that clients are told to forget.
    pub expire: Vec<Expire>,
}

/// Cookies that get another name, or are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CookieNames {
    /// Names of cookies to leave out.
    pub drop: Vec<String>,
    /// Other names, `{ sess2 = "sess" }`: what arrives as `sess2` goes on as `sess`, and what arrives as `sess` does not go on.
    pub rename: BTreeMap<String, String>,
}

/// A cookie that clients who send it are told to forget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// Its name, as clients know it.
    pub name: String,
    /// The domains it may have been set for, `["", "example.com"]`: each is another cookie to a browser; `""` is the one without a `Domain`.
    #[serde(default = "default_domains")]
    pub domains: Vec<String>,
    /// The path it was set for.
    #[serde(default = "default_path")]
    pub path: String,
    /// When clients are told: when they send it, when they send it more than once, or when the answer sets or deletes a
    /// cookie of that name, which is then another one and stays.
    #[serde(default)]
    pub when: When,
}

/// When clients are told to forget a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When they send it.
    #[default]
    Present,
    /// When the answer sets or deletes a cookie of that name, for the sake of which other ones are forgotten.
    Set,
    /// When they send it more than once: a browser holds several of that name.
    Twice,
}

fn default_domains() -> Vec<String> {
    vec![String::new()]
}

fn default_path() -> String {
    "/".into()
}

/// Another address for targets; which route takes a request is settled before.
///
/// An address that cannot be sent is answered 500. Where a regular expression is not found, everything stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rewrite {
    /// The path: a text, or `{ regex = "^/v1/(.*)$", to = "/$1" }`.
    pub path: Option<Replacement>,
    /// The query, without `?`: a text (`""` for none), or `{ regex = "...", to = "..." }`.
    pub query: Option<Replacement>,
    /// Path and query as one text, as an ALB's `url-rewrite`; instead of `path` and `query`.
    pub url: Option<Replacement>,
    /// The `Host` field: a text, or `{ regex = "...", to = "..." }`.
    pub host: Option<Replacement>,
}

/// A text, or what a regular expression makes of the one there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Replacement {
    /// Whatever was there.
    Text(String),
    /// What is found first is replaced, the rest stays.
    Regex {
        /// The expression, found anywhere unless anchored; case matters.
        regex: String,
        /// What stands in its place: `$1` to `$99` for what a group found, `$$` for `$`. A name, or a number in front of a digit, is
        /// in braces, with two `$` because one is for the environment: `$${name}`.
        to: String,
    },
}
