//! What control asks of the rest of the program before a ramp raises a canary because somebody says so, or ends.

use canary::ramp::Probed;
use config::live::{self, Bounds, RampOrder, Refusal};
use config::model;
use jiff::Timestamp;

use super::{Control, GuardView, Health, House, Standing};

/// What is seen around a ramp at one moment.
#[derive(Clone, Debug)]
pub struct Around {
    /// The moment.
    pub now: Timestamp,
    /// Targets of the pool that is raised; `None` when there is no such pool.
    pub canary: Option<Health>,
    /// Targets of the stable pool.
    pub stable: Option<Health>,
    /// What the guard of the route says; `None` without one.
    pub guard: Option<GuardView>,
    /// What targets of the pool that is raised answer to the probe, once they were asked.
    pub probe: Probed,
}

impl Around {
    /// Around a ramp of `route` that raises `canary`.
    pub fn of(house: &dyn House, route: &model::Route, canary: &str, now: Timestamp) -> Self {
        Self {
            now,
            canary: house.health(canary),
            stable: house.health(route.stable_pool()),
            guard: house.guard(&route.name),
            probe: Probed::Unasked,
        }
    }

    /// Healthy targets of the pool that is raised, and how many its ramp needs.
    pub fn targets(&self, ramp: &model::Ramp) -> (usize, usize) {
        let (healthy, total) = self
            .canary
            .map_or((0, 0), |health| (health.healthy, health.total));
        (healthy, ramp.targets_needed(total))
    }
}

/// Why the ramp of the route `name` must not be turned now, beyond the rules of the live state.
pub(super) fn ready(
    standing: &Standing,
    house: &dyn House,
    name: &str,
    turn: (RampOrder, Bounds, bool),
) -> Result<(), Refusal> {
    let Some(route) = standing.structure.route_named(name) else {
        return Ok(());
    };
    let route = &*route.settings;
    let canary = live::ramped(route).unwrap_or_default();
    let around = Around::of(house, route, canary, Timestamp::now());
    may_turn(route, turn, &around)
}

/// What targets of the canary answer to the probe of a ramp that an operator starts or resumes; `None` when they are not
/// asked. It is asked before control is: no change waits for a target.
pub fn probed(
    control: &Control,
    name: &str,
    order: RampOrder,
    bounds: Bounds,
) -> Option<impl Future<Output = Result<(), Refusal>> + use<>> {
    let goes_on = matches!(order, RampOrder::Start | RampOrder::Resume);
    let standing = control.standing();
    let route = standing.structure.route_named(name)?;
    let (ramp, pool) = (
        route.settings.ramp.as_ref()?,
        live::ramped(&route.settings)?,
    );
    let is_asked = goes_on && bounds == Bounds::Kept;
    let probing = is_asked.then(|| control.house().probe(pool, &ramp.probe))??;
    let (route, pool) = (name.to_owned(), pool.to_owned());
    Some(async move {
        let answer = probing.await;
        answer.map_err(|seen| Refusal::Unprobed { route, pool, seen })
    })
}

/// Whether an operator may turn the ramp of `route` now, beyond the rules of the live state; the order comes with its
/// bounds, and with whether the guard may be cold.
///
/// # Errors
/// What forbids it.
pub fn may_turn(
    route: &model::Route,
    (order, bounds, cold): (RampOrder, Bounds, bool),
    around: &Around,
) -> Result<(), Refusal> {
    if order == RampOrder::Start && !cold {
        warm(around, route)?;
    }
    match order {
        RampOrder::Start | RampOrder::Resume if bounds == Bounds::Kept => {
            has_targets(around, route)?;
            is_open(route, around.now)
        }
        RampOrder::Finalize => stable_is_well(around, route),
        _ => Ok(()),
    }
}

/// A guard that does not know how restless stable is takes noise for harm.
fn warm(around: &Around, route: &model::Route) -> Result<(), Refusal> {
    let relies = route.guard.is_some()
        || route
            .ramp
            .as_ref()
            .is_some_and(|ramp| ramp.require_evidence);
    let guard = around.guard.as_ref();
    if !relies || guard.is_some_and(|guard| guard.warm) {
        return Ok(());
    }
    Err(Refusal::Cold {
        route: route.name.clone(),
        minutes: guard.map_or(0, |guard| guard.stable_minutes),
    })
}

fn has_targets(around: &Around, route: &model::Route) -> Result<(), Refusal> {
    let (Some(ramp), Some(pool)) = (&route.ramp, live::ramped(route)) else {
        return Ok(());
    };
    let (healthy, wanted) = around.targets(ramp);
    if healthy >= wanted {
        return Ok(());
    }
    Err(Refusal::WeakCanary {
        route: route.name.clone(),
        pool: pool.to_owned(),
        healthy,
        wanted,
    })
}

fn is_open(route: &model::Route, now: Timestamp) -> Result<(), Refusal> {
    let hours = route.ramp.as_ref().map(|ramp| &ramp.window);
    match hours {
        Some(hours) if !hours.contain(now) => Err(Refusal::OutOfHours {
            route: route.name.clone(),
            window: hours.to_string(),
            opens: hours.next(now).to_string(),
        }),
        _ => Ok(()),
    }
}

/// Whoever ends a migration gives up nothing before the way back is known to be open.
fn stable_is_well(around: &Around, route: &model::Route) -> Result<(), Refusal> {
    let pool = route.stable_pool();
    if around.stable.is_some_and(|health| health.healthy > 0) {
        return Ok(());
    }
    Err(Refusal::WeakStable {
        route: route.name.clone(),
        pool: pool.to_owned(),
    })
}
