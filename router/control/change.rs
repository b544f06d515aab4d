//! From an order to the state after it: the rules of `config::live` on what is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::live::{self, Change, Live, LiveRoute, Routes, Weights};
use config::model;
use config::snapshot::Structure;

use super::{Action, Done, House, Order, Rejection, Shift, Standing, ramps, targets};

/// Whether the revision in force is the one the order was made for.
pub(super) fn precondition(standing: &Standing, order: &Order) -> Result<(), Rejection> {
    let current = standing.revision();
    match order.if_revision {
        Some(given) if given != current => Err(Rejection::Stale { current, given }),
        _ => Ok(()),
    }
}

/// The state after `action`. A reload is worked out by `reloaded`: it needs the file.
pub(super) fn worked_out(
    standing: &Standing,
    house: &dyn House,
    action: &Action,
) -> Result<Change, Rejection> {
    let routes = Routes::of_structure(&standing.structure);
    let before = &standing.live;
    let change = match action {
        Action::Annotate { route, .. } => live::annotate(before, &routes, route.as_deref())?,
        Action::Deregister {
            pool,
            targets,
            bounds,
        } => live::deregister(
            before,
            &targets::known(standing, house, pool)?,
            targets,
            *bounds,
        )?,
        Action::Drain {
            route,
            pool,
            bounds,
        } => live::drain(before, &routes, route, pool, *bounds)?,
        Action::Freeze { route } => live::freeze(before, &routes, route)?,
        Action::Ramp {
            route,
            order,
            bounds,
            cold,
        } => {
            ramps::ready(standing, house, route, (*order, *bounds, *cold))?;
            live::ramp(before, &routes, route, *order, *bounds)?
        }
        Action::Register { pool, targets } => {
            live::register(before, &targets::known(standing, house, pool)?, targets)?
        }
        Action::Reload => reloaded(standing, &standing.structure),
        Action::Reshuffle { route, bounds } => live::reshuffle(before, &routes, route, *bounds)?,
        Action::Restore { earlier, bounds } => live::restore(before, &routes, earlier, *bounds)?,
        Action::Resume { route } => live::resume(before, &routes, route)?,
        Action::Rollback { route } => live::rollback(before, &routes, route.as_deref())?,
        Action::Weights {
            route,
            weights,
            bounds,
        } => live::set_weights(before, &routes, route, weights, *bounds)?,
    };
    Ok(change)
}

/// The state after the file became `structure`. Another file is a revision of its own, also when no weight changes.
pub(super) fn reloaded(standing: &Standing, structure: &Structure) -> Change {
    let mut change = live::reload(&standing.live, &Routes::of_structure(structure));
    let same_file = structure.digest == standing.structure.digest;
    if !same_file && change.live.revision == standing.revision() {
        change.live.revision += 1;
    }
    if change.live.revision == standing.revision() {
        change.notes.push("the file is unchanged".into());
    }
    let edits = live::standing_edits(&standing.live, structure);
    change.notes.extend(edits);
    change
}

/// Why `new` cannot be taken into use by a running router.
pub(super) fn needs_restart(old: &Structure, new: &Structure) -> Result<(), Rejection> {
    let listeners = |structure: &Structure| {
        let listeners = structure.listeners.iter();
        let pairs: Vec<_> = listeners
            .map(|listener| (listener.name.clone(), listener.bind))
            .collect();
        pairs
    };
    if listeners(old) == listeners(new) {
        return Ok(());
    }
    Err(Rejection::NeedsRestart(
        "listeners changed, which needs a restart or `kanaria run --upgrade`".into(),
    ))
}

