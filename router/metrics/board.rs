//! What the structure in force has counted: series and shares by the numbers of a decision.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::snapshot::{Snapshot, Structure};

use super::key::Spread;
use super::series::Series;
use super::shares::RouteShares;

/// What the structure in force has counted.
#[derive(Default)]
pub(super) struct Board {
    pub(super) structure: Option<Arc<Structure>>,
    /// By `RouteId`.
    pub(super) routes: Vec<RouteBoard>,
    /// What no route took.
    pub(super) unrouted: Arc<Known>,
}

/// What one route has counted.
pub(super) struct RouteBoard {
    pub(super) known: Arc<Known>,
    pub(super) shares: Arc<RouteShares>,
}

/// Series by what the numbers of a decision say.
pub(super) type Known = ArcSwap<HashMap<u64, Arc<Series>, BuildHasherDefault<Spread>>>;

impl Board {
    pub(super) fn is_of(&self, snapshot: &Snapshot) -> bool {
        let structure = self.structure.as_ref();
        structure.is_some_and(|structure| Arc::ptr_eq(structure, &snapshot.structure))
    }

    /// Numbers mean something else in another structure, so only names carry over to it.
    pub(super) fn next(&self, snapshot: &Snapshot) -> Self {
        let same = self.is_of(snapshot);
        let structure = &snapshot.structure;
        let before: HashMap<&str, &RouteBoard> = match &self.structure {
            Some(structure) => {
                let names = structure.routes.iter().map(|route| &*route.name);
                names.zip(&self.routes).collect()
            }
            None => HashMap::new(),
        };
        let routes = structure.routes.iter().map(|route| {
            let before = before.get(&*route.name);
            let known = before.filter(|_| same).map(|before| &before.known);
            RouteBoard {
                known: known.cloned().unwrap_or_default(),
                shares: RouteShares::next(before.map(|before| &before.shares), route.id, snapshot),
            }
        });
        Self {
            routes: routes.collect(),
            unrouted: if same {
                Arc::clone(&self.unrouted)
            } else {
                Arc::default()
            },
            structure: Some(Arc::clone(structure)),
        }
    }
}
