//! Ramps at work: one task that wakes every second, counts how long steps were held, and asks control for the next one.
//!
//! When a step is due is `canary::ramp`'s; what it changes, `config::live`'s. A step is written down with its weights in
//! one line of the journal, so a crash can neither double nor skip it; how long it was held is a small file beside it.

mod probes;
mod progress;
mod sight;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use canary::ramp::{Due, Missing, due};
use config::live::{Bounds, LiveRamp, Phase};
use config::model;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::control::{Action, Around, Control, Notice, Order, Pace, Rejection, Standing};
use crate::metrics::Metrics;
use probes::Probes;
pub(crate) use probes::is_probed;
use progress::Progress;
pub(crate) use sight::{order, reason, sight, words};

/// Name of the folder of progress in the state folder.
const FOLDER: &str = "ramp";
/// Who takes a step, in journal, events and metrics.
const ACTOR: &str = "ramp";
/// The most that one look counts: a process that was stopped for longer watched nothing.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// How all ramps get on, for whoever looks.
#[derive(Debug, Default)]
pub struct Ramps(Mutex<BTreeMap<String, Pace>>);

impl Ramps {
    /// How the ramp of `route` gets on; `None` when it does not run, or was not looked at yet.
    pub fn pace(&self, route: &str) -> Option<Pace> {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.get(route).cloned()
    }
}

/// Carries ramps on until `stop` is true.
pub async fn run(
    ramps: Arc<Ramps>,
    control: Control,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut task = Task {
        folder: control.standing().structure.server.state_dir.join(FOLDER),
        ramps,
        control,
        metrics,
        progress: HashMap::new(),
        probes: Probes::default(),
        told: HashSet::new(),
        last: Instant::now(),
    };
    let stopped = async {
        // Whoever could stop it may be gone, which is a stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => task.look(Timestamp::now()).await,
        }
    }
}

struct Task {
    ramps: Arc<Ramps>,
    control: Control,
    metrics: Arc<Metrics>,
    folder: PathBuf,
    progress: HashMap<String, Progress>,
    probes: Probes,
    /// Routes whose step is held, and it was said.
    told: HashSet<String>,
    last: Instant,
}

impl Task {
    async fn look(&mut self, now: Timestamp) {
        let passed = self.last.elapsed().min(LONGEST_LOOK);
        self.last = Instant::now();
        let standing = self.control.standing();
        let mut paces = BTreeMap::new();
        for route in &standing.structure.routes {
            let Some((settings, ramp)) = running(&standing, &route.settings) else {
                continue;
            };
            let held = self.held(&route.name, ramp, passed).await;
            let house = &**self.control.house();
            let around = Around {
                probe: self
                    .probes
                    .look(house, &route.name, (settings, ramp), held)
                    .await,
                ..Around::of(house, &route.settings, &ramp.canary, now)
            };
            let live = standing.live.routes.get(&*route.name).map(|live| &**live);
            let due = due(&sight(&route.settings, ramp, live, held, &around));
            let missing = self.act(&route.name, ramp, &due).await;
            let pace = self.pace(&route.name, settings, ramp, held, missing, now);
            paces.insert(route.name.to_string(), pace);
        }
        self.progress.retain(|route, _| paces.contains_key(route));
        self.probes.retain(|route| paces.contains_key(route));
        let ramped = standing.structure.routes.iter();
        let ramped = ramped.filter(|route| route.settings.ramp.is_some());
        let steps = ramped.filter_map(|route| {
            let live = standing.live.routes.get(&*route.name)?;
            let step = live.ramp.as_ref().map_or(0, |ramp| ramp.step + 1);
            Some((&*route.name, step))
        });
        self.metrics.ramps(steps);
        *self.ramps.0.lock().unwrap_or_else(PoisonError::into_inner) = paces;
    }

    /// How long the step was held, with the time that passed since the last look.
    async fn held(&mut self, route: &str, ramp: &LiveRamp, passed: Duration) -> Duration {
        let known = self.progress.get(route).filter(|known| known.is_of(ramp));
        let next = match known {
            Some(known) => known.after(passed),
            None => {
                self.told.remove(route);
                progress::read(&self.folder, route, ramp).await
            }
        };
        let is_written = progress::write(&self.folder, route, &next).await;
        if let Err(error) = is_written {
            tracing::warn!(
                route,
                "how long the step was held cannot be written down: {error}; a restart would begin it anew"
            );
        }
        let held = next.held();
        self.progress.insert(route.to_owned(), next);
        held
    }

    /// Does what is due; what the next step waits for, beyond its time.
    async fn act(&mut self, route: &str, ramp: &LiveRamp, due: &Due) -> Vec<String> {
        if let Due::Held(missing) = due {
            return self.tell_held(route, missing);
        }
        let Some(order) = order(ramp, due) else {
            return Vec::new();
        };
        let order = Order {
            action: Action::Ramp {
                route: route.to_owned(),
                order,
                bounds: Bounds::Kept,
                cold: false,
            },
            actor: ACTOR.into(),
            reason: Some(reason(ramp, order)),
            if_revision: None,
            dry_run: false,
        };
        match self.control.order(order).await {
            Ok(_) | Err(Rejection::Closed) => Vec::new(),
            Err(rejection) => {
                if self.told.insert(route.to_owned()) {
                    tracing::warn!(route, "the ramp is held: {rejection}");
                }
                vec![format!("a change that is not refused: {rejection}")]
            }
        }
    }

    fn tell_held(&mut self, route: &str, missing: &[Missing]) -> Vec<String> {
        let missing = words(missing);
        if self.told.insert(route.to_owned()) {
            let missing = missing.join("; ");
            tracing::info!(route, "the ramp is held, it lacks {missing}");
        }
        missing
    }

    fn pace(
        &self,
        route: &str,
        settings: &model::Ramp,
        ramp: &LiveRamp,
        held: Duration,
        missing: Vec<String>,
        now: Timestamp,
    ) -> Pace {
        let hold_s = ramp.current().map_or(0, |step| step.hold_s);
        let over = held.saturating_sub(Duration::from_secs(hold_s));
        let hold_max = settings.hold_max.0;
        let is_late = !hold_max.is_zero() && over > hold_max && !missing.is_empty();
        if is_late && !self.ramps.pace(route).is_some_and(|before| before.late) {
            let lacks = missing.join("; ");
            tracing::warn!(
                route,
                "the ramp is held for longer than hold_max, it lacks {lacks}"
            );
            self.control.announce(Notice::ramp_held(route, &missing));
        }
        let opens = missing
            .contains(&Missing::Hours.to_string())
            .then(|| settings.window.next(now).to_string());
        Pace {
            attempt: ramp.attempt,
            step: ramp.step,
            held_s: held.as_secs(),
            missing,
            opens,
            late: is_late,
        }
    }
}

/// The ramp of a route that runs, and its settings.
fn running<'a>(
    standing: &'a Standing,
    route: &'a model::Route,
) -> Option<(&'a model::Ramp, &'a LiveRamp)> {
    let settings = route.ramp.as_ref()?;
    let ramp = standing.live.routes.get(&route.name)?.ramp.as_ref()?;
    (ramp.phase == Phase::Running).then_some((settings, ramp))
}

#[cfg(test)]
mod tests;
