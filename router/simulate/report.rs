//! What came of a simulation, by names.

use serde::Serialize;

/// One request, as it is told to whoever listens.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Second since 1970.
    pub time: u64,
    /// Number of the client; the highest there is for clients that keep no cookie.
    pub client: u64,
    /// The id that it has, or was given with the answer; `None` when it has none.
    pub id: Option<[u8; 16]>,
    /// The live state that decided.
    pub revision: u64,
    /// The pool chosen.
    pub pool: &'a str,
    /// Why.
    pub reason: &'static str,
    /// The client's place.
    pub bucket: Option<u16>,
    /// What it was answered.
    pub status: u16,
}

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The route that was looked at.
    pub route: String,
    /// What the scenario is about.
    pub about: String,
    /// What chance began with.
    pub seed: u64,
    /// When it began and ended, RFC 3339.
    pub begin: String,
    /// The end.
    pub end: String,
    /// What of the file was left out, in words.
    pub left_out: Vec<String>,
    /// What happened, in order; the first row is the begin.
    pub rows: Vec<Row>,
    /// All in all.
    pub summary: Summary,
}

/// Something happened, and what the traffic was like until the next row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// When, RFC 3339.
    pub time: String,
    /// Seconds since the begin.
    pub elapsed_s: u64,
    /// What happened.
    pub what: Vec<String>,
    /// The step of the ramp, from 1; `None` while there is none.
    pub step: Option<usize>,
    /// The part that canaries should have, 0 to 1.
    pub asked: f64,
    /// The part of the clients with a jar that had a request on a canary until the next row.
    pub users: Option<f64>,
    /// The part of the requests that canaries got until then.
    pub requests: Option<f64>,
    /// Requests until then.
    pub n_requests: u64,
    /// Those of them that were placed on a canary, which had as much as its cap lets it have: stable served them.
    pub over_cap: u64,
    /// What the guard said in the end: `ok`, `no_data`, `baseline_unhealthy`, `tripped`; `None` without one.
    pub guard: Option<String>,
    /// The most evidence of harm until then, of any metric.
    pub evidence: f64,
    /// The evidence of no harm in the end, and how much opens a step.
    pub no_harm: Option<(f64, f64)>,
}

/// All in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// Attempts of the ramp; 0 without one.
    pub attempts: u32,
    /// How often the guard took everything back.
    pub rollbacks: u32,
    /// Why the guard tripped, or which budget was spent, each time.
    pub trips: Vec<String>,
    /// Requests.
    pub requests: u64,
    /// Those that a canary got.
    pub canary_requests: u64,
    /// Those that were placed on a canary, which had as much as its cap lets it have: stable served them, and their users moved.
    pub over_cap: u64,
    /// Clients with a jar.
    pub users: u64,
    /// Those of them that ever were on a canary.
    pub users_on_canary: u64,
    /// Requests placed on a canary that were errors, and would not have been without harm.
    pub extra_errors: u64,
    /// Steps of clients from stable to a canary, or from one to another.
    pub moved_to_canary: u64,
    /// Steps of clients back to stable.
    pub moved_back: u64,
    /// When harm first touched a request on a canary, RFC 3339.
    pub harm_began: Option<String>,
    /// Seconds from then to the first time that everybody was back on stable.
    pub reaction_s: Option<u64>,
}

/// How a simulation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The ramp is complete.
    Complete,
    /// A mark forbids raising a canary.
    Frozen,
    /// Everybody is back on stable, latched.
    RolledBack,
    /// A ramp is under way.
    UnderWay,
    /// Nothing was started, and nothing taken back.
    #[default]
    Unchanged,
}

/// What somebody expects of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expected {
    /// The ramp gets to its end, and nothing is taken back.
    Complete,
    /// The guard takes the canary back.
    Rollback,
}

impl Report {
    /// Whether it is what was expected.
    pub const fn meets(&self, expected: Expected) -> bool {
        let summary = &self.summary;
        match expected {
            Expected::Complete => {
                matches!(summary.outcome, Outcome::Complete) && summary.rollbacks == 0
            }
            Expected::Rollback => summary.rollbacks > 0,
        }
    }
}

impl Expected {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Rollback => "rollback",
        }
    }
}

impl Outcome {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Frozen => "frozen",
            Self::RolledBack => "rolled back",
            Self::UnderWay => "under way",
            Self::Unchanged => "unchanged",
        }
    }
}
