//! What a file does to the live state: at start, and at every reload.
//!
//! A repeated block leaves the live weights alone; a changed one wins, unless a mark or `max_step` holds it back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ramp::runs_ahead;
use super::routes::{as_written, held_back};
use super::share::{Raise, divisible, raise};
use super::{Change, Live, LiveRamp, LiveRoute, Owner, Phase, Routes, Weights, block, stable_only};
use crate::model;

/// A route whose changed block was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The route.
    pub route: String,
    /// Why, and what to do.
    pub reason: String,
}

/// The first state of all: the file's weights.
pub fn fresh(routes: &Routes<'_>) -> Live {
    first(routes, as_written, 1)
}

/// Every route at 100 % stable, latched: where the state should be and cannot be known. `last` is the last revision heard of.
pub fn all_stable(routes: &Routes<'_>, last: u64) -> Live {
    first(routes, held_back, last + 1)
}

fn first(routes: &Routes<'_>, start: fn(&model::Route) -> LiveRoute, revision: u64) -> Live {
    Live {
        revision,
        routes: routes
            .iter()
            .map(|route| (route.name.clone(), Arc::new(start(route))))
            .collect(),
        epochs: BTreeMap::new(),
        targets: BTreeMap::new(),
    }
}

/// The state after the file said `routes`.
///
/// Routes that left the file leave the state, except latched ones: taking a route out and putting it back is no way around its mark.
/// What operators said about targets stays, also of a pool that left the file, so that a file taken back brings its pool back.
pub fn reload(live: &Live, routes: &Routes<'_>) -> Change {
    let mut after = Live {
        revision: live.revision,
        routes: left_latched(live, routes),
        epochs: live.epochs.clone(),
        targets: live.targets.clone(),
    };
    let (mut held, mut notes) = (Vec::new(), Vec::new());
    for route in routes.iter() {
        let next = match live.routes.get(&route.name) {
            Some(current) => follow(route, current, &mut held, &mut notes),
            None => as_written(route),
        };
        after.routes.insert(route.name.clone(), Arc::new(next));
    }
    let mut change = Change::from(live, after);
    notes.append(&mut change.notes);
    Change {
        held,
        notes,
        ..change
    }
}

fn left_latched(live: &Live, routes: &Routes<'_>) -> BTreeMap<String, Arc<LiveRoute>> {
    live.routes
        .iter()
        .filter(|(name, route)| route.state.holds() && routes.get(name).is_none())
        .map(|(name, route)| (name.clone(), Arc::clone(route)))
        .collect()
}

fn follow(
    route: &model::Route,
    current: &LiveRoute,
    held: &mut Vec<Held>,
    notes: &mut Vec<String>,
) -> LiveRoute {
    let wanted = block(route);
    let weights = fit(route, &current.weights);
    if wanted != current.block {
        match obstacle(route, current, &weights, &wanted) {
            Some(reason) => held.push(Held {
                route: route.name.clone(),
                reason,
            }),
            None => {
                return LiveRoute {
                    weights: wanted.clone(),
                    block: wanted,
                    owner: Owner::File,
                    state: current.state,
                    draining: BTreeSet::new(),
                    ramp: scheduled(route, current),
                };
            }
        }
    } else if weights != wanted {
        notes.push(kept_live(route, &weights));
    }
    let mut draining = current.draining.clone();
    draining.retain(|pool| weights.get(pool) == Some(&0));
    LiveRoute {
        weights,
        block: current.block.clone(),
        owner: current.owner,
        state: current.state,
        draining,
        ramp: scheduled(route, current),
    }
}

/// A ramp whose schedule left the file waits for somebody.
fn scheduled(route: &model::Route, current: &LiveRoute) -> Option<LiveRamp> {
    let mut ramp = current.ramp.clone()?;
    if route.ramp.is_none() && ramp.phase == Phase::Running {
        ramp.phase = Phase::Paused;
    }
    Some(ramp)
}

fn kept_live(route: &model::Route, weights: &Weights) -> String {
    let weights: Vec<_> = route
        .weights
        .iter()
        .filter_map(|(pool, _)| Some(format!("{pool}={}", weights.get(pool)?)))
        .collect();
    format!(
        "route `{}`: the weights block is unchanged, live weights stay at {}",
        route.name,
        weights.join(" ")
    )
}

/// Why a changed block may not be applied now.
fn obstacle(
    route: &model::Route,
    current: &LiveRoute,
    weights: &Weights,
    wanted: &Weights,
) -> Option<String> {
    let state = current.state;
    let raise = raise(route, weights, wanted)?;
    let Raise {
        pool,
        before,
        after,
    } = &raise;
    if state.holds() {
        return Some(format!(
            "it is {} and the changed weights block raises canary `{pool}` from {before} to {after}; \
             `kanaria resume {}` and reload again to apply it",
            state.as_str(),
            route.name
        ));
    }
    if let (Some(_), Some((share, step))) = (&route.ramp, runs_ahead(current, wanted)) {
        return Some(format!(
            "its ramp runs, at {} %, and the changed weights block gives its canary {share}; \
             `kanaria ramp pause {}` and reload again to apply it",
            f64::from(step) / 100.0,
            route.name
        ));
    }
    raise.oversteps(route).then(|| {
        format!(
            "the changed weights block raises canary `{pool}` from {before} to {after}, more than max_step = {} percent points; \
             take smaller steps",
            route.max_step
        )
    })
}

/// Live weights over the pools that the file names now; what would raise a canary by that goes to stable instead.
fn fit(route: &model::Route, weights: &Weights) -> Weights {
    let pools = block(route);
    if pools.keys().eq(weights.keys()) && divisible(route, weights).is_ok() {
        return weights.clone();
    }
    let fitted: Weights = pools
        .into_keys()
        .map(|pool| {
            let weight = weights.get(&pool).copied().unwrap_or(0);
            (pool, weight)
        })
        .collect();
    if divisible(route, &fitted).is_err() || raise(route, weights, &fitted).is_some() {
        return stable_only(route);
    }
    fitted
}

#[cfg(test)]
mod tests;
