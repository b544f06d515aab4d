//! `kanaria run`: brings the parts up in order, waits for signals, and takes them down so that nothing in flight is lost.

mod house;
mod reload;
mod signals;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::problem::Problem;
use config::snapshot::{Snapshot, Structure};
use tokio::sync::watch;

use crate::accept::{self, Bound};
use crate::admin::{Admin, Phase, Running, Socket};
use crate::cap::Caps;
use crate::control::{self, Control, Setup};
use crate::discovery::Discovery;
use crate::evict::{self, Evictions};
use crate::metrics::Metrics;
use crate::plane::{Plane, Shared};
use crate::pool::{Pools, health};
use crate::publish::Publisher;
use crate::record::Recorder;
use crate::source::Watched;
use crate::{admin, secret, state};
use house::Home;
pub use house::{Loaded, load};
use signals::{Signal, Signals};

/// A log that cannot be written is given up after this long at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// Control has this long for what it is doing.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);

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
    recorder: Arc<Recorder>,
}

/// Runs the router of the file at `path` until a signal ends it; prints each bound address on standard output.
///
/// # Errors
/// When it cannot start. What goes wrong later is logged.
pub fn run(path: &Path) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        // First of all: an early SIGHUP must not end the process.
        let signals =
            Signals::new().map_err(|error| failed("signals cannot be received", error))?;
        let router = Router::start(path).await?;
        router.serve(signals).await;
        Ok(())
    })
}

fn failed(what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::Failed(format!("{what}: {error}"))
}

impl Router {
    async fn start(path: &Path) -> Result<Self, StartError> {
        let watched = Arc::new(Watched::new(path));
        watched.take();
        let Loaded { structure, .. } = load(path).map_err(StartError::Refused)?;
        let structure = Arc::new(structure);
        let bound = bind(&structure)?;
        let socket = Socket::bind(&structure.admin.bind).map_err(|error| failed("admin", error))?;
        announce(&bound, &socket).map_err(|error| failed("standard output", error))?;
        let parts = Parts::new(&watched, &structure).await?;
        let (phase, phases) = watch::channel(Phase::Starting);
        let (control, task) =
            control::new(parts.setup).map_err(|error| failed("control", error))?;
        let door = socket.door();
        let api = Admin::new(control.clone(), phases, door);
        let control_thread =
            admin::start(socket, api, task).map_err(|error| failed("admin", error))?;
        let plane = Plane::start(bound, structure.server.threads, &parts.shared)
            .map_err(|error| failed("the data plane cannot start", error))?;
        let (stop_health, health_stopped) = watch::channel(false);
        tokio::spawn(health::run(
            Arc::clone(&parts.pools),
            health_stopped.clone(),
        ));
        tokio::spawn(evict::run(
            parts.evictions,
            Arc::clone(plane.wires()),
            health_stopped,
        ));
        tokio::spawn(house::tell_target_changes(
            parts.pools.changes(),
            Arc::clone(&parts.pools),
            control.clone(),
        ));
        tokio::spawn(reload::watch(control.clone(), watched));
        phase.send_replace(Phase::Serving);
        Ok(Self {
            plane,
            control,
            control_thread,
            phase,
            stop_health,
            recorder: parts.shared.recorder,
        })
    }

    async fn serve(self, mut signals: Signals) {
        loop {
            match signals.next().await {
                Signal::Reload => reload::on_signal(self.control.clone()),
                Signal::Reopen => self.recorder.reopen(),
                Signal::Drain => break self.drain(&mut signals).await,
                Signal::Stop => break tracing::info!("stopping at once"),
            }
        }
        self.end().await;
    }

    /// Lets what is in flight finish; a second signal ends that.
    async fn drain(&self, signals: &mut Signals) {
        // Of the file in force, which may not be the one of the start.
        let standing = self.control.standing();
        let server = &standing.structure.server;
        self.phase.send_replace(Phase::Draining);
        self.plane.turn_away();
        let drained = async {
            tokio::time::sleep(server.pre_drain.0).await;
            let patience = server.drain_timeout.0;
            tracing::info!("draining, for at most {}", server.drain_timeout);
            match self.plane.drain(patience).await {
                0 => tracing::info!("drained"),
                left => tracing::warn!("{left} connections were cut at the end of the drain"),
            }
        };
        tokio::select! {
            () = drained => {}
            () = signals.stop() => tracing::warn!("stopping at once, on a second signal"),
        }
    }

