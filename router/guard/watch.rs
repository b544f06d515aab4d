//! The guard of one route between two looks: what is in force, and what it makes of what was seen.

use std::sync::Arc;

use canary::guard::{Armed, Evidence, Guard, HardTerms, Observed, Rules, Trip, Verdict};
use config::live::{Edit, Latch, Live, LiveRoute, Share, Weights};
use config::model;

use crate::control::rules;
use crate::witness::Witness;

/// Clients of the canary that must have failed before the hard limit is reached.
const HARD_UNITS: usize = 5;
/// The part of stable's requests from which on both are thought to fail for the same reason.
const HARD_STABLE: f64 = 0.10;

/// What is in force for a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Situation {
    /// The part of all canaries together, 0 to 1.
    pub(crate) share: f64,
    pub(crate) latch: Latch,
    /// The live state that this is of.
    pub(crate) revision: u64,
    /// By its health checks.
    pub(crate) stable_is_well: bool,
    pub(crate) rules: Rules,
    pub(crate) hard: HardTerms,
}

impl Situation {
    /// Of `route`; `None` when nobody judges its canaries, or it has no live state. A ramp without a guard gathers evidence
    /// by the guard's defaults.
    pub(crate) fn of(route: &model::Route, live: &Live, stable_is_well: bool) -> Option<Self> {
        let guard = route.guard.clone();
        let guard = guard.or_else(|| route.ramp.as_ref().map(|_| model::Guard::default()))?;
        let current = live.routes.get(&route.name)?;
        Some(Self {
            share: share(&current.weights, route.stable_pool()),
            latch: current.state,
            revision: live.revision,
            stable_is_well,
            rules: rules(route),
            hard: hard(&guard.hard_limit),
        })
    }

    fn armed(&self) -> Armed {
        if self.share > 0.0 && self.latch != Latch::RolledBack {
            Armed::Yes
        } else {
            Armed::No
        }
    }
}

/// Whether `edits` of a route, in whatever order, begin another attempt: its mark was lifted, or it came anew.
pub(super) fn begin_another<'a>(mut edits: impl Iterator<Item = &'a Edit<LiveRoute>>) -> bool {
    edits.any(|edit| match (&edit.before, &edit.after) {
        (Some(before), Some(after)) => before.state.holds() && !after.state.holds(),
        _ => true,
    })
}

fn share(weights: &Weights, stable: &str) -> f64 {
    let canaries = weights.keys().filter(|pool| *pool != stable);
    canaries.map(|pool| Share::of(weights, pool).ratio()).sum()
}

fn hard(limit: &model::HardLimit) -> HardTerms {
    HardTerms {
        seconds: limit.window.0.as_secs() as usize,
        requests: limit.requests.into(),
        error_ratio: limit.error_ratio,
        bad_units: HARD_UNITS,
        stable_error_ratio: HARD_STABLE,
    }
}

/// The guard of one route.
#[derive(Debug)]
pub(crate) struct Watch {
    witness: Arc<Witness>,
    guard: Guard,
    window: Observed,
    situation: Situation,
    minute: Option<u64>,
}

impl Watch {
    /// A guard with the `evidence` of before, if there is any.
    pub(crate) fn new(
        witness: Arc<Witness>,
        evidence: Option<Evidence>,
        situation: Situation,
    ) -> Self {
        let evidence = evidence.unwrap_or_else(|| Evidence::new(situation.rules));
        Self {
            witness,
            guard: Guard::new(evidence),
            window: Observed::default(),
            situation,
            minute: None,
        }
    }

    /// What is in force now; whether evidence begins anew with it, of an attempt or of a step.
    pub(crate) fn follow(&mut self, situation: Situation) -> bool {
        let before = std::mem::replace(&mut self.situation, situation);
        let is_lifted = before.latch.holds() && !situation.latch.holds();
        if is_lifted && (before.latch == Latch::RolledBack || self.guard.has_tripped()) {
            self.begin();
            return true;
        }
        let is_raised = situation.share > before.share;
        if is_raised {
            self.guard.stepped();
        }
        is_raised
    }

    /// Another attempt begins, without the evidence of the one before.
    pub(crate) fn begin(&mut self) {
        self.guard.begin(self.situation.rules);
    }

    /// A second is over, and the window that began at `over_ms` with it, if one is. A trip says why the canary is to be taken
    /// back. When the hard limit is reached in that second, the window goes on to the end of the next one.
    pub(crate) fn look(&mut self, over_ms: Option<u64>) -> (Option<Trip>, Option<Verdict>) {
        let trip = self.second();
        let verdict = over_ms.filter(|_| trip.is_none());
        let verdict = verdict.map(|start_ms| self.close(start_ms));
        let trip = trip.or_else(|| verdict.as_ref()?.trip.clone());
        (trip, verdict)
    }

