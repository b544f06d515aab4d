//! What control asks of the rest of the program before a ramp raises a canary because somebody says so, or ends.

use config::live::{self, Bounds, RampOrder, Refusal};
use config::model;
use jiff::Timestamp;

use super::{House, Standing};

/// Why `order` must not be carried out now, beyond the rules of the live state.
pub(super) fn ready(
    standing: &Standing,
    house: &dyn House,
    name: &str,
    (order, bounds, cold): (RampOrder, Bounds, bool),
) -> Result<(), Refusal> {
    let Some(route) = standing.structure.route_named(name) else {
        return Ok(());
    };
    let route = &*route.settings;
    if order == RampOrder::Start && !cold {
        warm(house, route)?;
    }
    match order {
        RampOrder::Start | RampOrder::Resume if bounds == Bounds::Kept => {
            has_targets(house, route)?;
            is_open(route, Timestamp::now())
        }
        RampOrder::Finalize => stable_is_well(house, route),
        _ => Ok(()),
    }
}

/// A guard that does not know how restless stable is takes noise for harm.
fn warm(house: &dyn House, route: &model::Route) -> Result<(), Refusal> {
    let relies = route.guard.is_some()
        || route
            .ramp
            .as_ref()
            .is_some_and(|ramp| ramp.require_evidence);
    let guard = house.guard(&route.name);
    if !relies || guard.as_ref().is_some_and(|guard| guard.warm) {
        return Ok(());
    }
    Err(Refusal::Cold {
        route: route.name.clone(),
        minutes: guard.map_or(0, |guard| guard.stable_minutes),
    })
}

fn has_targets(house: &dyn House, route: &model::Route) -> Result<(), Refusal> {
    let (Some(ramp), Some(pool)) = (&route.ramp, live::ramped(route)) else {
        return Ok(());
    };
    let health = house.health(pool);
    let (healthy, total) = health.map_or((0, 0), |health| (health.healthy, health.total));
    let wanted = ramp.min_healthy.of(total);
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
fn stable_is_well(house: &dyn House, route: &model::Route) -> Result<(), Refusal> {
    let pool = route.stable_pool();
    if house.health(pool).is_some_and(|health| health.healthy > 0) {
        return Ok(());
    }
    Err(Refusal::WeakStable {
        route: route.name.clone(),
        pool: pool.to_owned(),
    })
}
