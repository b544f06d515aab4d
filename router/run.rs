//! `kanaria run`: brings the parts up in order, waits for signals, and takes them down so that nothing in flight is lost.

mod activation;
mod house;
mod notify;
mod parts;
mod reload;
mod signals;
mod sockets;
mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::problem::Problem;
use config::snapshot::Structure;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::{self, Admin, Phase, Running};
use crate::control::{self, Control};
use crate::cookies;
use crate::evict;
use crate::guard;
use crate::handover::{Door, Heir, Successor};
use crate::plane::Plane;
use crate::pool::health;
use crate::ramp;
use crate::record::Recorder;
use crate::source::Watched;
use crate::tally;
use crate::tls::{self, Terminators};
use crate::trace::Traces;
use crate::webhooks;
use house::Home;
pub use house::{Loaded, load, load_with};
use parts::Parts;
use signals::{Signal, Signals};
use sockets::Sockets;
use upgrade::{Estate, Will};

/// A log that cannot be written is given up after this long at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// Control has this long for what it is doing.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);
/// Webhooks have this long for what waits for them.
const HOOKS_PATIENCE: Duration = Duration::from_secs(3);
/// Spans have as long, at the same time.
const SPANS_PATIENCE: Duration = HOOKS_PATIENCE;

/// Why the router did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is not taken: exit 78.
    #[error("the configuration is not taken")]
    Refused(Vec<Problem>),
    /// Anything else: exit 1.
    #[error("{0}")]
    Failed(String),
}

/// The running router.
struct Router {
    plane: Plane,
    control: Control,
    control_thread: Running,
    phase: watch::Sender<Phase>,
    stop_health: watch::Sender<bool>,
    /// A process that ends takes nothing back and takes no step: another one may serve already.
    stop_guard: watch::Sender<bool>,
    stop_hooks: watch::Sender<bool>,
    hooks: JoinHandle<()>,
    traces: Arc<Traces>,
    recorder: Arc<Recorder>,
    state_dir: PathBuf,
    will: Option<Will>,
}

/// Runs the router of the file at `path` until a signal ends it; prints each bound address on standard output.
///
/// # Errors
/// When it cannot start. What goes wrong later is logged.
pub fn run(path: &Path) -> Result<(), StartError> {
    live(async || Router::start(File::read(path)?, None).await)
}

/// As `run`, taking over from the router that uses the same state folder; without one it starts like any other.
///
/// # Errors
/// When it cannot start, or is not let in; the other router goes on then.
pub fn upgrade(path: &Path) -> Result<(), StartError> {
    live(async || {
        let file = File::read(path)?;
        let folder = &file.structure.server.state_dir;
        let heir = Heir::meet(folder).await;
        let heir = heir.map_err(|error| StartError::Failed(error.to_string()))?;
        if heir.is_none() {
            let folder = folder.display();
            tracing::warn!("no router runs on `{folder}`: there is nothing to take over");
        }
        Router::start(file, heir).await
    })
}

/// The allocator asks for pages of 2 MiB, and the kernel moves others out of the way to make one, for milliseconds each, when a
/// change of the file is what needs the memory (decision 26). A kernel that has no such pages needs no telling.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn live(start: impl AsyncFnOnce() -> Result<Router, StartError>) -> Result<(), StartError> {
    tls::install();
    use_small_pages();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        // First of all: an early SIGHUP must not end the process.
        let signals =
            Signals::new().map_err(|error| failed("signals cannot be received", error))?;
        start().await?.serve(signals).await;
        Ok(())
    })
}

/// The file at the start, and the certificates that it names.
struct File {
    watched: Arc<Watched>,
    structure: Arc<Structure>,
    terminators: Arc<Terminators>,
}

impl File {
    fn read(path: &Path) -> Result<Self, StartError> {
        let watched = Arc::new(Watched::new(path));
        watched.take();
        let terminators = Arc::new(Terminators::default());
        let loaded = load_with(path, &terminators);
        let Loaded { structure, .. } = loaded.map_err(StartError::Refused)?;
        // What is left out is in the log.
        drop(terminators.align(&structure.listeners));
        Ok(Self {
            watched,
            structure: Arc::new(structure),
            terminators,
        })
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("{what}: {error}"))
}

