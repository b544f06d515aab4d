//! What the structure in force has counted: series and shares by the numbers of a decision.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::decision::Choice;
use config::ids::PoolId;
use config::snapshot::{Snapshot, Structure};

use super::key::Spread;
use super::series::Series;
use super::shares::RouteShares;
use super::switches::{Memory, Mover, Switches};
use crate::record::Record;

/// What the structure in force has counted.
#[derive(Default)]
pub(super) struct Board {
    pub(super) structure: Option<Arc<Structure>>,
    /// By `RouteId`.
    pub(super) routes: Vec<RouteBoard>,
    /// What no route took.
    pub(super) unrouted: Arc<Known>,
    /// Numbers of pools in the memory of clients, by `PoolId`.
    numbers: Arc<[u16]>,
}

/// What one route has counted.
pub(super) struct RouteBoard {
    pub(super) known: Arc<Known>,
    pub(super) shares: Arc<RouteShares>,
    /// Where its clients were; `None` when it has one pool for everybody.
    pub(super) switches: Option<Arc<Switches>>,
}

/// Series by what the numbers of a decision say.
pub(super) type Known = ArcSwap<HashMap<u64, Arc<Series>, BuildHasherDefault<Spread>>>;

impl Board {
    pub(super) fn is_of(&self, snapshot: &Snapshot) -> bool {
        let structure = self.structure.as_ref();
        structure.is_some_and(|structure| Arc::ptr_eq(structure, &snapshot.structure))
    }

    /// The number of the pool at `id` in the memory of clients.
    pub(super) fn number(&self, id: PoolId) -> u16 {
        self.numbers[usize::from(id.0)]
    }

    /// The same of the pool called `name`, and what the route called `route` remembers, when they are still there.
    pub(super) fn named(&self, route: &str, name: &str) -> Option<(&Switches, u16)> {
        let structure = self.structure.as_ref()?;
        let position = structure.routes.iter().position(|it| *it.name == *route)?;
        let pool = structure.pool_named(name)?.id;
        let switches = self.routes[position].switches.as_ref()?;
        Some((switches, self.number(pool)))
    }

    /// The board of `snapshot`, which came about `by`. Numbers mean something else in another structure, so only names
    /// carry over to it; and series count to shares, so they are looked up anew when those begin anew.
    pub(super) fn next(&self, snapshot: &Snapshot, by: Mover, memory: &Arc<Memory>) -> Self {
        let same = self.is_of(snapshot);
        let structure = &snapshot.structure;
        let numbers = if same {
            Arc::clone(&self.numbers)
        } else {
            memory.numbers(structure.pools.iter().map(|pool| &pool.name))
        };
        let before: HashMap<&str, &RouteBoard> = match &self.structure {
            Some(structure) => {
                let names = structure.routes.iter().map(|route| &*route.name);
                names.zip(&self.routes).collect()
            }
            None => HashMap::new(),
        };
        let routes = structure.routes.iter().map(|route| {
            let before = before.get(&*route.name).copied();
            let shares = RouteShares::next(before.map(|it| &it.shares), route.id, snapshot);
            let known = before.filter(|before| same && shares.go_on_from(&before.shares));
            let switches = before.and_then(|before| before.switches.as_ref());
            RouteBoard {
                known: known.map_or_else(Arc::default, |before| Arc::clone(&before.known)),
                shares,
                switches: Switches::next(switches, route, snapshot, by, memory, &numbers),
            }
        });
        Self {
            routes: routes.collect(),
            unrouted: if same {
                Arc::clone(&self.unrouted)
            } else {
                Arc::default()
            },
            numbers,
            structure: Some(Arc::clone(structure)),
        }
    }
}

impl RouteBoard {
    /// A request of `series` finished, which was decided at `revision`.
    pub(super) fn count(&self, series: &Series, record: &Record, choice: &Choice, revision: u64) {
        // Shares begin anew with the weights; a request that others decided is none of theirs.
        if let Some(line) = &series.line
            && revision >= self.shares.since()
        {
            line.count(choice);
        }
        if let Some(switches) = &self.switches
            && was_served(record)
        {
            switches.see(choice, series.stamp, revision);
        }
    }
}

/// Whether a target answered: what we answer ourselves, and what nobody waited for, comes from no pool.
pub(super) fn was_served(record: &Record) -> bool {
    let upstream = record.upstream.as_ref();
    upstream.is_some_and(|upstream| upstream.status.is_some())
}
