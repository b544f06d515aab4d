//! A router around made-up clients, on a clock that is told: its live state, its guard, its ramp, and the operator.
//!
//! What a router asks of its control is asked of `config::live` here, which is what control asks, too.

mod ramp;
mod steady;

use std::sync::Arc;

use canary::guard::WINDOW_S;
use config::ids::RouteId;
use config::live::{self, Change, Latch, Live, LiveRamp, LiveRoute, Phase, Refusal, Routes};
use config::model::{self, OnTrip};
use config::problem::{Fault, Path};
use config::scenario::Operator;
use config::snapshot::{Snapshot, Structure};

use super::Setup;
use crate::control::{GuardView, Health};
use crate::guard::{self, Course, Situation, Tripped, Watch};
use crate::witness::Witness;
use steady::Steady;

/// After the last thing that can happen, so many seconds are still shown.
const AFTERMATH: u64 = 3_600;

/// The router.
pub(super) struct Stage {
    structure: Arc<Structure>,
    id: RouteId,
    route: Arc<model::Route>,
    operator: Operator,
    begin: u64,
    live: Live,
    snapshot: Snapshot,
    witness: Arc<Witness>,
    watch: Option<Watch>,
    why: Option<String>,
    view: Option<GuardView>,
    said: Steady<&'static str>,
    ramp: ramp::Course,
    begun: Begun,
    last_change: u64,
}

/// When steps of the ramp began for the first time.
#[derive(Debug)]
pub(super) enum Begun {
    /// There is no ramp: all of them, when one would have been started.
    Alike(u64),
    /// By step.
    Steps(Vec<Option<u64>>),
}

/// What is seen of canary and stable without a request.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    /// Targets of the pool that a ramp raises.
    pub(super) canary: Health,
    /// Those of stable.
    pub(super) stable: Health,
    /// What targets of the canary answer to the ramp's probe.
    pub(super) probe: Result<(), String>,
}

/// Something that an operator would read of.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The guard has tripped.
    Trip(String),
    /// The canaries have no weight any more.
    Back(String),
    /// Anything else.
    Told(String),
}

impl Stage {
    pub(super) fn new(setup: &Setup<'_>, begin: u64) -> Result<Self, Fault> {
        let structure = Arc::clone(&setup.structure);
        let route = Arc::clone(&structure.routes[setup.route.0 as usize].settings);
        let live = live::fresh(&Routes::of_structure(&structure));
        let snapshot = Snapshot::compile(Arc::clone(&structure), &live, &setup.secret)?;
        if !live.routes.contains_key(&route.name) {
            let why = format!("route `{}` answers by itself, without pools", route.name);
            return Err(Path::default().fault(why));
        }
        let operator = setup.scenario.operator;
        let n_steps = live::plan(&route).map_or(0, |plan| plan.len());
        Ok(Self {
            begun: match n_steps {
                0 => Begun::Alike(begin + operator.start.0.as_secs()),
                n_steps => Begun::Steps(vec![None; n_steps]),
            },
            structure,
            id: setup.route,
            route,
            operator,
            begin,
            live,
            snapshot,
            witness: Arc::default(),
            watch: None,
            why: None,
            view: None,
            said: Steady::new("no_data"),
            ramp: ramp::Course::default(),
            last_change: begin,
        })
    }

    /// The second before `now` is over: guard, ramp and operator look, in this order.
    pub(super) fn second(&mut self, now: u64, sides: &Sides) -> Vec<Event> {
        let mut events = Vec::new();
        self.look(now, sides.stable, &mut events);
        self.ramp(now, sides, &mut events);
        events
    }

    fn look(&mut self, now: u64, stable: Health, events: &mut Vec<Event>) {
        let Some(situation) = Situation::of(&self.route, &self.live, stable.healthy > 0) else {
            return;
        };
        let witness = &self.witness;
        let watch = self
            .watch
            .get_or_insert_with(|| Watch::new(Arc::clone(witness), None, situation.clone()));
        let is_other = *watch.situation() != situation;
        if watch.follow(situation) == Course::Attempt {
            self.why = None;
        }
        let is_over = now.is_multiple_of(WINDOW_S);
        let over = is_over.then(|| now.saturating_sub(WINDOW_S) * 1000);
        let (trip, _) = watch.look(over);
        let tripped = Tripped::of(trip.as_ref(), watch);
        let is_news = is_over || is_other || tripped.is_some();
        if let Some(tripped) = tripped {
            self.trip(now, &tripped, events);
        }
        if is_news {
            self.hear(now, events);
        }
    }

    /// What the guard says now, which changes with what was in force or looked at.
    fn hear(&mut self, now: u64, events: &mut Vec<Event>) {
        let watch = self.watch.as_ref();
        self.view = watch.map(|watch| guard::view(watch, self.why.as_deref()));
        if let Some(view) = &self.view
            && let Some(state) = self.said.see(now, view.state)
            && state != "tripped"
        {
            events.push(Event::Told(format!("guard: {}", view.reason)));
        }
    }

