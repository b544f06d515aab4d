//! The caps of a file, and what has been used of them in the files before it.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use config::ids::{PoolId, RouteId};
use config::snapshot::{Route, Structure};

use super::bucket::Bucket;
use super::{Cap, Used};

/// All caps of the process. Only control aligns them; requests use the board of their snapshot.
#[derive(Debug)]
pub struct Caps {
    origin: Instant,
    /// What was used, by the names of route and canary, as far as the file in force has caps.
    used: Mutex<HashMap<(String, String), Arc<Used>>>,
    current: ArcSwap<Board>,
}

/// The caps of one file.
#[derive(Debug, Default)]
pub struct Board {
    /// By `RouteId`; empty where no canary is capped.
    routes: Box<[Box<[Capped]>]>,
}

/// A canary that is bounded, and by what.
type Capped = (PoolId, Arc<Cap>);

impl Default for Caps {
    fn default() -> Self {
        Self::at(Instant::now())
    }
}

impl Caps {
    /// No caps yet; time counts from `origin`.
    pub fn at(origin: Instant) -> Self {
        Self {
            origin,
            used: Mutex::default(),
            current: ArcSwap::default(),
        }
    }

    /// Takes the caps of `structure` into use. A canary that was capped before, by the names of its route and pool,
    /// has used what it had used.
    pub fn align(&self, structure: &Structure) {
        let mut before = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = HashMap::new();
        let routes = structure.routes.iter().map(|route| {
            let canaries = canaries(route).map(|pool| {
                let name = structure.pools[usize::from(pool.0)].name.to_string();
                let key = (route.name.to_string(), name);
                let kept = before.get(&key).cloned();
                let kept = kept.unwrap_or_else(|| Arc::new(self.unused()));
                used.insert(key, Arc::clone(&kept));
                (pool, Arc::new(cap(route, kept)))
            });
            canaries.collect()
        });
        let board = Board {
            routes: routes.collect(),
        };
        *before = used;
        self.current.store(Arc::new(board));
    }

    /// The caps as aligned last.
    pub fn current(&self) -> Arc<Board> {
        self.current.load_full()
    }

    fn unused(&self) -> Used {
        Used {
            origin: self.origin,
            bucket: Bucket::default(),
            in_flight: AtomicU32::new(0),
        }
    }
}

impl Board {
    /// What `route` lets `pool` have; `None` when it is not bounded.
    pub fn cap(&self, route: RouteId, pool: PoolId) -> Option<&Arc<Cap>> {
        let (_, cap) = self.of(route).iter().find(|(id, _)| *id == pool)?;
        Some(cap)
    }

    /// The canaries of `route` that are bounded.
    pub fn of(&self, route: RouteId) -> &[Capped] {
        self.routes.get(route.0 as usize).map_or(&[], |caps| caps)
    }
}

/// The pools of `route` that its cap bounds: none without one.
fn canaries(route: &Route) -> impl Iterator<Item = PoolId> {
    let cap = &route.settings.cap;
    let is_capped = cap.max_rps > 0 || cap.max_concurrent > 0;
    let forward = route.forward().filter(|_| is_capped);
    let canaries = forward.map(|forward| {
        let pools = forward.pools.iter();
        pools.filter(|pool| **pool != forward.stable).copied()
    });
    canaries.into_iter().flatten()
}

fn cap(route: &Route, used: Arc<Used>) -> Cap {
    Cap {
        max_rps: route.settings.cap.max_rps,
        max_concurrent: route.settings.cap.max_concurrent,
        used,
    }
}