    /// A second is over.
    pub(crate) fn second(&mut self) -> Option<Trip> {
        let second = self.witness.second(&mut self.window);
        let Situation {
            hard,
            stable_is_well,
            ..
        } = self.situation;
        self.guard
            .second(&hard, second, self.situation.armed(), stable_is_well)
    }

    /// The window that began at `start_ms` is over.
    pub(crate) fn close(&mut self, start_ms: u64) -> Verdict {
        self.witness.close(&mut self.window);
        let minute = start_ms / 60_000;
        if self.minute.replace(minute) != Some(minute) {
            self.witness.minute();
        }
        let mut window = std::mem::take(&mut self.window);
        window.start_ms = start_ms;
        let verdict = self.guard.close(&window, self.situation.armed());
        self.witness.set_slow(self.guard.slow());
        verdict
    }

    pub(crate) const fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) const fn situation(&self) -> &Situation {
        &self.situation
    }

    /// Whether the rules of the file are not those of this attempt.
    pub(crate) fn rules_wait(&self) -> bool {
        self.guard.evidence().rules != self.situation.rules
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::witness::{Observation, Outcome, Side};

    fn route() -> model::Route {
        serde_json::from_value(json!({
            "name": "web", "stable": "ec2", "weights": { "ec2": 90, "ecs": 10 }, "guard": {},
        }))
        .unwrap()
    }

    pub(in crate::guard) fn rules() -> Rules {
        super::rules(&route())
    }

    pub(in crate::guard) fn situation(share: f64, latch: Latch) -> Situation {
        let guard = model::Guard::default();
        Situation {
            share,
            latch,
            revision: 1,
            stable_is_well: true,
            rules: rules(),
            hard: hard(&guard.hard_limit),
        }
    }

    fn watch(share: f64) -> Watch {
        Watch::new(Arc::default(), None, situation(share, Latch::Normal))
    }

    fn fail(watch: &Watch, n: u16) {
        for unit in 0..n {
            watch.witness.observe(&Observation {
                side: Side::Canary,
                unit,
                outcome: Outcome::Failed,
                time_us: None,
            });
        }
    }

    #[test]
    fn a_route_without_a_guard_has_no_situation() {
        let mut route = route();
        assert_eq!(Situation::of(&route, &Live::default(), true), None);
        route.guard = None;
        assert_eq!(Situation::of(&route, &Live::default(), true), None);
    }

    #[test]
    fn a_dead_canary_is_taken_back_by_the_hard_limit_within_a_second() {
        let mut watch = watch(0.1);
        fail(&watch, 30);
        assert!(matches!(watch.second(), Some(Trip::HardLimit { .. })));
        fail(&watch, 30);
        assert_eq!(watch.second(), None, "once an attempt");
    }

    #[test]
    fn a_canary_without_a_weight_or_rolled_back_trips_nothing() {
        for situation in [
            situation(0.0, Latch::Normal),
            situation(0.1, Latch::RolledBack),
        ] {
            let mut watch = watch(0.1);
            watch.follow(situation);
            fail(&watch, 30);
            assert_eq!(watch.second(), None);
        }
    }

    #[test]
    fn a_lifted_mark_begins_another_attempt_and_a_raise_another_step() {
        let mut watch = watch(0.1);
        assert!(!watch.follow(situation(0.1, Latch::Normal)));
        assert!(watch.follow(situation(0.2, Latch::Normal)), "raised");
        assert!(!watch.follow(situation(0.0, Latch::RolledBack)));
        assert_eq!(watch.guard().evidence().attempt, 1);
        assert!(watch.follow(situation(0.0, Latch::Normal)), "lifted");
        assert_eq!(watch.guard().evidence().attempt, 2);
        // A freeze by hand ends no attempt.
        watch.follow(situation(0.1, Latch::Frozen));
        watch.follow(situation(0.1, Latch::Normal));
        assert_eq!(watch.guard().evidence().attempt, 2);
    }

    #[test]
    fn other_rules_wait_for_the_next_attempt() {
        let mut watch = watch(0.1);
        let mut other = situation(0.1, Latch::Normal);
        other.rules.alpha = 0.01;
        watch.follow(other);
        assert!(watch.rules_wait());
        assert_eq!(watch.guard().evidence().rules.alpha, 0.001);
        watch.follow(Situation {
            latch: Latch::RolledBack,
            ..other
        });
        watch.follow(other);
        assert!(!watch.rules_wait());
    }
}
