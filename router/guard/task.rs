//! The task: wakes every second, closes windows every five, and asks control for what follows.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use canary::guard::{Evidence, Trip, WINDOW_S};
use config::model::{self, OnTrip};
use tokio::sync::watch as signal;

use super::ledger::{self, Ledger, Line};
use super::watch::{Situation, Watch};
use super::{ACTOR, FOLDER, Guards, view};
use crate::control::{Action, Control, Notice, Order, Rejection, Standing};
use crate::metrics::{Guarded, Metrics};

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
    pending: Option<Trip>,
    /// Why it tripped.
    why: Option<String>,
}

impl Task {
    async fn second(&mut self, now_ms: u64) {
        let standing = self.control.standing();
        self.align(&standing).await;
        let window = now_ms / WINDOW_MS;
        // A clock that jumps closes one window, of whatever length.
        let is_over = window != self.window;
        for (name, entry) in &mut self.watches {
            let trip = entry.watch.second();
            let trip = match trip {
                None if is_over => closed(&self.ledger, name, &mut entry.watch, self.window),
                trip => trip,
            };
            if let Some(trip) = trip {
                self.ledger.write(
                    name,
                    Line::Trip {
                        window: self.window,
                        why: trip.to_string(),
                    },
                );
                entry.why = Some(trip.to_string());
                entry.pending = Some(trip);
            }
        }
        if is_over {
            self.window = window;
        }
        self.act(&standing).await;
        self.tell();
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
        self.watches
            .retain(|name, _| guarded.iter().any(|route| route.name == *name));
        for route in guarded {
            let stable = self.control.house().health(route.stable_pool());
            let is_well = stable.is_some_and(|stable| stable.healthy > 0);
            let Some(situation) = Situation::of(route, &standing.live, is_well) else {
                continue;
            };
            match self.watches.get_mut(&route.name) {
                Some(entry) => {
                    if entry.watch.follow(situation) {
                        entry.why = None;
                        write_state(&self.ledger, &route.name, &entry.watch, self.window - 1);
                    }
                }
                None => self.begin(&route.name, situation).await,
            }
        }
    }

    async fn begin(&mut self, name: &str, situation: Situation) {
        let Some(witness) = self.guards.witnesses.of(name) else {
            return;
        };
        let (folder, route) = (self.folder.clone(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || ledger::restore(&folder, &route)).await;
        let evidence: Option<Evidence> = read.unwrap_or_default();
        let watch = Watch::new(witness, evidence, situation);
        write_state(&self.ledger, name, &watch, self.window - 1);
        let entry = Entry {
            watch,
            pending: None,
            why: None,
        };
        self.watches.insert(name.to_owned(), entry);
    }

    /// Has done what follows from trips; what fails is tried again a second later.
    async fn act(&mut self, standing: &Standing) {
        for (name, entry) in &mut self.watches {
            let Some(trip) = &entry.pending else { continue };
            let route = standing.structure.route_named(name);
            let guard = route.and_then(|route| route.settings.guard.as_ref());
            let on_trip = guard.map_or(OnTrip::Alert, |guard| guard.on_trip);
            match carry_out(&self.control, name, trip, on_trip).await {
                Ok(()) => {
                    tracing::warn!(route = name, "the guard has tripped: {trip}");
                    self.metrics.guard_tripped(name, cause(trip));
                    self.control.announce(Notice::guard_trip(
                        name,
                        &trip.to_string(),
                        word(on_trip),
                    ));
                    entry.pending = None;
                }
                Err(Rejection::Closed) => entry.pending = None,
                Err(rejection) => {
                    tracing::error!(
                        route = name,
                        "the guard has tripped ({trip}), and nothing was done: {rejection}"
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
            }
        }));
        self.guards.tell(views);
    }
}

/// The window that began at `window` is over; what was bet is written down.
fn closed(ledger: &Ledger, name: &str, watch: &mut Watch, window: u64) -> Option<Trip> {
    let verdict = watch.close(window * WINDOW_MS);
    if !verdict.taken.is_empty() {
        let taken = verdict.taken;
        ledger.write(name, Line::Window { window, taken });
    }
    if window.is_multiple_of(STATE_EVERY) {
        write_state(ledger, name, watch, window);
    }
    verdict.trip
}

fn write_state(ledger: &Ledger, name: &str, watch: &Watch, window: u64) {
    let evidence = Box::new(watch.guard().evidence().clone());
    ledger.write(name, Line::State { window, evidence });
}

async fn carry_out(
    control: &Control,
    route: &str,
    trip: &Trip,
    on_trip: OnTrip,
) -> Result<(), Rejection> {
    let route = route.to_owned();
    let action = match on_trip {
        OnTrip::Alert => return Ok(()),
        OnTrip::Freeze => Action::Freeze { route },
        OnTrip::Rollback => Action::Rollback { route: Some(route) },
    };
    let order = Order {
        action,
        actor: ACTOR.into(),
        reason: Some(trip.to_string()),
        if_revision: None,
        dry_run: false,
    };
    control.order(order).await.map(drop)
}

const fn word(on_trip: OnTrip) -> &'static str {
    match on_trip {
        OnTrip::Alert => "alert",
        OnTrip::Freeze => "freeze",
        OnTrip::Rollback => "rollback",
    }
}

const fn cause(trip: &Trip) -> &'static str {
    match trip {
        Trip::Evidence { metric, .. } => metric.as_str(),
        Trip::HardLimit { .. } => "hard_limit",
    }
}
