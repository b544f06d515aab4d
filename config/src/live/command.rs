//! Changes that an operator asks for, one function each.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ramp::runs_ahead;
use super::routes::canaries;
use super::share::{divisible, raise};
use super::{
    Change, Latch, Live, LiveRoute, Owner, Refusal, Routes, Share, Weights, block, stable_only,
};
use crate::model::{self, StickyMode};

/// Whether marks and `max_step` bind a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// They do.
    Kept,
    /// The operator insists. A mark stays for the next change: only `resume` lifts it.
    Overridden,
}

/// Gives `name` other weights, which must name exactly the pools of its block.
pub fn set_weights(
    live: &Live,
    routes: &Routes<'_>,
    name: &str,
    weights: &Weights,
    bounds: Bounds,
) -> Result<Change, Refusal> {
    let (route, current) = find(live, routes, name)?;
    same_pools(route, weights)?;
    divisible(route, weights)?;
    allowed(route, current, weights, bounds)?;
    behind_ramp(name, current, weights, bounds)?;
    if *weights == current.weights && current.draining.is_empty() {
        let note = format!("route `{name}` has these weights already");
        return Ok(Change::from(live, live.clone()).noting(note));
    }
    let next = LiveRoute {
        weights: weights.clone(),
        owner: Owner::Live,
        draining: BTreeSet::new(),
        ..current.clone()
    };
    Ok(Change::from(live, with(live, name, next)))
}

/// What a ramp has not come to yet is not for a change by hand, unless the operator insists.
fn behind_ramp(
    name: &str,
    current: &LiveRoute,
    weights: &Weights,
    bounds: Bounds,
) -> Result<(), Refusal> {
    match runs_ahead(current, weights) {
        Some((share, step)) if bounds == Bounds::Kept => Err(Refusal::AheadOfRamp {
            route: name.to_owned(),
            share,
            step: f64::from(step) / 100.0,
        }),
        _ => Ok(()),
    }
}

/// Gives `pool` no new clients: its weight becomes 0, and whom a pin keeps there may finish. Any other change of the
/// route's weights ends that.
pub fn drain(
    live: &Live,
    routes: &Routes<'_>,
    name: &str,
    pool: &str,
    bounds: Bounds,
) -> Result<Change, Refusal> {
    let (route, current) = find(live, routes, name)?;
    if current.draining.contains(pool) {
        let note = format!("pool `{pool}` drains already");
        return Ok(Change::from(live, live.clone()).noting(note));
    }
    drainable(route, current, pool)?;
    let mut weights = current.weights.clone();
    weights.insert(pool.to_owned(), 0);
    divisible(route, &weights)?;
    allowed(route, current, &weights, bounds)?;
    behind_ramp(name, current, &weights, bounds)?;
    let mut draining = current.draining.clone();
    draining.insert(pool.to_owned());
    let next = LiveRoute {
        weights,
        owner: Owner::Live,
        draining,
        ..current.clone()
    };
    let note = format!(
        "pool `{pool}` gets no new clients; who is pinned to it keeps it for up to {}, or until the weights of `{name}` are changed or rolled back",
        route.sticky.pin_for
    );
    Ok(Change::from(live, with(live, name, next)).noting(note))
}

fn drainable(route: &model::Route, current: &LiveRoute, pool: &str) -> Result<(), Refusal> {
    if route.sticky.mode != StickyMode::Pin {
        let route = route.name.clone();
        return Err(Refusal::NoPins { route });
    }
    match current.weights.get(pool) {
        None => Err(Refusal::UnknownPool {
            pool: pool.to_owned(),
            known: block(route).into_keys().collect(),
        }),
        Some(0) => Err(Refusal::NothingToDrain {
            route: route.name.clone(),
            pool: pool.to_owned(),
        }),
        Some(_) => Ok(()),
    }
}

/// A revision of its own, in which nothing else differs: for a note about a route, or about all.
pub fn annotate(live: &Live, routes: &Routes<'_>, name: Option<&str>) -> Result<Change, Refusal> {
    if let Some(name) = name {
        find(live, routes, name)?;
    }
    let mut change = Change::from(live, live.clone());
    change.live.revision = live.revision + 1;
    Ok(change)
}

