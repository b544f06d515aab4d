//! The shadows of a file, and what is known of them from the files before it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use config::ids::RouteId;
use config::snapshot::{Route, Structure};
use tokio::sync::mpsc::Sender;

use super::fate::Fate;
use super::mirror::{Mirror, Used};
use super::worker::{self, Job};
use crate::metrics::Metrics;

/// All shadows of the process. Only control aligns them; requests use the board of their snapshot.
#[derive(Default)]
pub struct Shadows {
    metrics: Arc<Metrics>,
    known: Mutex<Known>,
    current: ArcSwap<Board>,
}

#[derive(Default)]
struct Known {
    /// By the name of the route.
    mirrors: HashMap<String, Arc<Mirror>>,
    /// There once a file has had a shadow.
    jobs: Option<Sender<Job>>,
}

/// The shadows of one file.
#[derive(Default)]
pub struct Board {
    /// By `RouteId`, up to the last route that has one; so none where nothing is copied.
    routes: Box<[Option<Arc<Mirror>>]>,
}

impl Shadows {
    /// No shadows yet; what becomes of copies is counted in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }

    /// Takes the shadows of `structure` into use. From here on no copy is sent that the file does not ask for, also of
    /// requests that began before it.
    ///
    /// # Errors
    /// When the thread that sends copies cannot be started. There are no shadows then.
    pub fn align(&self, structure: &Structure) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let routes = match known.jobs(structure) {
            Ok(jobs) => self.mirrors(&known, jobs.as_ref(), structure),
            Err(error) => {
                known.replace(HashMap::new());
                self.current.store(Arc::default());
                return Err(error);
            }
        };
        let named = structure.routes.iter().zip(&routes);
        let named =
            named.filter_map(|(route, mirror)| Some((route.name.to_string(), mirror.clone()?)));
        known.replace(named.collect());
        self.current.store(Arc::new(Board {
            routes: routes.into(),
        }));
        Ok(())
    }

    /// The shadows as aligned last.
    pub fn current(&self) -> Arc<Board> {
        self.current.load_full()
    }

    /// By `RouteId`, up to the last route that has one.
    fn mirrors(
        &self,
        known: &Known,
        jobs: Option<&Sender<Job>>,
        structure: &Structure,
    ) -> Vec<Option<Arc<Mirror>>> {
        let mirror = |route: &Route| self.mirror(known, jobs?, route);
        let mut routes: Vec<_> = structure.routes.iter().map(mirror).collect();
        let n_routes = routes.iter().rposition(Option::is_some);
        routes.truncate(n_routes.map_or(0, |last| last + 1));
        routes
    }

    /// The shadow of `route`, whose copies have used what they had used.
    fn mirror(&self, known: &Known, jobs: &Sender<Job>, route: &Route) -> Option<Arc<Mirror>> {
        let shadow = route.forward()?.shadow.as_ref()?;
        let before = known.mirrors.get(&*route.name);
        let used = before.map(|before| Arc::clone(&before.used));
        let used = used.unwrap_or_else(|| Arc::new(Used::new(Instant::now())));
        let counters = Fate::ALL.map(|fate| self.metrics.shadow(&route.name, fate.as_str()));
        Some(Arc::new(Mirror::new(
            Arc::clone(shadow),
            used,
            counters.into(),
            jobs.clone(),
        )))
    }
}

impl Known {
    /// Where copies go; `None` when there are none. The thread is started for the first shadow there is.
    fn jobs(&mut self, structure: &Structure) -> io::Result<Option<Sender<Job>>> {
        let shadowed = |route: &Route| route.forward().is_some_and(|it| it.shadow.is_some());
        if self.jobs.is_none() && structure.routes.iter().any(shadowed) {
            self.jobs = Some(worker::start()?);
        }
        Ok(self.jobs.clone())
    }

    /// Switches off what is not in `mirrors` as it was.
    fn replace(&mut self, mirrors: HashMap<String, Arc<Mirror>>) {
        for (name, before) in &self.mirrors {
            let settings = &before.shadow.settings;
            let now = mirrors.get(name).map(|now| &now.shadow.settings);
            if now != Some(settings) {
                before.switch_off();
            }
        }
        self.mirrors = mirrors;
    }
}

impl Board {
    /// The shadow of `route`; `None` when nothing of it is copied.
    pub fn of(&self, route: RouteId) -> Option<&Arc<Mirror>> {
        self.routes.get(route.0 as usize)?.as_ref()
    }
}
