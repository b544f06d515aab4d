//! The task: wakes every second, closes windows every five, and asks control for what follows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use canary::guard::{Verdict, WINDOW_S};
use config::model::{self, OnTrip};
use tokio::sync::watch as signal;

use super::ledger::{self, Ledger, Line, Restored};
use super::past::Past;
use super::trip::{self, Tripped};
use super::watch::{Course, Situation, Watch};
use super::{FOLDER, Guards, view};
use crate::control::{Control, Notice, Rejection, Standing};
use crate::metrics::{Guarded, Metrics};
use crate::witness::Witness;

/// All evidence is written down every so many windows.
const STATE_EVERY: u64 = 60;

/// Watches all guarded routes until `stop` is true or control has ended.
pub async fn run(
    guards: Arc<Guards>,
    control: Control,
    metrics: Arc<Metrics>,
    mut stop: signal::Receiver<bool>,
) {
    let folder = control.standing().structure.server.state_dir.join(FOLDER);
    let ledger = match Ledger::start(folder.clone()) {
        Ok(ledger) => ledger,
        Err(error) => return tracing::error!("no guard can work: {error}"),
    };
    let mut task = Task {
        guards,
        control,
        metrics,
        folder,
        ledger,
        watches: HashMap::new(),
        window: now_ms() / WINDOW_MS,
    };
    let stopped = async {
        // Whoever could stop it may be gone, which is a stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(to_next_second()) => task.second(now_ms()).await,
        }
    }
}

const WINDOW_MS: u64 = WINDOW_S * 1000;

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

fn to_next_second() -> Duration {
    Duration::from_millis(1000 - now_ms() % 1000)
}

struct Task {
    guards: Arc<Guards>,
    control: Control,
    metrics: Arc<Metrics>,
    folder: PathBuf,
    ledger: Ledger,
    watches: HashMap<String, Entry>,
    /// The window that is open, counted since 1970.
    window: u64,
}

/// A watch, and what it still has to have done.
struct Entry {
    watch: Watch,
    /// It tripped, and what follows was not done yet.
    pending: Option<Tripped>,
    /// Why it tripped.
    why: Option<String>,
}

impl Entry {
    /// What is in force now; whether an attempt or a step begins with it.
    async fn follow(
        &mut self,
        route: &model::Route,
        situation: Situation,
        past: &mut Past,
    ) -> bool {
        let before = self.watch.situation().revision;
        let is_one = situation.revision <= before + 1;
        let has_told = self.watch.guard().has_told();
        let mut course = self.watch.follow(situation);
        // What came and went since the last look is in the journal alone.
        if !is_one
            && course != Course::Attempt
            && past.begins_another(route, before, has_told).await
        {
            self.watch.begin();
            course = Course::Attempt;
        }
        if course == Course::Attempt {
            (self.pending, self.why) = (None, None);
        }
        course != Course::Same
    }
}

impl Task {
    async fn second(&mut self, now_ms: u64) {
        let standing = self.control.standing();
        self.align(&standing).await;
        let window = now_ms / WINDOW_MS;
        // A clock that jumps closes one window, of whatever length.
        let is_over = window != self.window;
        for (name, entry) in &mut self.watches {
            let (trip, verdict) = entry.watch.look(is_over.then_some(self.window * WINDOW_MS));
            if let Some(verdict) = verdict {
                write_window(&self.ledger, name, &entry.watch, self.window, verdict);
            }
            let tripped = match &entry.pending {
                Some(_) if trip.is_none() => None,
                _ => Tripped::of(trip.as_ref(), &mut entry.watch),
            };
            if let Some(tripped) = tripped {
                let line = Line::Trip {
                    window: self.window,
                    revision: entry.watch.situation().revision,
                    why: tripped.why.clone(),
                };
                self.ledger.write(name, line);
                write_state(&self.ledger, name, &entry.watch, self.window);
                entry.why = Some(tripped.why.clone());
                entry.pending = Some(tripped);
            }
        }
        if is_over {
            self.window = window;
        }
        // Told first: whoever sees what follows sees why.
        self.tell();
        self.act(&standing).await;
    }

