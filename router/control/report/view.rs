//! What a report says, for whoever writes it down.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::control::Sides;

/// What the guard of a route has seen, by stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Since when it is kept, in milliseconds since 1970; `None` when nothing is.
    pub since_ms: Option<u64>,
    /// By stage.
    pub stages: Vec<SumView>,
    /// When a canary was to be taken back or held, and why.
    pub trips: Vec<(u64, String)>,
}

/// What the guard has seen in one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SumView {
    /// Windows of five seconds that were compared.
    pub windows: u64,
    /// Users at risk, window by window.
    pub users: Sides,
    /// Those of them whose requests failed.
    pub bad: Sides,
    /// The most evidence of harm, by what is enough.
    pub harm: Option<HarmView>,
    /// The most evidence that there is no harm.
    pub no_harm: f64,
    /// How much is enough; 0 when nothing was compared.
    pub no_harm_threshold: f64,
}

/// Evidence of harm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HarmView {
    /// In what.
    pub metric: &'static str,
    /// How much, in nats.
    pub log_evidence: f64,
    /// How much is enough for a rollback.
    pub threshold: f64,
}

/// The migration of one route, since it is in the file.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ReportView {
    /// The route.
    pub route: String,
    /// The pool that a rollback returns to.
    pub stable: String,
    /// The other pools, in file order.
    pub canaries: Vec<String>,
    /// When this was told, RFC 3339, UTC as all times here.
    pub at: String,
    /// The revision then.
    pub revision: u64,
    /// `normal`, `frozen` or `rolled_back`.
    pub state: &'static str,
    /// Shares now, in percent.
    pub shares: BTreeMap<String, f64>,
    /// Where its ramp is; `null` before the first start.
    pub ramp: Option<StepOf>,
    /// Since when the guard's evidence is kept; `null` when there is none.
    pub evidence_since: Option<String>,
    /// Times of constant shares, oldest first.
    pub stages: Vec<StageView>,
    /// What went wrong, and what was done about it, oldest first.
    pub incidents: Vec<IncidentView>,
    /// Who did what, oldest first.
    pub changes: Vec<ChangeView>,
}

/// A step of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StepOf {
    /// Counts from 1.
    pub attempt: u32,
    /// Counts from 1.
    pub step: usize,
    /// How many steps there are.
    pub of: usize,
    /// `running`, `paused`, `complete`, `finalized` or `rolled_back`.
    pub phase: &'static str,
}

/// A time of constant shares.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StageView {
    /// When it began.
    pub from: String,
    /// When it ended; `null` for the one that goes on.
    pub to: Option<String>,
    /// How long, in seconds.
    pub length_s: u64,
    /// The revision that began it.
    pub revision: u64,
    /// Who did.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Shares, in percent.
    pub shares: BTreeMap<String, f64>,
    /// The step of the ramp that it was.
    pub ramp: Option<StepOf>,
    /// `harm`, `no_harm`, `open` or `no_data`.
    pub verdict: &'static str,
    /// What that rests on.
    pub seen: SumView,
}

/// Something that went wrong, or was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct IncidentView {
    /// When.
    pub time: String,
    /// `rollback`, `freeze`, `trip` (which was only told) or `resume`.
    pub what: &'static str,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// The revision of the change; `null` when there was none.
    pub revision: Option<u64>,
}

/// One change of the route.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ChangeView {
    /// When.
    pub time: String,
    /// The revision after it.
    pub revision: u64,
    /// What it was, as in the history.
    pub kind: &'static str,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Weights before it; `null` when the route was not there.
    pub before: Option<BTreeMap<String, u32>>,
    /// Weights after it; `null` when the route left.
    pub after: Option<BTreeMap<String, u32>>,
    /// The mark after it.
    pub state: Option<&'static str>,
    /// Where its ramp was after it.
    pub ramp: Option<StepOf>,
}

impl HarmView {
    /// Of how much is enough.
    pub fn part(&self) -> f64 {
        self.log_evidence / self.threshold
    }
}

impl SumView {
    pub(super) fn verdict(&self) -> &'static str {
        match &self.harm {
            _ if self.windows == 0 => "no_data",
            Some(harm) if harm.part() >= 1.0 => "harm",
            _ if self.no_harm >= self.no_harm_threshold => "no_harm",
            _ => "open",
        }
    }
}
