//! The shadows of a file, and what is known of them from the files before it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use config::ids::RouteId;
use config::shadow::Shadow;
use config::snapshot::{Route, Structure};
use jiff::Timestamp;
use tokio::sync::mpsc::Sender;

use super::fate::Fate;
use super::mirror::{Compared, Mirror, Used};
use super::worker::{self, Job};
use crate::capture::Capture;
use crate::diff::ShadowView;
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

    /// Takes the shadows of `structure` into use; returns what of them does not work. From here on no copy is sent that the
    /// file does not ask for, also of requests that began before it.
    pub fn align(&self, structure: &Structure) -> Vec<String> {
        let mut notes = Vec::new();
        let mut known = self.known();
        let jobs = known.jobs(structure).unwrap_or_else(|error| {
            notes.push(format!("no request is copied: {error}"));
            None
        });
        let routes = self.mirrors(&known, jobs.as_ref(), structure, &mut notes);
        let named = structure.routes.iter().zip(&routes);
        let named =
            named.filter_map(|(route, mirror)| Some((route.name.to_string(), mirror.clone()?)));
        known.replace(named.collect());
        self.current.store(Arc::new(Board {
            routes: routes.into(),
        }));
        notes
    }

    /// The shadows as aligned last.
    pub fn current(&self) -> Arc<Board> {
        self.current.load_full()
    }

    /// What became of the copies of every route that has a shadow, and what they showed; by the names of the routes.
    pub fn views(&self) -> Vec<ShadowView> {
        // Told from a list of our own: a change of the file waits for no report.
        let mirrors = self.known().mirrors.clone();
        let mut views: Vec<_> = mirrors.iter().map(|(name, it)| view(name, it)).collect();
        views.sort_by(|one, other| one.route.cmp(&other.route));
        views
    }

    /// The same of the route `name`; `None` when it has no shadow.
    pub fn view(&self, name: &str) -> Option<ShadowView> {
        let mirror = self.known().mirrors.get(name).cloned();
        mirror.map(|mirror| view(name, &mirror))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By `RouteId`, up to the last route that has one.
    fn mirrors(
        &self,
        known: &Known,
        jobs: Option<&Sender<Job>>,
        structure: &Structure,
        notes: &mut Vec<String>,
    ) -> Vec<Option<Arc<Mirror>>> {
        let mirror = |route: &Route| self.mirror(known, jobs?, route, notes);
        let mut routes: Vec<_> = structure.routes.iter().map(mirror).collect();
        let n_routes = routes.iter().rposition(Option::is_some);
        routes.truncate(n_routes.map_or(0, |last| last + 1));
        routes
    }

    /// The shadow of `route`, whose copies have used what they had used.
    fn mirror(
        &self,
        known: &Known,
        jobs: &Sender<Job>,
        route: &Route,
        notes: &mut Vec<String>,
    ) -> Option<Arc<Mirror>> {
        let shadow = route.forward()?.shadow.as_ref()?;
        let before = known.mirrors.get(&*route.name);
        let used = before.map(|before| Arc::clone(&before.used));
        let used = used.unwrap_or_else(|| Arc::new(Used::new(Instant::now())));
        // Another table asks another question, and what was compared for the last one is no answer to it.
        let same = before.filter(|before| before.shadow.settings == shadow.settings);
        let compared = same.map(|same| Arc::clone(&same.compared));
        let compared = compared.unwrap_or_else(|| Arc::new(Compared::new(Timestamp::now())));
        let opened = capture(same, shadow).unwrap_or_else(|error| {
            notes.push(format!(
                "route `{}`: no request is recorded: {error}",
                route.name
            ));
            None
        });
        let counters = Fate::ALL.map(|fate| self.metrics.shadow(&route.name, fate.as_str()));
        Some(Arc::new(Mirror::new(
            Arc::clone(shadow),
            used,
            counters.into(),
            jobs.clone(),
            compared,
            opened,
        )))
    }
}

/// The file that copies are written to: that of `same`, which has the same table, goes on.
fn capture(
    same: Option<&Arc<Mirror>>,
    shadow: &Shadow,
) -> Result<Option<Arc<Mutex<Capture>>>, String> {
    let Some(path) = &shadow.settings.record else {
        return Ok(None);
    };
    if let Some(capture) = same.and_then(|same| same.capture()) {
        return Ok(Some(Arc::clone(capture)));
    }
    let capture = Capture::open(path, shadow.settings.record_size.0);
    let capture = capture.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(Arc::new(Mutex::new(capture))))
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

fn view(route: &str, mirror: &Mirror) -> ShadowView {
    let settings = &mirror.shadow.settings;
    let (in_flight, bytes) = mirror.used();
    let counted = Fate::ALL.iter().zip(&mirror.counters);
    ShadowView {
        route: route.to_owned(),
        pool: settings.pool.clone(),
        percent: settings.percent,
        compare: match (mirror.shadow.compares(), mirror.shadow.noise()) {
            (false, _) => "off",
            (true, false) => "plain",
            (true, true) => "noise",
        },
        since: mirror.compared.since.to_string(),
        copies: counted
            .map(|(fate, counter)| (fate.as_str(), counter.get()))
            .collect(),
        in_flight,
        bytes,
        recorded: mirror.recorded(),
        report: mirror.shadow.compares().then(|| mirror.ledger().report()),
    }
}

impl Board {
    /// The shadow of `route`; `None` when nothing of it is copied.
    pub fn of(&self, route: RouteId) -> Option<&Arc<Mirror>> {
        self.routes.get(route.0 as usize)?.as_ref()
    }
}
