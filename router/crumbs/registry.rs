//! What is seen of all routes of a file, and of those of the files before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use config::ids::{PoolId, RouteId};
use config::snapshot::{Route, Structure};

use super::{Crumbs, Table};

/// All crumbs of the process. Only control aligns them; requests use the board of their snapshot.
#[derive(Debug, Default)]
pub struct Registry {
    known: Mutex<HashMap<Arc<str>, Arc<Crumbs>>>,
    current: ArcSwap<Board>,
}

/// The crumbs of one file: of routes with two pools or more.
#[derive(Debug, Default)]
pub struct Board(Box<[Option<Arc<Crumbs>>]>);

impl Registry {
    /// Takes the routes of `structure` into use. What was seen of a pool before counts as long as its rules are the same.
    pub fn align(&self, structure: &Structure) {
        let mut before = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::with_capacity(before.len());
        let each = structure.routes.iter().map(|route| {
            let pools = pools(route);
            if pools.len() < 2 {
                return None;
            }
            let crumbs = Arc::new(crumbs(route, pools, before.get(&route.name), structure));
            known.insert(Arc::clone(&route.name), Arc::clone(&crumbs));
            Some(crumbs)
        });
        let board = Board(each.collect());
        *before = known;
        self.current.store(Arc::new(board));
    }

    /// The crumbs as aligned last.
    pub fn current(&self) -> Arc<Board> {
        self.current.load_full()
    }

    /// The crumbs of the route called `name`; `None` when it has one pool or none.
    pub fn of(&self, name: &str) -> Option<Arc<Crumbs>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }
}

impl Board {
    /// What is seen of `route`; `None` when it has no two pools.
    pub fn of(&self, route: RouteId) -> Option<&Crumbs> {
        self.0.get(route.0 as usize)?.as_deref()
    }

    /// All routes that are looked at, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Crumbs>> {
        self.0.iter().flatten()
    }
}

/// The pools that a client of `route` may meet, stable first; those of flags, too.
fn pools(route: &Route) -> Vec<PoolId> {
    let Some(forward) = route.forward() else {
        return Vec::new();
    };
    let mut pools = vec![forward.stable];
    let flagged = forward.flags.iter().map(|flag| flag.pool);
    for pool in forward.pools.iter().copied().chain(flagged) {
        if !pools.contains(&pool) {
            pools.push(pool);
        }
    }
    pools
}

fn crumbs(
    route: &Route,
    pools: Vec<PoolId>,
    before: Option<&Arc<Crumbs>>,
    structure: &Structure,
) -> Crumbs {
    let table = |id: &PoolId| {
        let pool = &structure.pools[usize::from(id.0)];
        let mut known = before.iter().flat_map(|before| &before.tables);
        let known = known.find(|table| table.holds_for(&pool.name, &pool.settings));
        known.cloned().unwrap_or_else(|| {
            let (name, settings) = (Arc::clone(&pool.name), Arc::clone(&pool.settings));
            Arc::new(Table::new(name, settings))
        })
    };
    Crumbs {
        route: Arc::clone(&route.name),
        requests: before.map_or_else(Arc::default, |before| Arc::clone(&before.requests)),
        tables: pools.iter().map(table).collect(),
        ids: pools.into(),
    }
}