    /// One watch for every guarded route of the file in force, each told what is in force.
    async fn align(&mut self, standing: &Standing) {
        let routes = standing
            .structure
            .routes
            .iter()
            .map(|route| &*route.settings);
        let guarded: Vec<&model::Route> = routes
            .filter(|route| route.guard.is_some() || route.ramp.is_some())
            .collect();
        let names: HashSet<&str> = guarded.iter().map(|route| &*route.name).collect();
        self.watches.retain(|name, _| names.contains(&**name));
        let mut past = Past::new(self.control.clone());
        for route in guarded {
            let stable = self.control.house().health(route.stable_pool());
            let is_well = stable.is_some_and(|stable| stable.healthy > 0);
            let situation = Situation::of(route, &standing.live, is_well);
            let witness = self.guards.witnesses.of(&route.name);
            let (Some(situation), Some(witness)) = (situation, witness) else {
                continue;
            };
            match self.watches.get_mut(&route.name) {
                Some(entry) => {
                    entry.watch.look_through(witness);
                    if entry.follow(route, situation, &mut past).await {
                        write_state(&self.ledger, &route.name, &entry.watch, self.window - 1);
                    }
                }
                None => self.begin(route, situation, witness, &mut past).await,
            }
        }
    }

    /// A watch of `route`, which goes on from what was written down, also with what was to be done and was not.
    async fn begin(
        &mut self,
        route: &model::Route,
        situation: Situation,
        witness: Arc<Witness>,
        past: &mut Past,
    ) {
        let name = &route.name;
        let restored = self.restored(name).await;
        let (evidence, written) = restored.map_or((None, None), |restored| {
            (
                Some(restored.evidence),
                Some((restored.revision, restored.why)),
            )
        });
        let mut watch = Watch::new(witness, evidence, situation);
        let mut before = None;
        if let Some((revision, why)) = written {
            let has_told = watch.guard().has_told();
            if past.begins_another(route, revision, has_told).await {
                watch.begin();
            } else {
                before = Tripped::before(watch.guard().evidence(), why.as_deref());
            }
        }
        write_state(&self.ledger, name, &watch, self.window - 1);
        let why = before.as_ref().map(|before| before.why.clone());
        let pending = before.filter(|before| {
            let done = before.done(trip::on_trip(route));
            trip::is_outstanding(done, watch.situation())
        });
        let entry = Entry {
            watch,
            pending,
            why,
        };
        self.watches.insert(name.clone(), entry);
    }

    async fn restored(&self, name: &str) -> Option<Restored> {
        let (folder, route) = (self.folder.clone(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || ledger::restore(&folder, &route));
        read.await.unwrap_or_default()
    }

    /// Has done what follows from trips; what fails is tried again a second later.
    async fn act(&mut self, standing: &Standing) {
        for (name, entry) in &mut self.watches {
            let Some(tripped) = &entry.pending else {
                continue;
            };
            let route = standing.structure.route_named(name);
            let on_trip = route.map_or(OnTrip::Alert, |route| trip::on_trip(&route.settings));
            let on_trip = tripped.done(on_trip);
            let why = &tripped.why;
            match trip::carry_out(&self.control, name, tripped, on_trip).await {
                Ok(()) => {
                    tracing::warn!(route = name, "the guard has tripped: {why}");
                    self.metrics.guard_tripped(name, tripped.cause);
                    let notice = Notice::guard_trip(name, why, trip::word(on_trip));
                    self.control.announce(notice);
                    entry.pending = None;
                }
                Err(Rejection::Closed) => entry.pending = None,
                Err(rejection) => {
                    tracing::error!(
                        route = name,
                        "the guard has tripped ({why}), and nothing was done: {rejection}"
                    );
                }
            }
        }
    }

    fn tell(&self) {
        let views: BTreeMap<_, _> = self
            .watches
            .iter()
            .map(|(name, entry)| (name.clone(), view::of(&entry.watch, entry.why.as_deref())))
            .collect();
        self.metrics.guarded(views.iter().map(|(route, view)| {
            Guarded {
                route,
                state: view.state,
                evidence: view
                    .metrics
                    .iter()
                    .map(|metric| (metric.metric, metric.log_evidence))
                    .collect(),
                has_budget: view.budget.is_some(),
            }
        }));
        self.guards.tell(views);
    }
}

/// What was bet in `window` is written down.
fn write_window(ledger: &Ledger, name: &str, watch: &Watch, window: u64, verdict: Verdict) {
    if !verdict.taken.is_empty() {
        let taken = verdict.taken;
        ledger.write(name, Line::Window { window, taken });
    }
    if window.is_multiple_of(STATE_EVERY) {
        write_state(ledger, name, watch, window);
    }
}

fn write_state(ledger: &Ledger, name: &str, watch: &Watch, window: u64) {
    let state = Line::State {
        window,
        revision: watch.situation().revision,
        evidence: Box::new(watch.guard().evidence().clone()),
    };
    ledger.write(name, state);
}

#[cfg(test)]
mod tests;