impl Router {
    /// The parts in order. With an heir nothing is accepted or written before the old process says go.
    async fn start(file: File, mut heir: Option<Heir>) -> Result<Self, StartError> {
        let structure = Arc::clone(&file.structure);
        let sockets = Sockets::open(&structure, heir.as_mut())?;
        if heir.is_none() {
            sockets.announce()?;
        }
        let parts = Parts::new(&file, heir.as_ref()).await?;
        let (stop_health, health_stopped) = watch::channel(false);
        let checks = health::run(Arc::clone(&parts.house.pools), health_stopped.clone());
        tokio::spawn(checks);
        let state_dir = structure.server.state_dir.clone();
        let (pause_admin, paused) = watch::channel(false);
        let estate = estate(&state_dir, &sockets, heir.as_ref(), pause_admin);
        if let Some(heir) = &heir {
            parts.know_targets().await;
            let go = heir.ready().await;
            go.map_err(|error| StartError::Failed(error.to_string()))?;
            sockets.announce()?;
        }
        let Parts { house, setup } = parts;
        let shared = &house.shared;
        let (control, task) = control::new(setup).map_err(|error| failed("control", error))?;
        let plane = Plane::start(sockets.bound, structure.server.threads, shared)
            .map_err(|error| failed("the data plane cannot start", error))?;
        if let Some(heir) = heir {
            heir.serving().await;
        }
        let (phase, phases) = watch::channel(Phase::Starting);
        let api = Admin::new(control.clone(), phases, sockets.admin.door());
        let control_thread =
            match admin::start(sockets.admin, shared.tls.admin(), api, task, paused) {
                Ok(thread) => thread,
                Err(error) => {
                    plane.end_in_background();
                    return Err(failed("admin", error));
                }
            };
        let (stop_guard, guard_stopped) = watch::channel(false);
        let (stop_hooks, hooks_stopped) = watch::channel(false);
        let stopped = Stopped {
            health: health_stopped,
            guard: guard_stopped,
            hooks: hooks_stopped,
        };
        let hooks = attend(&house, &control, &plane, stopped);
        tokio::spawn(reload::watch(control.clone(), file.watched));
        phase.send_replace(Phase::Serving);
        notify::ready("serving");
        Ok(Self {
            plane,
            will: estate.map(|estate| Will::new(estate, control.clone())),
            control,
            control_thread,
            phase,
            stop_health,
            stop_guard,
            stop_hooks,
            hooks,
            traces: Arc::clone(&house.traces),
            recorder: Arc::clone(&shared.recorder),
            state_dir,
        })
    }

    async fn serve(mut self, mut signals: Signals) {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::HandOver => tracing::info!(
                        "QUIT: a process started with `kanaria run --upgrade` takes over by itself; this one serves until then"
                    ),
                    Signal::Reload => reload::on_signal(self.control.clone()),
                    Signal::Reopen => self.recorder.reopen(),
                    Signal::Drain => break self.drain(&mut signals).await,
                    Signal::Stop => {
                        notify::stopping("stopping at once");
                        self.revoke().await;
                        break tracing::info!("stopping at once");
                    }
                },
                successor = executed(&mut self.will) => {
                    break self.retire(&successor, &mut signals).await;
                }
            }
        }
        self.end().await;
    }

    /// Lets what is in flight finish; a second signal ends that.
    async fn drain(&mut self, signals: &mut Signals) {
        notify::stopping("draining");
        self.stop_guard.send_replace(true);
        self.revoke().await;
        // Of the file in force, which may not be the one of the start.
        let standing = self.control.standing();
        let server = &standing.structure.server;
        self.phase.send_replace(Phase::Draining);
        self.plane.turn_away();
        let drained = async {
            tokio::time::sleep(server.pre_drain.0).await;
            let patience = server.drain_timeout.0;
            tracing::info!("draining, for at most {}", server.drain_timeout);
            tell_left(self.plane.drain(patience).await);
        };
        tokio::select! {
            () = drained => {}
            () = signals.stop() => tracing::warn!("stopping at once, on a second signal"),
        }
    }

    /// As `drain`, when `successor` accepts already: nobody is turned away.
    async fn retire(&self, successor: &Successor, signals: &mut Signals) {
        let standing = self.control.standing();
        let patience = standing.structure.server.drain_timeout;
        self.stop_guard.send_replace(true);
        notify::handed_over(successor);
        self.plane.leave().await;
        let pid = successor.pid.unwrap_or_default();
        let version = &successor.version;
        tracing::info!(
            pid,
            version,
            "another process serves now; what is in flight here has at most {patience}"
        );
        tokio::select! {
            left = self.plane.retire(patience.0) => tell_left(left),
            () = signals.stop() => tracing::warn!("stopping at once, on a signal"),
        }
    }

    /// From here on nobody takes over. A socket file that nobody answers behind is of no use.
    async fn revoke(&mut self) {
        if let Some(will) = self.will.take()
            && will.revoke().await.is_none()
        {
            Door::close(&self.state_dir);
        }
    }

    async fn end(self) {
        self.phase.send_replace(Phase::Draining);
        self.stop_health.send_replace(true);
        // Whatever is still open is cut, and has its line in the log.
        self.plane.drain(Duration::ZERO).await;
        self.control.shutdown(CONTROL_PATIENCE).await;
        self.stop_hooks.send_replace(true);
        let told = tokio::time::timeout(HOOKS_PATIENCE, self.hooks);
        let (told, ()) = tokio::join!(told, self.traces.close(SPANS_PATIENCE));
        if told.is_err() {
            tracing::warn!("some webhooks were not told everything before the end");
        }
        let recorder = Arc::clone(&self.recorder);
        self.plane.end_in_background();
        recorder.close(LOG_PATIENCE);
        self.control_thread.join();
    }
}

