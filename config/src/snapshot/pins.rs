//! Pins in a snapshot: what a file may ask of them, which pools drain, and their values.

use super::names::Faults;
use super::{Route, Snapshot, Structure};
use crate::action::Forward;
use crate::facts::Facts;
use crate::ids::{PoolId, RouteId};
use crate::live::Live;
use crate::model::{Sticky, StickyMode};
use crate::pin::{self, Pin};
use crate::problem::Trail;
use crate::units::Duration;

impl Snapshot {
    /// Whether `pool` has no weight in `route`, but its pinned clients may finish.
    pub fn drains(&self, route: RouteId, pool: PoolId) -> bool {
        self.draining.contains(&(route, pool))
    }

    /// Pools of routes without a weight there, whose pinned clients may finish.
    pub fn draining(&self) -> &[(RouteId, PoolId)] {
        &self.draining
    }

    /// The value of a pin to `pool` for a client of `forward`, given at `now` in seconds since 1970.
    pub fn pin_value(&self, forward: &Forward, pool: PoolId, now: u64) -> String {
        let key = self.bucket_key(forward.cohort);
        pin::value((&self.secrets.pins, key), &self.pool(pool).name, now)
    }

    /// The pin that came with a request of `forward`.
    pub(crate) fn pin_of(&self, forward: &Forward, facts: &Facts<'_>) -> Option<Pin> {
        let key = self.bucket_key(forward.cohort);
        let pools = forward.pools.iter();
        let pools = pools.map(|id| (*id, &*self.pool(*id).name));
        let pinning = forward.pinning.as_ref()?;
        pinning.find((&self.secrets.pins, key), pools, facts)
    }
}

impl Structure {
    pub(super) fn draining(&self, live: &Live) -> Vec<(RouteId, PoolId)> {
        let routes = self.routes.iter().filter_map(|route| {
            let (forward, live) = (route.forward()?, live.routes.get(&*route.name)?);
            let drains = |id: &&PoolId| live.draining.contains(self.name_of(**id));
            let pools = forward.pools.iter().filter(drains);
            Some(pools.map(|id| (route.id, *id)).collect::<Vec<_>>())
        });
        routes.flatten().collect()
    }
}

/// What of stickiness makes no sense together with pins.
pub(super) fn check(written: &Sticky, path: &Trail<'_>, faults: &mut Faults) {
    let holds = written.hold_up > Duration::seconds(0);
    if written.mode == StickyMode::Pin && written.pin_for < Duration::seconds(1) {
        let message = format!(
            "pin_for {} is no time; at least 1s is needed",
            written.pin_for
        );
        faults.add(&path.key("pin_for"), message);
    }
    if holds && written.hold_up < Duration::seconds(1) {
        let message = format!(
            "hold_up {} is too short; allowed are 0 and from 1s",
            written.hold_up
        );
        faults.add(&path.key("hold_up"), message);
    }
    match written.mode {
        StickyMode::Pin if holds => faults.add(
            &path.key("hold_up"),
            "mode `pin` holds clients for `pin_for` already; hold_up belongs to mode `bucket`",
        ),
        StickyMode::Off if holds => faults.add(
            &path.key("hold_up"),
            "with mode `off` nobody keeps a pool; hold_up belongs to mode `bucket`",
        ),
        StickyMode::Pin if !written.keys.is_empty() => faults.add(
            &path.key("keys"),
            "who is known by a key gets no cookie, so no pin either; keys belong to mode `bucket`",
        ),
        _ => {}
    }
}

/// Routes of one cohort read each other's pins, so they must have the same pools.
pub(super) fn check_pools(routes: &[Route], faults: &mut Faults) {
    let top = Trail::default();
    let all = top.key("routes");
    let pinning = |route: &Route| {
        let forward = route.forward()?;
        let mut pools = forward.pools.clone();
        pools.sort_unstable();
        Some((forward.pinning.as_ref()?.cookie.clone(), pools))
    };
    let mut seen: std::collections::HashMap<String, (&Route, Vec<PoolId>)> = Default::default();
    for (position, route) in routes.iter().enumerate() {
        let Some((cookie, pools)) = pinning(route) else {
            continue;
        };
        let (first, known) = seen
            .entry(cookie.clone())
            .or_insert_with(|| (route, pools.clone()));
        if *known != pools {
            let message = format!(
                "it shares the pins of route `{}` in the cookie `{cookie}`, which has other pools; give it a cohort of its own",
                first.name
            );
            faults.add(&all.index(position).key("cohort"), message);
        }
    }
}
