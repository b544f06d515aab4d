//! The rest of the program as control sees it: the file, the pools, the logs, the metrics.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use canary::compare::Interval;
use config::action::Action;
use config::bucket::Secret;
use config::explain;
use config::facts::Facts;
use config::live::{Live, TargetEdits};
use config::load::{self, Text};
use config::model::{Admin, Config, Listener};
use config::probe::Probe;
use config::problem::{Fault, Problem};
use config::snapshot::{Route, Snapshot, Structure, Target};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::cap::Caps;
use crate::compare;
use crate::control::{
    Account, Comparison, Control, CookiesView, DiscoveryView, DriftCause, DriftView, Form,
    GuardView, Health, House, Invalid, Notice, Observation, Pace, Probing, Question, RangeView,
    Share, TargetView,
};
use crate::cookies;
use crate::crumbs::Registry;
use crate::diff::ShadowView;
use crate::discovery::{Discovery, Report};
use crate::evict::Evictions;
use crate::guard::{self, Guards};
use crate::journal::Kind;
use crate::metrics::{Drift, Mover, Part};
use crate::plane::Shared;
use crate::pool::health;
use crate::pool::{Pools, TargetChange, TargetState, TargetStatus};
use crate::ramp::Ramps;
use crate::shadow::Shadows;
use crate::source::{self, Watched};
use crate::tls::Terminators;
use crate::trace::Traces;

/// A file that is taken.
pub struct Loaded {
    /// As written.
    pub config: Config,
    /// As used; its paths are relative to the working folder.
    pub structure: Structure,
}

/// Reads and compiles the file at `path`; certificates are not looked at.
///
/// # Errors
/// Everything wrong with it, with its place.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load_and(path, |_, _| Vec::new())
}

/// As `load`, and prepares `terminators` for its listeners.
///
/// # Errors
/// Everything wrong with the file and with the certificates it names, with its place.
pub fn load_with(path: &Path, terminators: &Terminators) -> Result<Loaded, Vec<Problem>> {
    load_and(path, |listeners, admin| {
        terminators.prepare(listeners, admin)
    })
}

fn load_and(
    path: &Path,
    prepare: impl FnOnce(&[Listener], &Admin) -> Vec<Fault>,
) -> Result<Loaded, Vec<Problem>> {
    let loaded = source::load(path)?;
    let (config, structure) = load::finish(loaded, |config| {
        let mut structure = Structure::compile(config)?;
        let mut faults = source::unreadable_authorities(config, path);
        match source::bodies(config, path) {
            Ok(bodies) => structure.set_bodies(bodies),
            Err(more) => faults.extend(more),
        }
        let mut listeners = config.listeners.clone();
        source::anchor_listeners(&mut listeners, path);
        let mut admin = config.admin.clone();
        source::anchor_admin(&mut admin, path);
        faults.extend(prepare(&listeners, &admin));
        match source::favicons(config, path) {
            Ok(favicons) => structure.set_favicons(favicons),
            Err(more) => faults.extend(more),
        }
        if faults.is_empty() {
            Ok(structure)
        } else {
            Err(faults)
        }
    })?;
    let mut loaded = Loaded { config, structure };
    loaded.anchor(path);
    Ok(loaded)
}

impl Loaded {
    /// The digest is of the file's meaning, so paths are anchored after it was taken: routers in other folders agree on it.
    fn anchor(&mut self, path: &Path) {
        // Routes name no path, and there may be thousands of them.
        let routes = std::mem::take(&mut self.config.routes);
        let mut config = self.config.clone();
        self.config.routes = routes;
        source::anchor(&mut config, path);
        let structure = &mut self.structure;
        for pool in &mut structure.pools {
            if let Some(settings) = config.pools.get(&pool.name) {
                pool.settings = Arc::new(settings.clone());
            }
        }
        for (listener, written) in structure.listeners.iter_mut().zip(config.listeners) {
            listener.tls = written.tls.map(Arc::new);
        }
        structure.server = config.server;
        structure.admin = config.admin;
        structure.access_logs = config.access_log;
        for route in &mut structure.routes {
            anchor_record(route, path);
        }
    }
}

/// The one file that a route writes to.
fn anchor_record(route: &mut Route, path: &Path) {
    let Action::Forward(forward) = &mut route.action else {
        return;
    };
    // Nobody else has the shadow of a file that was just read.
    let shadow = forward.shadow.as_mut().and_then(Arc::get_mut);
    if let Some(record) = shadow.and_then(|shadow| shadow.settings.record.as_mut()) {
        *record = source::beside(path, record);
    }
}