/// Keys that changed and are read at start only.
pub(super) fn read_at_start(old: &Structure, new: &Structure) -> Vec<String> {
    let (a, b) = (&old.server, &new.server);
    let keys = [
        ("server.threads", a.threads != b.threads),
        ("server.state_dir", a.state_dir != b.state_dir),
        ("server.secret_file", a.secret_file != b.secret_file),
        ("server.secret", a.secret != b.secret),
        ("admin.bind", old.admin.bind != new.admin.bind),
        ("admin.tls", old.admin.tls != new.admin.tls),
    ];
    keys.iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| format!("`{key}` changed and takes effect at the next start"))
        .collect()
}

/// The answer to `order`, as far as the states tell it.
pub(super) fn done(
    standing: &Standing,
    structure: &Structure,
    order: &Order,
    change: &Change,
) -> Done {
    Done {
        revision: change.live.revision,
        config_digest: structure.digest.to_string(),
        route: order.action.route().map(str::to_owned),
        shifts: match order.action.pool() {
            Some(_) => Vec::new(),
            None => shifts(
                structure,
                order.action.route(),
                &standing.live,
                &change.live,
            ),
        },
        pool: order.action.pool().map(str::to_owned),
        targets: change.targets.clone(),
        in_force: None,
        durable: None,
        held: change.held.clone(),
        warnings: Vec::new(),
        notes: change.notes.clone(),
    }
}

fn shifts(structure: &Structure, only: Option<&str>, before: &Live, after: &Live) -> Vec<Shift> {
    let wanted = |route: &&model::Route| match only {
        Some(name) => route.name == name,
        None => route.weights.iter().count() > 1,
    };
    Routes::of_structure(structure)
        .iter()
        .filter(wanted)
        .filter_map(|route| shift(route, &before.routes, after.routes.get(&route.name)?))
        .collect()
}

fn shift(
    route: &model::Route,
    before: &BTreeMap<String, Arc<LiveRoute>>,
    after: &LiveRoute,
) -> Option<Shift> {
    let before = before.get(&route.name);
    Some(Shift {
        route: route.name.clone(),
        before: before.map_or_else(Vec::new, |before| in_file_order(route, &before.weights)),
        after: in_file_order(route, &after.weights),
        owner: after.owner,
        state: after.state,
    })
}

/// Weights in the order of the file; pools that the file no longer names come last.
pub(crate) fn in_file_order(route: &model::Route, weights: &Weights) -> Vec<(String, u32)> {
    let named = route.weights.iter().map(|(pool, _)| pool);
    let others = weights
        .keys()
        .map(String::as_str)
        .filter(|pool| route.weights.get(pool).is_none());
    named
        .chain(others)
        .filter_map(|pool| Some((pool.to_owned(), *weights.get(pool)?)))
        .collect()
}

/// What whoever asked should worry about.
pub(super) fn worries(
    house: &dyn House,
    structure: &Structure,
    order: &Order,
    done: &Done,
) -> Vec<String> {
    match &order.action {
        Action::Rollback { .. } => weak_stable(house, structure, done),
        Action::Deregister { pool, .. } => {
            let what_is_left = targets::what_is_left(house, pool, &done.targets);
            what_is_left.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What a rollback should worry about: a stable pool with fewer healthy targets than a minute ago, or none.
fn weak_stable(house: &dyn House, structure: &Structure, done: &Done) -> Vec<String> {
    let routes = Routes::of_structure(structure);
    let mut pools: Vec<&str> = done
        .shifts
        .iter()
        .filter_map(|shift| Some(routes.get(&shift.route)?.stable_pool()))
        .collect();
    pools.sort_unstable();
    pools.dedup();
    pools
        .into_iter()
        .filter_map(|pool| weak(house, pool))
        .collect()
}

fn weak(house: &dyn House, pool: &str) -> Option<String> {
    let health = house.health(pool)?;
    if health.healthy == 0 {
        return Some(format!(
            "stable pool `{pool}` has no healthy target ({} in all)",
            health.total
        ));
    }
    (health.healthy < health.minute_ago).then(|| {
        format!(
            "stable pool `{pool}` has {} of {} targets healthy, a minute ago {}",
            health.healthy, health.total, health.minute_ago
        )
    })
}
