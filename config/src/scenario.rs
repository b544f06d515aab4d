//! A scenario: what made-up clients do and what goes wrong meanwhile, for `kanaria simulate`.
//!
//! It is written and read as the router's file is: TOML or JSON, every unknown key and wrong value in one go, with its
//! place. What a router makes of it is not known here.

mod check;
mod defaults;
mod read;
mod shipped;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hours::Hours;
use crate::units::Duration;

pub use read::{Written, read};
pub use shipped::{SHIPPED, Shipped};

/// A scenario file. Every key may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What it shows, in one line.
    pub about: String,
    /// When it begins. The default is a Monday.
    pub start: String,
    /// How long it runs, at most `400d`; 0: until the ramp is complete, or taken back for good; a day without a ramp.
    pub length: Duration,
    /// Who the clients are.
    pub clients: Clients,
    /// How much they ask, and when.
    pub traffic: Traffic,
    /// What they ask for.
    pub request: Request,
    /// What both pools answer while nothing is wrong.
    pub answers: Answers,
    /// Clients that send much, and get errors for it wherever they are.
    pub bots: Vec<Bot>,
    /// What goes wrong.
    pub harm: Vec<Harm>,
    /// What the operator does.
    pub operator: Operator,
}

/// Who the clients are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clients {
    /// Clients with a jar of cookies, at a time.
    #[schemars(range(min = 1, max = 5_000_000))]
    pub count: u32,
    /// How long one stays on average before another one comes in its place; 0: for ever.
    pub stay: Duration,
    /// How alike they are: the index of a Pareto distribution of their requests. At 1.5 one in 100 sends a fifth of all, at 10 they are nearly alike.
    #[schemars(range(min = 1.05, max = 100.0))]
    pub tail: f64,
    /// Part of the requests that come from clients that keep no cookie.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub cookieless: f64,
    /// Part of the clients that have the route's first flag with a plain value. Nobody judges by them.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flagged: f64,
}

/// How much clients ask, and when. Requests come at random (a Poisson process).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traffic {
    /// Requests a second, on average over the day.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub rps: f64,
    /// How much that changes over the day: at 0.6 from 0.4 to 1.6 times the average; 0: not at all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub swing: f64,
    /// The hour of most requests, in UTC.
    #[schemars(range(min = 0.0, max = 24.0))]
    pub peak: f64,
    /// Hours without any request, `"Mon-Sun 01:00-05:00 Asia/Tokyo"`.
    pub quiet: Option<Hours>,
}

/// What clients ask for. What is left out is made of the route's `match`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Method.
    pub method: Option<String>,
    /// Host.
    pub host: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// Text after `?`.
    pub query: Option<String>,
    /// Header fields by name.
    pub headers: BTreeMap<String, String>,
}

/// What both pools answer while nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Part of the requests that fail with 500.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub errors: f64,
    /// Part of the requests that are answered 404.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub client_errors: f64,
    /// Half of the answers begin within this time.
    pub median: Duration,
    /// How much times differ: the standard deviation of their logarithm.
    #[schemars(range(min = 0.0, max = 3.0))]
    pub spread: f64,
}

/// A client that sends much, and gets errors for it wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bot {
    /// Where its place is.
    pub place: Place,
    /// Requests a second.
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub rps: f64,
    /// Part of them that fail with 500.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub errors: f64,
    /// Part of them that are answered 404.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub client_errors: f64,
}

/// Where the place of a bot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Anywhere.
    Any,
    /// Among the first that a canary gets.
    #[default]
    Canary,
    /// Among the last.
    Stable,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Harm {
    /// The pool that does it: its name, or `canary` for every pool but stable, `stable`, or `all`.
    pub pool: String,
    /// When it begins, from the begin of the scenario, or of `step`.
    pub from: Duration,
    /// The step of the ramp, from 1, whose first begin `from` counts from; absent: that of the scenario. Without a ramp every
    /// step begins when the operator would start one.
    #[schemars(range(min = 1, max = 1000))]
    pub step: Option<u32>,
    /// How long it goes on; 0: to the end.
    pub lasts: Duration,
    /// Part of the clients that it hits, always the same ones.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub clients: f64,
    /// Part of their requests that fail with 500 for it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub errors: f64,
    /// Part of their requests that are answered 404 for it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub client_errors: f64,
    /// So many times slower are their answers.
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub slower: f64,
    /// The pool has no healthy target.
    pub down: bool,
    /// Targets of the pool do not answer the ramp's `probe` as they must; otherwise, and unless the pool is down, they do.
    pub probe_fails: bool,
}

/// What the operator does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Operator {
    /// Starts the ramp after so long, or as soon as it may be started then. The guard wants to know stable for three hours.
    pub start: Duration,
    /// Starts it even when the guard does not know stable for long enough, as `--cold` does.
    pub cold: bool,
    /// Says `advance` so long after a step waits for that alone; absent: never.
    pub advance: Option<Duration>,
    /// Lifts the mark and resumes the ramp so long after it was taken back; absent: never.
    pub resume: Option<Duration>,
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    // Without references, which would be looked for in the schema of the router's file.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Scenario>();
    schema.to_value()
});

/// The JSON Schema (draft 2020-12) of a scenario.
pub(crate) fn schema() -> &'static Value {
    &SCHEMA
}

#[cfg(test)]
mod tests;