/// What control asks and tells.
pub(super) struct Home {
    pub(super) watched: Arc<Watched>,
    pub(super) secret: Secret,
    pub(super) pools: Arc<Pools>,
    pub(super) caps: Arc<Caps>,
    pub(super) shadows: Arc<Shadows>,
    pub(super) traces: Arc<Traces>,
    pub(super) guards: Arc<Guards>,
    pub(super) crumbs: Arc<Registry>,
    pub(super) ramps: Arc<Ramps>,
    pub(super) evictions: Arc<Evictions>,
    pub(super) discovery: Discovery,
    pub(super) shared: Shared,
}

impl House for Home {
    fn load(&self) -> Result<Structure, Invalid> {
        self.watched.take();
        let tls = &self.shared.tls;
        // Renewed certificates are taken whatever becomes of the file.
        tls.refresh();
        let loaded = load_with(self.watched.path(), tls).map_err(|problems| invalid(&problems))?;
        // A pool that is new in the file must have targets when its first request comes.
        self.discovery.prepare_blocking(&loaded.structure);
        Ok(loaded.structure)
    }

    fn check(&self, name: &str, text: &str) -> Result<Structure, Invalid> {
        let main = Text {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let environment = |name: &str| std::env::var(name).ok();
        let loaded = load::load(main, Vec::new(), &environment);
        let finished = load::finish(loaded, Structure::compile);
        finished
            .map(|(_, structure)| structure)
            .map_err(|problems| invalid(&problems))
    }

    fn compile(&self, structure: Arc<Structure>, live: &Live) -> Result<Snapshot, Fault> {
        Snapshot::compile(structure, live, &self.secret)
    }

    fn applied(&self, structure: &Structure) -> Vec<String> {
        self.pools.align(structure);
        self.caps.align(structure);
        self.guards.witnesses.align(structure);
        let shadows = self.shadows.align(structure);
        self.crumbs.align(structure);
        let mut notes = self.discovery.align(structure);
        notes.extend(shadows);
        notes.extend(self.traces.align(structure));
        notes.extend(self.shared.tls.align(&structure.listeners));
        if let Err(error) = self.shared.recorder.reconfigure(structure) {
            notes.push(format!("access logs stay as they were: {error}"));
        }
        notes
    }

    fn edited(&self, targets: &BTreeMap<String, TargetEdits>) {
        self.pools.edit(targets);
    }

    fn explain(&self, snapshot: &Snapshot, facts: &Facts<'_>) -> Value {
        serde_json::to_value(explain::explain(snapshot, facts)).unwrap_or_default()
    }

    fn health(&self, pool: &str) -> Option<Health> {
        let (pool, now) = (self.pools.pool(pool)?, Instant::now());
        let (healthy, total) = pool.healthy(now);
        let minute_ago = pool.healthy_before(now, Duration::from_secs(60));
        Some(Health {
            healthy,
            total,
            minute_ago,
        })
    }

    fn probe(&self, pool: &str, probe: &Probe) -> Option<Probing> {
        let pool = self.pools.pool(pool)?;
        let check = probe.check(pool.settings())?;
        Some(Box::pin(async move { health::probe(&pool, check).await }))
    }

    fn targets(&self, pool: &str) -> Option<Vec<TargetView>> {
        let targets = self.pools.pool(pool)?.status(Instant::now());
        Some(targets.iter().map(view).collect())
    }

    fn discovered(&self, pool: &str) -> Vec<Target> {
        self.pools.discovered(pool)
    }

    fn discovery(&self, pool: &str) -> Option<DiscoveryView> {
        self.discovery.report(pool).map(found)
    }

    fn shares(&self, route: &str) -> Vec<Share> {
        let shares = self.shared.metrics.shares(route).into_iter();
        let achieved = shares.map(|share| Share {
            pool: share.pool.to_string(),
            users: share.users,
            requests: share.requests,
            drift: share.drift.map(drifted),
        });
        achieved.collect()
    }

    fn compare(&self, question: &Question<'_>, now: SystemTime) -> Comparison {
        compare::compare(self.shared.metrics.tallies(), question, now)
    }

    fn guard(&self, route: &str) -> Option<GuardView> {
        self.guards.view(route)
    }

    fn cookies(&self, route: &str) -> Option<CookiesView> {
        cookies::view(&self.crumbs, route)
    }

    fn shadow(&self, route: &str) -> Option<ShadowView> {
        self.shadows.view(route)
    }

    fn shadows(&self) -> Vec<ShadowView> {
        self.shadows.views()
    }

    fn account(&self, state_dir: &Path, route: &str, starts_ms: &[u64]) -> io::Result<Account> {
        guard::account(state_dir, route, starts_ms)
    }

    fn pace(&self, route: &str) -> Option<Pace> {
        self.ramps.pace(route)
    }

    fn metrics(&self, form: Form) -> Vec<u8> {
        let metrics = &self.shared.metrics;
        let reports = self.discovery.reports();
        let found = reports.iter().map(|it| (&*it.pool, it.failures, it.age));
        metrics.discovered(found);
        let expiries = self.shared.tls.expiries();
        let expiries = expiries.iter().map(|it| (&*it.name, it.not_after));
        metrics.certificates(expiries, Timestamp::now().as_second());
        cookies::count(&self.crumbs, metrics);
        metrics.backlogs(&self.shared.recorder.backlogs());
        match form {
            Form::Messages => metrics.messages(),
            Form::Text => metrics.gather().into_bytes(),
        }
    }

    fn observe(&self, observation: Observation<'_>) {
        let metrics = &self.shared.metrics;
        match observation {
            Observation::Published { snapshot, kind } => {
                metrics.published(snapshot, mover(kind));
                self.evictions.published(snapshot);
            }
            Observation::InForce(time) => metrics.in_force(time),
            Observation::Reloaded(result) => metrics.reloaded(result),
            Observation::RolledBack { route, actor } => metrics.rolled_back(route, actor),
        }
    }
}

/// Who moves clients by a change of this kind, if it moves any.
const fn mover(kind: Kind) -> Mover {
    match kind {
        Kind::Checkpoint | Kind::Reload | Kind::Start => Mover::File,
        Kind::Ramp => Mover::Ramp,
        Kind::Rollback => Mover::Rollback,
        Kind::Annotate
        | Kind::Deregister
        | Kind::Drain
        | Kind::Freeze
        | Kind::Register
        | Kind::Reshuffle
        | Kind::Restore
        | Kind::Resume
        | Kind::Weights => Mover::Weights,
    }
}

fn drifted(drift: Drift) -> DriftView {
    let range = |Interval { low, high }| RangeView { low, high };
    let causes = drift.parts.into_iter().map(|(cause, part)| {
        let Part { moves, requests } = part;
        (cause, DriftCause { moves, requests })
    });
    DriftView {
        users: range(drift.users),
        requests: range(drift.requests),
        causes: causes.collect(),
    }
}

/// Problems for people and for programs.
fn invalid(problems: &[Problem]) -> Invalid {
    let text = problems.iter().map(|problem| format!("{problem}\n"));
    Invalid {
        text: text.collect(),
        problems: problems
            .iter()
            .filter_map(|problem| serde_json::to_value(problem).ok())
            .collect(),
    }
}

fn view(target: &TargetStatus) -> TargetView {
    TargetView {
        address: target.address,
        state: target.state.as_str(),
        reason: target.reason,
        description: target.description.clone(),
        weight: target.weight,
        in_flight: target.in_flight,
        since: rfc3339(target.since),
    }
}

fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

fn found(report: Report) -> DiscoveryView {
    let (failure, failing) = report.failure.unzip();
    DiscoveryView {
        by: report.by,
        targets: report.targets,
        answered: report.answered,
        age_s: report.age.as_secs_f64(),
        failure,
        failing_s: failing.map(|failing| failing.as_secs_f64()),
    }
}

/// Says once that the last healthy target of `pool` is gone, and once that there is one again.
fn note_health(pools: &Pools, pool: &Arc<str>, down: &mut HashSet<Arc<str>>) {
    let Some((healthy, total)) = pools.pool(pool).map(|pool| pool.healthy(Instant::now())) else {
        return;
    };
    if healthy > 0 && down.remove(pool) {
        tracing::info!("pool {pool}: {healthy} of {total} targets are healthy again");
    } else if healthy == 0 && down.insert(Arc::clone(pool)) {
        tracing::warn!("pool {pool}: none of its {total} targets is healthy");
    }
}

/// Writes changes of targets to the log, and passes them on to whoever listens to control's notices.
pub(super) async fn tell_target_changes(
    mut changes: broadcast::Receiver<TargetChange>,
    pools: Arc<Pools>,
    control: Control,
) {
    let mut down = HashSet::new();
    loop {
        match changes.recv().await {
            Ok(TargetChange { pool, status }) => {
                note_health(&pools, &pool, &mut down);
                write_down(&pool, &status);
                control.announce(Notice::target(&pool, &view(&status)));
            }
            Err(broadcast::error::RecvError::Lagged(n_missed)) => {
                tracing::warn!("{n_missed} changes of targets came too fast to be told one by one");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// One line a change, for whoever reads the log at night.
fn write_down(pool: &str, status: &TargetStatus) {
    let (address, state) = (status.address, status.state.as_str());
    let seen = status.description.as_deref();
    let seen = seen.map_or_else(String::new, |seen| format!(": {seen}"));
    let reason = status.reason;
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    match status.state {
        TargetState::Unhealthy => {
            tracing::warn!("pool `{pool}`: {address} is {state}{seen}{reason}");
        }
        _ => tracing::info!("pool `{pool}`: {address} is {state}{seen}{reason}"),
    }
}