/// What tells tasks to end.
struct Stopped {
    health: watch::Receiver<bool>,
    guard: watch::Receiver<bool>,
    hooks: watch::Receiver<bool>,
}

/// Starts whoever looks and acts beside the requests; the handle is of webhooks, which have something to say in the end.
fn attend(house: &Home, control: &Control, plane: &Plane, stopped: Stopped) -> JoinHandle<()> {
    let Stopped {
        health,
        guard: looked,
        hooks,
    } = stopped;
    let metrics = || Arc::clone(&house.shared.metrics);
    let control = || control.clone();
    let (terminators, wires) = (Arc::clone(&house.shared.tls), Arc::clone(plane.wires()));
    tokio::spawn(tls::watch(terminators, health.clone()));
    tokio::spawn(evict::run(Arc::clone(&house.evictions), wires, health));
    let (crumbs, ramps) = (Arc::clone(&house.crumbs), Arc::clone(&house.ramps));
    tokio::spawn(cookies::run(crumbs, control(), looked.clone()));
    tokio::spawn(ramp::run(ramps, control(), metrics(), looked.clone()));
    let tallies = Arc::clone(house.shared.metrics.tallies());
    tokio::spawn(tally::run(tallies, looked.clone()));
    let guards = Arc::clone(&house.guards);
    tokio::spawn(guard::run(guards, control(), metrics(), looked));
    let (changes, pools) = (house.pools.changes(), Arc::clone(&house.pools));
    tokio::spawn(house::tell_target_changes(changes, pools, control()));
    tokio::spawn(webhooks::run(control(), metrics(), hooks))
}

fn tell_left(n_left: u32) {
    match n_left {
        0 => tracing::info!("drained"),
        left => tracing::warn!("{left} connections were cut at the end of the drain"),
    }
}

async fn executed(will: &mut Option<Will>) -> Successor {
    match will {
        Some(will) => will.executed().await,
        None => std::future::pending().await,
    }
}

/// What a later process may ask for; nothing, and a word in the log, when it cannot be had.
fn estate(
    folder: &Path,
    sockets: &Sockets,
    heir: Option<&Heir>,
    pause_admin: watch::Sender<bool>,
) -> Option<Estate> {
    let door = || match heir {
        Some(heir) => Door::inherit(heir.door()?),
        None => Door::open(folder),
    };
    let estate = || {
        Ok::<_, std::io::Error>(Estate {
            door: door()?,
            listeners: sockets.listeners()?,
            admin: sockets.admin()?,
            pause_admin,
            admin_is_gone: sockets.admin.is_anothers(),
        })
    };
    let tell = |error: &std::io::Error| {
        tracing::warn!("no process can take over from this one by `run --upgrade`: {error}");
    };
    estate().inspect_err(tell).ok()
}

/// The folder of the state, for verbs that look at it offline.
///
/// # Errors
/// When the file is not taken.
pub fn state_dir(path: &Path) -> Result<PathBuf, Vec<Problem>> {
    Ok(load(path)?.structure.server.state_dir)
}
