//! The guard of one route between two looks: what is in force, and what it makes of what was seen.

use std::sync::Arc;

use canary::guard::{
    Armed, BudgetTerms, Evidence, Guard, HardTerms, Observed, Rules, Spent, Trip, Verdict,
};
use config::live::{Latch, Live, LiveRoute, Share, Weights, canaries_share};
use config::model;

use crate::control::rules;
use crate::witness::Witness;

/// Clients of the canary that must have failed before the hard limit is reached.
const HARD_UNITS: usize = 5;
/// The part of stable's requests from which on both are thought to fail for the same reason.
const HARD_STABLE: f64 = 0.10;

/// What is in force for a route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Situation {
    pub(crate) current: Arc<LiveRoute>,
    pub(crate) stable: String,
    /// The live state that this is of.
    pub(crate) revision: u64,
    /// By its health checks.
    pub(crate) stable_is_well: bool,
    pub(crate) rules: Rules,
    pub(crate) hard: HardTerms,
    pub(crate) budget: Option<BudgetTerms>,
}

impl Situation {
    /// Of `route`; `None` when nobody judges its canaries, or it has no live state. A ramp without a guard gathers evidence
    /// by the guard's defaults.
    pub(crate) fn of(route: &model::Route, live: &Live, stable_is_well: bool) -> Option<Self> {
        let guard = route.guard.clone();
        let guard = guard.or_else(|| route.ramp.as_ref().map(|_| model::Guard::default()))?;
        let current = live.routes.get(&route.name)?;
        Some(Self {
            current: Arc::clone(current),
            stable: route.stable_pool().to_owned(),
            revision: live.revision,
            stable_is_well,
            rules: rules(route),
            hard: hard(&guard.hard_limit),
            budget: budget(&guard.budget),
        })
    }

    /// The part of all canaries together, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        canaries_share(&self.current.weights, &self.stable)
    }

    /// A canary that was raised by force is guarded too, also while the mark of a rollback stands.
    fn armed(&self) -> Armed {
        if self.share() > 0.0 {
            Armed::Yes
        } else {
            Armed::No
        }
    }
}

/// Whether a canary has more by `after` than by `before`; what another one lost does not count against it.
fn is_raised(before: &Weights, after: &Weights, stable: &str) -> bool {
    let mut canaries = after.keys().filter(|pool| *pool != stable);
    canaries.any(|pool| Share::of(after, pool).ratio() > Share::of(before, pool).ratio())
}

/// Whether a change of a route begins another attempt, after one that `has_told` of a trip or a spent budget, or not: the
/// route came anew; a rollback was lifted, or what followed from that; or a canary was raised after it, by somebody who
/// knows and insists.
pub(super) fn begins_another(
    (before, after): (Option<&LiveRoute>, Option<&LiveRoute>),
    stable: &str,
    has_told: bool,
) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return true;
    };
    let is_lifted = before.state.holds() && !after.state.holds();
    let is_raised = is_raised(&before.weights, &after.weights, stable);
    is_lifted && before.state == Latch::RolledBack || has_told && (is_lifted || is_raised)
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

/// What begins with a change of what is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Another attempt.
    Attempt,
    /// Nothing.
    Same,
    /// Another step of the same attempt.
    Step,
}

