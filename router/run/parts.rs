//! Everything between the sockets and the signals: state, snapshot, pools, logs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use config::snapshot::{Snapshot, Structure};

use super::house::Home;
use super::{File, StartError, failed};
use crate::cap::Caps;
use crate::control::Setup;
use crate::crumbs::Registry;
use crate::discovery::Discovery;
use crate::evict::Evictions;
use crate::guard::Guards;
use crate::handover::Heir;
use crate::metrics::{Metrics, Mover};
use crate::plane::Shared;
use crate::pool::{Pools, TargetState};
use crate::publish::Publisher;
use crate::record::Recorder;
use crate::secret;
use crate::shadow::Shadows;
use crate::state::{self, Beginning};
use crate::trace::Traces;

/// A process that takes over waits so long for the first checks of its targets: whoever serves meanwhile knows them.
const FIRST_CHECKS: Duration = Duration::from_secs(5);
/// From one look at them to the next.
const LOOK: Duration = Duration::from_millis(5);

/// What a router is made of.
pub(super) struct Parts {
    pub(super) house: Arc<Home>,
    pub(super) setup: Setup,
}

impl Parts {
    /// Makes them for `file`, with the state that `heir` hands over or the one that is there.
    pub(super) async fn new(file: &File, heir: Option<&Heir>) -> Result<Self, StartError> {
        let structure = &file.structure;
        let secret = read_secret(structure).map_err(|error| failed("secret", error))?;
        let started_at = jiff::Timestamp::now().to_string();
        let beginning = begin(structure, heir, &started_at)?;
        let snapshot = Snapshot::compile(Arc::clone(structure), &beginning.live, &secret)
            .map_err(|fault| StartError::Failed(format!("{}: {}", fault.path, fault.message)))?;
        let pools = Arc::new(Pools::new());
        // In this order: a target that was deregistered before the start has nothing to drain.
        pools.edit(&beginning.live.targets);
        let discovery = discovery(structure, &pools).await;
        let caps = Arc::new(Caps::default());
        caps.align(structure);
        let guards = Arc::new(Guards::default());
        guards.witnesses.align(structure);
        let crumbs = Arc::<Registry>::default();
        crumbs.align(structure);
        let metrics = Arc::new(Metrics::new());
        metrics.watch(Arc::clone(&pools));
        metrics.published(&snapshot, Mover::File);
        let shadows = shadows(structure, &metrics);
        let traces = traces(structure, &metrics);
        let evictions = Arc::new(Evictions::new(Arc::clone(&pools)));
        evictions.published(&snapshot);
        let recorder = recorder(structure, &metrics)?;
        let publisher = Arc::new(Publisher::new(
            snapshot,
            Arc::clone(&pools),
            Arc::clone(&caps),
            Arc::clone(&guards.witnesses),
            Arc::clone(&crumbs),
            Arc::clone(&shadows),
            Arc::clone(&traces),
        ));
        let shared = Shared {
            publisher: Arc::clone(&publisher),
            recorder,
            metrics,
            tls: Arc::clone(&file.terminators),
        };
        let house = Arc::new(Home {
            watched: Arc::clone(&file.watched),
            secret,
            pools,
            caps,
            shadows,
            traces,
            guards,
            crumbs,
            ramps: Arc::default(),
            evictions,
            discovery,
            shared,
        });
        let setup = Setup {
            beginning,
            publisher,
            house: Arc::<Home>::clone(&house),
            started_at,
        };
        Ok(Self { house, setup })
    }

    /// Waits until every target is known to be well or not, or for as long as is reasonable.
    pub(super) async fn know_targets(&self) {
        let deadline = Instant::now() + FIRST_CHECKS;
        while self.has_unknown_targets() {
            if Instant::now() >= deadline {
                return tracing::warn!("some targets have not answered a first check yet");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn has_unknown_targets(&self) -> bool {
        let pools = self.house.pools.current();
        let mut targets = pools.iter().flat_map(|pool| pool.status(Instant::now()));
        targets.any(|target| target.state == TargetState::Initial)
    }
}

fn begin(
    structure: &Structure,
    heir: Option<&Heir>,
    started_at: &str,
) -> Result<Beginning, StartError> {
    let folder = &structure.server.state_dir;
    let beginning = match heir {
        None => state::begin(folder, structure, started_at),
        Some(heir) => {
            let lock = heir.lock().map_err(|error| failed("state", error))?;
            state::take_over(folder, lock, heir.revision(), structure, started_at)
        }
    };
    let beginning = beginning.map_err(|error| failed("state", error))?;
    for note in &beginning.notes {
        tracing::warn!("{note}");
    }
    Ok(beginning)
}

/// Aligns the pools; those that find their targets have first answers, or the log says why not.
async fn discovery(structure: &Structure, pools: &Arc<Pools>) -> Discovery {
    let discovery = Discovery::new(Arc::clone(pools));
    discovery.prepare(structure).await;
    pools.align(structure);
    discovery.align(structure);
    discovery
}

/// Shadows of routes; a copy that cannot be written down is no reason not to start.
fn shadows(structure: &Structure, metrics: &Arc<Metrics>) -> Arc<Shadows> {
    let shadows = Shadows::new(Arc::clone(metrics));
    for note in shadows.align(structure) {
        tracing::error!("{note}");
    }
    Arc::new(shadows)
}

/// What cannot be traced is served all the same.
fn traces(structure: &Structure, metrics: &Arc<Metrics>) -> Arc<Traces> {
    let traces = Traces::new(Arc::clone(metrics));
    if let Some(note) = traces.align(structure) {
        tracing::error!("{note}");
    }
    Arc::new(traces)
}

fn recorder(structure: &Structure, metrics: &Arc<Metrics>) -> Result<Arc<Recorder>, StartError> {
    let recorder = Recorder::new(Arc::clone(metrics));
    let opened = recorder.reconfigure(structure);
    opened.map_err(|error| failed("access log", error))?;
    Ok(Arc::new(recorder))
}

fn read_secret(structure: &Structure) -> Result<config::bucket::Secret, secret::SecretError> {
    let bytes = match &structure.server.secret {
        Some(text) => secret::from_text(text),
        None => secret::from_file(&structure.server.secret_file),
    };
    Ok(config::bucket::Secret::new(bytes?))
}
