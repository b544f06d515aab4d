//! What the rules of the live state need to know of a file: its routes by name, and their blocks.

use std::collections::BTreeSet;

use super::{Latch, LiveRoute, Owner, Weights};
use crate::model;
use crate::snapshot::Structure;

/// The weight that stands for "all" when one pool has everything.
const ALL: u32 = 100;

/// The routes of a file that have pools, in its order; the others have nothing that changes.
#[derive(Clone, Debug)]
pub struct Routes<'a> {
    forwarding: Vec<&'a model::Route>,
    answering: Vec<&'a model::Route>,
}

impl<'a> Routes<'a> {
    /// The routes of a file as written.
    pub fn of(config: &'a model::Config) -> Self {
        Self::sorted(config.routes.iter().map(|route| &**route))
    }

    /// The routes of a compiled file.
    pub fn of_structure(structure: &'a Structure) -> Self {
        Self::sorted(structure.routes.iter().map(|route| &*route.settings))
    }

    fn sorted(routes: impl Iterator<Item = &'a model::Route>) -> Self {
        let (forwarding, answering) = routes.partition(|route| route.stable.is_some());
        Self {
            forwarding,
            answering,
        }
    }

    /// Whether `name` is a route without pools.
    pub(super) fn answers(&self, name: &str) -> bool {
        self.answering.iter().any(|route| route.name == name)
    }

    /// The route called `name`.
    pub fn get(&self, name: &str) -> Option<&'a model::Route> {
        self.iter().find(|route| route.name == name)
    }

    /// Routes in file order.
    pub fn iter(&self) -> impl Iterator<Item = &'a model::Route> {
        self.forwarding.iter().copied()
    }

    /// Names in file order.
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|route| route.name.clone()).collect()
    }
}

/// The `weights` block of a route; one without a block gives everything to its stable pool.
pub fn block(route: &model::Route) -> Weights {
    if route.weights.is_empty() {
        return Weights::from([(route.stable_pool().to_owned(), ALL)]);
    }
    route
        .weights
        .iter()
        .map(|(pool, weight)| (pool.to_owned(), *weight))
        .collect()
}

/// The weights after a rollback: everything to the stable pool.
pub fn stable_only(route: &model::Route) -> Weights {
    block(route)
        .into_keys()
        .map(|pool| {
            let weight = if pool == route.stable_pool() { ALL } else { 0 };
            (pool, weight)
        })
        .collect()
}

/// Canaries of a route, in the order in which they own buckets.
pub(super) fn canaries(route: &model::Route) -> impl Iterator<Item = &str> {
    route
        .weights
        .iter()
        .map(|(pool, _)| pool)
        .filter(|pool| *pool != route.stable_pool())
}

/// A route as the file starts it.
pub(super) fn as_written(route: &model::Route) -> LiveRoute {
    LiveRoute {
        weights: block(route),
        block: block(route),
        owner: Owner::File,
        state: Latch::Normal,
        draining: BTreeSet::new(),
        ramp: None,
    }
}

/// A route at 100 % stable, latched when it has a canary to hold back.
pub(super) fn held_back(route: &model::Route) -> LiveRoute {
    let has_canary = canaries(route).next().is_some();
    LiveRoute {
        weights: stable_only(route),
        block: block(route),
        owner: Owner::Live,
        state: if has_canary {
            Latch::RolledBack
        } else {
            Latch::Normal
        },
        draining: BTreeSet::new(),
        ramp: None,
    }
}