/// `None` when nothing is bounded.
fn budget(written: &model::Budget) -> Option<BudgetTerms> {
    let terms = BudgetTerms {
        users: written.users.map(u64::from),
        extra_errors: written.extra_errors.map(u64::from),
    };
    (terms != BudgetTerms::default()).then_some(terms)
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
        let mut guard = Guard::new(evidence);
        guard.allow(situation.budget);
        Self {
            witness,
            guard,
            window: Observed::default(),
            situation,
            minute: None,
        }
    }

    /// What is in force now; begins what begins with it.
    pub(crate) fn follow(&mut self, situation: Situation) -> Course {
        let before = std::mem::replace(&mut self.situation, situation);
        self.guard.allow(self.situation.budget);
        let (stable, before) = (&self.situation.stable, before.current);
        let edit = (Some(&*before), Some(&*self.situation.current));
        if begins_another(edit, stable, self.guard.has_told()) {
            self.begin();
            return Course::Attempt;
        }
        if is_raised(&before.weights, &self.situation.current.weights, stable) {
            self.guard.stepped();
            return Course::Step;
        }
        Course::Same
    }

    /// From now on `witness` sees the requests of the route, which may have left the file and come back unseen.
    pub(super) fn look_through(&mut self, witness: Arc<Witness>) {
        if !Arc::ptr_eq(&self.witness, &witness) {
            self.witness = witness;
            self.witness.set_slow(self.guard.slow());
        }
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

    /// The bound of the budget that is reached now; said once an attempt. A canary that was taken back costs no more.
    pub(super) fn spent(&mut self) -> Option<Spent> {
        match self.situation.armed() {
            Armed::Yes => self.guard.spent(),
            Armed::No => None,
        }
    }

    /// A second is over.
    pub(crate) fn second(&mut self) -> Option<Trip> {
        let second = self.witness.second(&mut self.window);
        let Situation {
            hard,
            stable_is_well,
            ..
        } = &self.situation;
        self.guard
            .second(hard, second, self.situation.armed(), *stable_is_well)
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
    use config::live::{Owner, Routes, fresh};
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

    /// A route whose canaries have these parts, and `ec2` the rest.
    fn live(canaries: &[(&str, f64)], state: Latch) -> LiveRoute {
        let weight = |share: f64| (share * 100.0).round() as u32;
        let rest = 1.0 - canaries.iter().map(|(_, share)| share).sum::<f64>();
        let pools = canaries.iter().copied().chain([("ec2", rest)]);
        let weights: Weights = pools
            .map(|(pool, share)| (pool.to_owned(), weight(share)))
            .collect();
        LiveRoute {
            block: weights.clone(),
            weights,
            owner: Owner::Live,
            state,
            draining: Default::default(),
            ramp: None,
        }
    }

    pub(in crate::guard) fn situation(share: f64, latch: Latch) -> Situation {
        let guard = model::Guard::default();
        Situation {
            current: live(&[("ecs", share)], latch).into(),
            stable: "ec2".into(),
            revision: 1,
            stable_is_well: true,
            rules: rules(),
            hard: hard(&guard.hard_limit),
            budget: None,
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
    fn a_route_without_a_guard_or_a_live_state_has_no_situation() {
        let mut file = model::Config {
            routes: vec![route().into()],
            ..serde_json::from_value(json!({ "version": 1 })).unwrap()
        };
        let live = fresh(&Routes::of(&file));
        assert!(Situation::of(&file.routes[0], &live, true).is_some());
        assert_eq!(Situation::of(&file.routes[0], &Live::default(), true), None);
        Arc::make_mut(&mut file.routes[0]).guard = None;
        assert_eq!(Situation::of(&file.routes[0], &live, true), None);
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
    fn a_canary_without_a_weight_trips_nothing() {
        let mut watch = watch(0.1);
        watch.follow(situation(0.0, Latch::Normal));
        fail(&watch, 30);
        assert_eq!(watch.second(), None);
    }

    #[test]
    fn a_canary_that_was_raised_by_force_is_guarded_under_its_mark() {
        let mut watch = watch(0.1);
        fail(&watch, 30);
        assert!(watch.second().is_some());
        let rolled_back = situation(0.0, Latch::RolledBack);
        assert_eq!(watch.follow(rolled_back), Course::Same);
        let forced = situation(0.1, Latch::RolledBack);
        assert_eq!(watch.follow(forced), Course::Attempt);
        fail(&watch, 30);
        assert!(matches!(watch.second(), Some(Trip::HardLimit { .. })));
    }

    #[test]
    fn a_lifted_mark_begins_another_attempt_and_a_raise_another_step() {
        use Latch::{Frozen, Normal, RolledBack};
        let mut watch = watch(0.1);
        for (share, latch, expected) in [
            (0.1, Normal, Course::Same),
            (0.2, Normal, Course::Step),
            (0.1, Normal, Course::Same),
            // A freeze by hand ends no attempt.
            (0.1, Frozen, Course::Same),
            (0.1, Normal, Course::Same),
            (0.0, RolledBack, Course::Same),
            (0.0, Normal, Course::Attempt),
        ] {
            let course = watch.follow(situation(share, latch));
            assert_eq!(course, expected, "{share} {latch:?}");
        }
    }

    #[test]
    fn a_freeze_by_a_spent_budget_ends_with_its_attempt() {
        let mut watch = watch(0.1);
        let with = |latch| Situation {
            budget: budget(&model::Budget {
                users: None,
                extra_errors: Some(10),
            }),
            ..situation(0.1, latch)
        };
        watch.follow(with(Latch::Normal));
        fail(&watch, 12);
        assert_eq!(watch.second(), None);
        let spent = watch.spent().unwrap();
        assert_eq!((spent.used, spent.allowed), (12, 10));
        assert_eq!(watch.spent(), None, "once an attempt");
        assert_eq!(watch.follow(with(Latch::Frozen)), Course::Same);
        assert_eq!(watch.follow(with(Latch::Normal)), Course::Attempt);
        fail(&watch, 9);
        watch.second();
        assert_eq!(watch.spent(), None, "another attempt has another budget");
    }

    #[test]
    fn a_canary_that_is_raised_after_a_trip_is_another_attempt() {
        let mut watch = watch(0.1);
        fail(&watch, 30);
        assert!(watch.second().is_some(), "and it was only told");
        for (share, expected) in [(0.1, Course::Same), (0.0, Course::Same)] {
            assert_eq!(watch.follow(situation(share, Latch::Normal)), expected);
        }
        let again = situation(0.1, Latch::Normal);
        assert_eq!(watch.follow(again), Course::Attempt);
    }

    #[test]
    fn what_one_canary_loses_hides_no_raise_of_another() {
        let mut watch = watch(0.1);
        let with = |ecs: f64, lambda: f64| Situation {
            current: live(&[("ecs", ecs), ("lambda", lambda)], Latch::Normal).into(),
            ..situation(0.0, Latch::Normal)
        };
        assert_eq!(watch.follow(with(0.1, 0.3)), Course::Step);
        assert_eq!(watch.follow(with(0.2, 0.1)), Course::Step);
        assert_eq!(watch.follow(with(0.1, 0.1)), Course::Same);
    }

    #[test]
    fn other_rules_wait_for_the_next_attempt() {
        let mut watch = watch(0.1);
        let mut other = situation(0.1, Latch::Normal);
        other.rules.alpha = 0.01;
        watch.follow(other);
        assert!(watch.rules_wait());
        assert_eq!(watch.guard().evidence().rules.alpha, 0.001);
        watch.begin();
        assert!(!watch.rules_wait());
    }
}