/// Gives every route, or the one named, to its stable pool, and latches it. Doing it twice changes nothing more.
pub fn rollback(live: &Live, routes: &Routes<'_>, name: Option<&str>) -> Result<Change, Refusal> {
    let mut after = live.clone();
    match name {
        Some(name) => {
            find(live, routes, name)?;
            take_back(&mut after, routes.get(name));
        }
        None => routes
            .iter()
            .for_each(|route| take_back(&mut after, Some(route))),
    }
    let change = Change::from(live, after);
    if change.live.revision == live.revision {
        return Ok(change.noting("already at 100 % stable"));
    }
    Ok(change)
}

fn take_back(live: &mut Live, route: Option<&model::Route>) {
    let Some(route) = route else { return };
    if canaries(route).next().is_none() {
        return;
    }
    let Some(current) = live.routes.get_mut(&route.name).map(Arc::make_mut) else {
        return;
    };
    if canaries(route).any(|pool| current.weights.get(pool).is_some_and(|weight| *weight > 0)) {
        current.weights = stable_only(route);
        current.owner = Owner::Live;
    }
    current.draining.clear();
    current.state = Latch::RolledBack;
}

/// Lifts the mark of `name` and moves no traffic.
pub fn resume(live: &Live, routes: &Routes<'_>, name: &str) -> Result<Change, Refusal> {
    marked(live, routes, name, Latch::Normal)
}

/// Latches `name` where it is: canaries may fall, not rise, until `resume`. A rolled-back route stays rolled back.
pub fn freeze(live: &Live, routes: &Routes<'_>, name: &str) -> Result<Change, Refusal> {
    marked(live, routes, name, Latch::Frozen)
}

fn marked(live: &Live, routes: &Routes<'_>, name: &str, state: Latch) -> Result<Change, Refusal> {
    let (_, current) = find(live, routes, name)?;
    let stays =
        current.state == state || (current.state == Latch::RolledBack && state == Latch::Frozen);
    if stays {
        let note = format!("route `{name}` is {} already", current.state.as_str());
        return Ok(Change::from(live, live.clone()).noting(note));
    }
    let next = LiveRoute {
        state,
        ..current.clone()
    };
    Ok(Change::from(live, with(live, name, next)))
}

/// Gives the cohort of `name` a new epoch: every user of it gets another bucket. Not while a canary has users.
pub fn reshuffle(
    live: &Live,
    routes: &Routes<'_>,
    name: &str,
    bounds: Bounds,
) -> Result<Change, Refusal> {
    let (route, _) = find(live, routes, name)?;
    let cohort = &route.cohort;
    if bounds == Bounds::Kept {
        let members = routes.iter().filter(|other| other.cohort == *cohort);
        members
            .filter_map(|member| occupied(live, member))
            .next()
            .map_or(Ok(()), Err)?;
    }
    let mut after = live.clone();
    *after.epochs.entry(cohort.clone()).or_insert(0) += 1;
    Ok(
        Change::from(live, after)
            .noting(format!("every user of cohort `{cohort}` has a new place")),
    )
}

fn occupied(live: &Live, route: &model::Route) -> Option<Refusal> {
    let weights = &live.routes.get(&route.name)?.weights;
    let pool = canaries(route).find(|pool| weights.get(*pool).is_some_and(|weight| *weight > 0))?;
    Some(Refusal::Occupied {
        cohort: route.cohort.clone(),
        route: route.name.clone(),
        pool: pool.to_owned(),
        share: Share::of(weights, pool),
    })
}