    async fn end(self) {
        self.phase.send_replace(Phase::Draining);
        self.stop_health.send_replace(true);
        // Whatever is still open is cut, and has its line in the log.
        self.plane.drain(Duration::ZERO).await;
        self.control.shutdown(CONTROL_PATIENCE).await;
        let recorder = Arc::clone(&self.recorder);
        self.plane.end_in_background();
        recorder.close(LOG_PATIENCE);
        self.control_thread.join();
    }
}

/// Everything between the sockets and the signals.
struct Parts {
    shared: Shared,
    pools: Arc<Pools>,
    evictions: Arc<Evictions>,
    setup: Setup,
}

impl Parts {
    async fn new(watched: &Arc<Watched>, structure: &Arc<Structure>) -> Result<Self, StartError> {
        let secret = read_secret(structure).map_err(|error| failed("secret", error))?;
        let started_at = jiff::Timestamp::now().to_string();
        let beginning = state::begin(&structure.server.state_dir, structure, &started_at)
            .map_err(|error| failed("state", error))?;
        for note in &beginning.notes {
            tracing::warn!("{note}");
        }
        let snapshot = Snapshot::compile(Arc::clone(structure), &beginning.live, &secret)
            .map_err(|fault| StartError::Failed(format!("{}: {}", fault.path, fault.message)))?;
        let pools = Arc::new(Pools::new());
        // In this order: a target that was deregistered before the start has nothing to drain.
        pools.edit(&beginning.live.targets);
        let discovery = discovery(structure, &pools).await;
        let caps = Arc::new(Caps::default());
        caps.align(structure);
        let metrics = Arc::new(Metrics::new());
        metrics.watch(Arc::clone(&pools));
        metrics.published(&snapshot);
        let evictions = Arc::new(Evictions::new(Arc::clone(&pools)));
        evictions.published(&snapshot);
        let recorder = Arc::new(Recorder::new(Arc::clone(&metrics)));
        recorder
            .reconfigure(structure)
            .map_err(|error| failed("access log", error))?;
        let publisher = Arc::new(Publisher::new(
            snapshot,
            Arc::clone(&pools),
            Arc::clone(&caps),
        ));
        let shared = Shared {
            publisher: Arc::clone(&publisher),
            recorder,
            metrics,
        };
        let house = Home::new(
            Arc::clone(watched),
            secret,
            Arc::clone(&pools),
            caps,
            Arc::clone(&evictions),
            discovery,
            shared.clone(),
        );
        let setup = Setup {
            beginning,
            publisher,
            house: Arc::new(house),
            started_at,
        };
        Ok(Self {
            shared,
            pools,
            evictions,
            setup,
        })
    }
}

/// Aligns the pools; those that find their targets have first answers, or the log says why not.
async fn discovery(structure: &Structure, pools: &Arc<Pools>) -> Discovery {
    let discovery = Discovery::new(Arc::clone(pools));
    discovery.prepare(structure).await;
    pools.align(structure);
    discovery.align(structure);
    discovery
}

fn read_secret(structure: &Structure) -> Result<config::bucket::Secret, secret::SecretError> {
    let bytes = match &structure.server.secret {
        Some(text) => secret::from_text(text),
        None => secret::from_file(&structure.server.secret_file),
    };
    Ok(config::bucket::Secret::new(bytes?))
}

/// A port that is taken ends the start at once.
fn bind(structure: &Structure) -> Result<Vec<Bound>, StartError> {
    let bind = |listener| {
        accept::bind(listener).map_err(|error| {
            StartError::Failed(format!(
                "listener {}: {} cannot be bound: {error}",
                listener.name, listener.bind
            ))
        })
    };
    structure.listeners.iter().map(bind).collect()
}

/// Port 0 is known only now, and scripts wait for these lines.
fn announce(bound: &[Bound], socket: &Socket) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for Bound {
        listener, address, ..
    } in bound
    {
        writeln!(out, "listening {} {address}", listener.name)?;
    }
    writeln!(out, "listening admin {socket}")?;
    out.flush()
}

/// The folder of the state, for verbs that look at it offline.
///
/// # Errors
/// When the file is not taken.
pub fn state_dir(path: &Path) -> Result<PathBuf, Vec<Problem>> {
    Ok(load(path)?.structure.server.state_dir)
}