    /// What the file asks for after a trip, or what a spent budget does.
    fn trip(&mut self, now: u64, tripped: &Tripped, events: &mut Vec<Event>) {
        self.why = Some(tripped.why.clone());
        events.push(Event::Trip(tripped.why.clone()));
        let change = match tripped.done(guard::on_trip(&self.route)) {
            OnTrip::Alert => return,
            OnTrip::Freeze => self.ask(live::freeze),
            OnTrip::Rollback => {
                self.ask(|live, routes, name| live::rollback(live, routes, Some(name)))
            }
        };
        let share_before = self.share();
        match change {
            Ok(change) => {
                self.apply(now, change);
                events.push(match share_before > 0.0 && self.share() == 0.0 {
                    true => Event::Back("taken back: everybody to stable, latched".into()),
                    false => Event::Told("frozen: no step opens".into()),
                });
            }
            Err(refusal) => events.push(Event::Told(refusal.to_string())),
        }
    }

    /// What becomes of the live state by `change`, which is asked for the route.
    pub(super) fn ask(
        &self,
        change: impl FnOnce(&Live, &Routes<'_>, &str) -> Result<Change, Refusal>,
    ) -> Result<Change, Refusal> {
        let routes = Routes::of_structure(&self.structure);
        change(&self.live, &routes, &self.route.name)
    }

    fn apply(&mut self, now: u64, change: Change) {
        // What the rules of the live state let through can be compiled: they ask for the same shares.
        if let Ok(snapshot) = self.snapshot.with_live(&change.live) {
            self.snapshot = snapshot;
            self.live = change.live;
            self.last_change = now;
        }
    }

    /// What decides now.
    pub(super) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn witness(&self) -> &Witness {
        &self.witness
    }

    pub(super) const fn route_id(&self) -> RouteId {
        self.id
    }

    pub(super) fn route_name(&self) -> &str {
        &self.route.name
    }

    /// Live weights of the route.
    #[cfg(test)]
    pub(super) fn weights(&self) -> &live::Weights {
        &self.live.routes[&self.route.name].weights
    }

    /// The part that all canaries together should have.
    pub(super) fn share(&self) -> f64 {
        self.snapshot.split(self.id).map_or(0.0, |split| {
            let canaries = split.weights.iter();
            let canaries = canaries.filter(|(pool, _)| *pool != split.stable);
            canaries.map(|(pool, _)| split.share(*pool)).sum()
        })
    }

    fn live_route(&self) -> Option<&LiveRoute> {
        self.live.routes.get(&self.route.name).map(|route| &**route)
    }

    fn live_ramp(&self) -> Option<&LiveRamp> {
        self.live_route()?.ramp.as_ref()
    }

    /// The mark of the route.
    pub(super) fn latch(&self) -> Latch {
        self.live_route().map_or(Latch::Normal, |route| route.state)
    }

    /// The ramp's phase, its attempt, and the step that it is at, from 1.
    pub(super) fn position(&self) -> Option<(Phase, u32, usize)> {
        let ramp = self.live_ramp()?;
        Some((ramp.phase, ramp.attempt, ramp.step + 1))
    }

    /// What the guard says; `None` without one.
    pub(super) const fn guard(&self) -> Option<&GuardView> {
        self.view.as_ref()
    }

    /// When steps began.
    pub(super) const fn begun(&self) -> &Begun {
        &self.begun
    }

    /// Seconds that the ramp is planned to take.
    pub(super) fn planned_s(&self) -> Option<u64> {
        let plan = live::plan(&self.route)?;
        Some(plan.iter().map(|step| step.hold_s).sum())
    }

    /// Whether nothing can happen any more, since an hour.
    pub(super) fn is_settled(&self, now: u64) -> bool {
        let is_back = match self.latch() {
            Latch::Normal => false,
            Latch::Frozen => true,
            Latch::RolledBack => self.operator.resume.is_none(),
        };
        let is_done = matches!(
            self.position(),
            Some((Phase::Complete | Phase::Finalized, ..))
        );
        (is_back || is_done) && now >= self.last_change + AFTERMATH
    }
}

impl Begun {
    /// When `step`, from 1, began for the first time.
    pub(super) fn of(&self, step: u32) -> Option<u64> {
        match self {
            Self::Alike(begin) => Some(*begin),
            Self::Steps(steps) => *steps.get(step as usize - 1)?,
        }
    }

    fn note(&mut self, step: usize, now: u64) {
        if let Self::Steps(steps) = self
            && let Some(begun) = steps.get_mut(step)
        {
            begun.get_or_insert(now);
        }
    }
}
