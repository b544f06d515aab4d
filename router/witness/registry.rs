//! The witnesses of a file, and those of the files before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use config::ids::RouteId;
use config::snapshot::Structure;

use super::Witness;

/// All witnesses of the process. Only control aligns them; requests use the board of their snapshot.
#[derive(Debug, Default)]
pub struct Witnesses {
    known: Mutex<HashMap<String, Arc<Witness>>>,
    current: ArcSwap<Board>,
}

/// The witnesses of one file: of routes with a guard, and of those with a ramp, which needs evidence.
#[derive(Debug, Default)]
pub struct Board {
    /// By `RouteId`, up to the last route that has one; so none where nobody judges.
    routes: Box<[Option<Arc<Witness>>]>,
}

impl Witnesses {
    /// Takes the guards of `structure` into use. A route that was guarded before, by its name, has seen what it had seen.
    pub fn align(&self, structure: &Structure) {
        let mut before = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::new();
        let guarded = |route: &config::snapshot::Route| {
            let settings = &route.settings;
            if settings.guard.is_none() && settings.ramp.is_none() {
                return None;
            }
            let name = route.name.to_string();
            let witness = before.get(&name).cloned().unwrap_or_default();
            known.insert(name, Arc::clone(&witness));
            Some(witness)
        };
        let mut routes: Vec<_> = structure.routes.iter().map(guarded).collect();
        let n_routes = routes
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        routes.truncate(n_routes);
        *before = known;
        self.current.store(Arc::new(Board {
            routes: routes.into(),
        }));
    }

    /// The witnesses as aligned last.
    pub fn current(&self) -> Arc<Board> {
        self.current.load_full()
    }

    /// The witness of the route called `name`; `None` when it has no guard.
    pub fn of(&self, name: &str) -> Option<Arc<Witness>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }
}

impl Board {
    /// The witness of `route`; `None` when nobody judges its canaries.
    pub fn of(&self, route: RouteId) -> Option<&Arc<Witness>> {
        self.routes.get(route.0 as usize)?.as_ref()
    }
}