/// Brings back the weights of an earlier state. It may set a mark that stood then, never lift one, and leaves epochs alone:
/// users keep their places. Targets stay as they are, too: those of then may be gone.
pub fn restore(
    live: &Live,
    routes: &Routes<'_>,
    earlier: &Live,
    bounds: Bounds,
) -> Result<Change, Refusal> {
    let mut after = live.clone();
    let (mut notes, mut n_restored) = (Vec::new(), 0);
    for route in routes.iter() {
        let Some(current) = live.routes.get(&route.name) else {
            continue;
        };
        match earlier.routes.get(&route.name) {
            None => notes.push(left_alone(route, earlier, "was not there then")),
            Some(then) if !then.weights.keys().eq(block(route).keys()) => {
                notes.push(left_alone(route, earlier, "had other pools"));
            }
            Some(then) => {
                divisible(route, &then.weights)?;
                allowed(route, current, &then.weights, bounds)?;
                behind_ramp(&route.name, current, &then.weights, bounds)?;
                after
                    .routes
                    .insert(route.name.clone(), brought_back(current, then).into());
                n_restored += 1;
            }
        }
    }
    if live.targets != earlier.targets {
        notes.push(
            "targets registered or deregistered since then stay as they are; `kanaria targets` changes them".into(),
        );
    }
    if n_restored == 0 {
        return Err(Refusal::NothingToRestore {
            revision: earlier.revision,
        });
    }
    let mut change = Change::from(live, after);
    notes.append(&mut change.notes);
    Ok(Change { notes, ..change })
}

fn brought_back(current: &LiveRoute, then: &LiveRoute) -> LiveRoute {
    let same = current.weights == then.weights && current.draining == then.draining;
    if same && !then.state.holds() {
        return current.clone();
    }
    LiveRoute {
        weights: then.weights.clone(),
        draining: then.draining.clone(),
        block: current.block.clone(),
        ramp: current.ramp.clone(),
        owner: if current.weights == then.weights {
            current.owner
        } else {
            Owner::Live
        },
        state: if current.state.holds() {
            current.state
        } else {
            then.state
        },
    }
}

fn left_alone(route: &model::Route, earlier: &Live, why: &str) -> String {
    format!(
        "route `{}` is left alone: at revision {} it {why}",
        route.name, earlier.revision
    )
}

pub(super) fn find<'a, 'b>(
    live: &'a Live,
    routes: &Routes<'b>,
    name: &str,
) -> Result<(&'b model::Route, &'a LiveRoute), Refusal> {
    if routes.answers(name) {
        let route = name.to_owned();
        return Err(Refusal::NoPools { route });
    }
    routes
        .get(name)
        .and_then(|route| Some((route, &**live.routes.get(name)?)))
        .ok_or_else(|| Refusal::UnknownRoute {
            route: name.to_owned(),
            known: routes.names(),
        })
}

pub(super) fn with(live: &Live, name: &str, route: LiveRoute) -> Live {
    let mut after = live.clone();
    after.routes.insert(name.to_owned(), Arc::new(route));
    after
}

fn same_pools(route: &model::Route, weights: &Weights) -> Result<(), Refusal> {
    let pools = block(route);
    let missing: Vec<_> = pools
        .keys()
        .filter(|pool| !weights.contains_key(*pool))
        .cloned()
        .collect();
    let unknown: Vec<_> = weights
        .keys()
        .filter(|pool| !pools.contains_key(*pool))
        .cloned()
        .collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::Pools {
        route: route.name.clone(),
        pools: pools.into_keys().collect(),
        missing,
        unknown,
    })
}

/// Marks and `max_step` against a rise.
pub(super) fn allowed(
    route: &model::Route,
    current: &LiveRoute,
    wanted: &Weights,
    bounds: Bounds,
) -> Result<(), Refusal> {
    if bounds == Bounds::Overridden {
        return Ok(());
    }
    let Some(raise) = raise(route, &current.weights, wanted) else {
        return Ok(());
    };
    let name = route.name.clone();
    if current.state.holds() {
        return Err(Refusal::Latched {
            route: name,
            state: current.state,
            pool: raise.pool,
            before: raise.before,
            after: raise.after,
        });
    }
    if raise.oversteps(route) {
        return Err(Refusal::Step {
            route: name,
            pool: raise.pool,
            before: raise.before,
            after: raise.after,
            max_step: route.max_step,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
