//! What the guard and the ramp of a route say, for whoever looks. How they come to that is not known here.

use config::live::{self, LiveRamp};
use config::model;
use serde::Serialize;

/// The guard of one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GuardView {
    /// `ok`, `no_data`, `baseline_unhealthy` or `tripped`.
    pub state: &'static str,
    /// In words.
    pub reason: String,
    /// Counts from 1; lifting a mark of the guard's begins another one.
    pub attempt: u32,
    /// The file has other rules than this attempt, which count from the next one on.
    pub rules_wait: bool,
    /// The part of all canaries together that the gate is about.
    pub share: f64,
    /// Minutes of stable that are known.
    pub stable_minutes: u32,
    /// Whether that is enough to tell noise of the pools from harm.
    pub warm: bool,
    /// Users of the canary seen lately.
    pub users: u32,
    /// Users that failed once and count no more for a while.
    pub out_of_count: Sides,
    /// Evidence that there is no harm, since the canary was last given more.
    pub gate: GateView,
    /// Evidence of harm.
    pub metrics: Vec<MetricView>,
    /// What the attempt has cost; `null` without a budget.
    pub budget: Option<BudgetView>,
    /// What the last hour was like; `null` before stable was seen for a minute.
    pub usual: Option<UsualView>,
}

/// What an attempt has cost, and may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BudgetView {
    /// Users of canaries; `null` when they are not bounded.
    pub users: Option<SpentView>,
    /// Failures of canaries beyond as many as stable would have had; `null` when they are not bounded.
    pub extra_errors: Option<SpentView>,
    /// `users` or `extra_errors`, once that was reached in this attempt.
    pub reached: Option<&'static str>,
}

/// So much of so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SpentView {
    /// So much there was.
    pub used: u64,
    /// So much is allowed.
    pub allowed: u64,
}

/// What an average window of the last hour was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct UsualView {
    /// Users in five seconds, of both pools.
    pub users_per_window: f64,
    /// The part of stable's users that fails.
    pub stable_bad: f64,
    /// Distinct users of both pools, as far as they are remembered.
    pub users: f64,
    /// Minutes that this rests on.
    pub minutes: u32,
}

/// Evidence that there is no harm. All evidence is in nats: 6.9 is a chance of 1 in 1000.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GateView {
    /// How much there is.
    pub log_evidence: f64,
    /// How much is enough.
    pub threshold: f64,
    /// Whether there ever was.
    pub open: bool,
    /// Users of the canary, window by window, that it rests on.
    pub users: u64,
}

/// Evidence of harm in one metric.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct MetricView {
    /// `errors`, `client_errors`, `latency_p50`, `latency_p90` or `latency_p99`.
    pub metric: &'static str,
    /// How much there is, without the group of users that speaks most against the canary.
    pub log_evidence: f64,
    /// How much is enough for a rollback.
    pub threshold: f64,
    /// The chance of as much evidence without harm, at any time of this attempt.
    pub p_value: f64,
    /// Which of eight groups of users that is.
    pub decisive_group: Option<usize>,
    /// How much a window counts, for how restless stable is: at most 1.
    pub temper: f64,
    /// Users at risk in the last minute, window by window.
    pub users: Sides,
    /// Bad ones of them.
    pub bad: Sides,
}

/// A count of each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Sides {
    /// All canaries together.
    pub canary: u64,
    /// The stable pool.
    pub stable: u64,
}

impl Sides {
    /// Of a row.
    pub fn of(canary: u32, stable: u32) -> Self {
        Self {
            canary: canary.into(),
            stable: stable.into(),
        }
    }
}

impl std::ops::Add for Sides {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            canary: self.canary + other.canary,
            stable: self.stable + other.stable,
        }
    }
}

/// The ramp of one route: its schedule, where it is, and what it waits for.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RampView {
    /// The pool that is raised.
    pub canary: String,
    /// `off`, `running`, `paused`, `complete`, `finalized` or `rolled_back`.
    pub phase: &'static str,
    /// Counts from 1; 0 before the first start.
    pub attempt: u32,
    /// The step in force, from 1; 0 before the first start.
    pub step: usize,
    /// All steps.
    pub steps: Vec<StepView>,
    /// Hours in which steps open; empty: all.
    pub window: String,
    /// Seconds that the step was held, as far as the router watched.
    pub held_s: u64,
    /// Seconds until its time is over.
    pub left_s: u64,
    /// What the next step waits for, beyond its time.
    pub missing: Vec<String>,
    /// When steps open again, RFC 3339, when it waits for that.
    pub opens: Option<String>,
    /// It is held for longer than `hold_max`.
    pub late: bool,
    /// The file has another schedule, which counts from the next start on.
    pub schedule_waits: bool,
}

/// One step of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StepView {
    /// The canary's share.
    pub percent: f64,
    /// How long it has that, at least, in seconds.
    pub hold_s: u64,
}

/// How the ramp of a route that runs gets on.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Its attempt.
    pub attempt: u32,
    /// Its step, from 0.
    pub step: usize,
    /// Seconds that the step was held.
    pub held_s: u64,
    /// What the next step waits for, beyond its time.
    pub missing: Vec<String>,
    /// When steps open again, when it waits for that.
    pub opens: Option<String>,
    /// It is held for longer than `hold_max`.
    pub late: bool,
}

impl RampView {
    /// The schedule of `route` and where it is by `live`; `None` without one. `pace` is how it gets on, if that is known.
    pub fn of(route: &model::Route, live: Option<&LiveRamp>, pace: Option<Pace>) -> Option<Self> {
        let settings = route.ramp.as_ref()?;
        let written = live::plan(route)?;
        let started = live.map(|ramp| &ramp.plan);
        let plan = started.unwrap_or(&written);
        let pace = pace.filter(|pace| {
            live.is_some_and(|ramp| ramp.attempt == pace.attempt && ramp.step == pace.step)
        });
        let held_s = pace.as_ref().map_or(0, |pace| pace.held_s);
        let hold_s = live
            .and_then(LiveRamp::current)
            .map_or(0, |step| step.hold_s);
        let canary = live
            .map(|ramp| ramp.canary.as_str())
            .or_else(|| live::ramped(route));
        let steps = plan.iter().map(|step| StepView {
            percent: f64::from(step.share) / 100.0,
            hold_s: step.hold_s,
        });
        Some(Self {
            canary: canary.unwrap_or_default().to_owned(),
            phase: live.map_or("off", |ramp| ramp.phase.as_str()),
            attempt: live.map_or(0, |ramp| ramp.attempt),
            step: live.map_or(0, |ramp| ramp.step + 1),
            steps: steps.collect(),
            window: settings.window.to_string(),
            held_s,
            left_s: hold_s.saturating_sub(held_s),
            missing: pace
                .as_ref()
                .map_or_else(Vec::new, |pace| pace.missing.clone()),
            opens: pace.as_ref().and_then(|pace| pace.opens.clone()),
            late: pace.is_some_and(|pace| pace.late),
            schedule_waits: *plan != written,
        })
    }
}
