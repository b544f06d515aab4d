//! Structures, snapshots and a control for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use config::bucket::Secret;
use config::facts::Facts;
use config::ids::RouteId;
use config::live::{Live, TargetEdits};
use config::model;
use config::probe::Probe;
use config::problem::Fault;
use config::snapshot::{Snapshot, Structure, Target};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Account, Comparison, Control, CookiesView, DiscoveryView, Form, GuardView, Health, House,
    Invalid, Observation, Pace, Probing, Question, Run, Setup, Share, TargetView,
};
use crate::diff::ShadowView;
use crate::publish::Publisher;
use crate::tally::Tallies;
use crate::{control, state};

/// Name, stable, weights in file order.
pub(crate) type Written<'a> = (&'a str, &'a str, &'a [(&'a str, u32)]);

/// Two routes: `blogs` with ec2 at 95 and ecs at 5, `images` with ec2 alone.
pub(crate) fn structure() -> Structure {
    structure_with(&[
        ("blogs", "ec2", &[("ec2", 95), ("ecs", 5)]),
        ("images", "ec2", &[("ec2", 1)]),
    ])
}

pub(crate) fn structure_with(routes: &[Written<'_>]) -> Structure {
    let routes: Vec<_> = routes
        .iter()
        .map(|(name, stable, weights)| {
            let weights: serde_json::Map<_, _> = weights
                .iter()
                .map(|(pool, weight)| ((*pool).to_owned(), (*weight).into()))
                .collect();
            json!({ "name": name, "stable": stable, "weights": weights })
        })
        .collect();
    compiled(&json!({
        "version": 1,
        "pools": { "ec2": { "targets": ["127.0.0.1:1"] }, "ecs": { "targets": ["127.0.0.1:2"] } },
        "routes": routes,
    }))
}

/// A structure of the model in `file`.
pub(crate) fn compiled(file: &Value) -> Structure {
    let config: model::Config = serde_json::from_value(file.clone()).unwrap();
    Structure::compile(&config).unwrap()
}

/// A snapshot of `structure` that has the state's revision and weights.
pub(crate) fn compile(structure: Arc<Structure>, live: &Live) -> Snapshot {
    Snapshot::compile(structure, live, &Secret::new([7; 32])).unwrap()
}

pub(crate) fn snapshot(live: &Live) -> Snapshot {
    compile(Arc::new(structure()), live)
}

/// A control on a folder of its own, whose file and disk a test can change.
pub(crate) struct Rig {
    pub(crate) control: Control,
    pub(crate) folder: TempDir,
    pub(crate) file: Arc<Mutex<Result<Value, Invalid>>>,
    pub(crate) observed: Arc<Mutex<Vec<String>>>,
    pub(crate) health: Arc<Mutex<Health>>,
    /// What discovery names for `ecs`.
    pub(crate) discovery: Arc<Mutex<Vec<Target>>>,
    /// What targets answer to a probe; `None`: not yet.
    pub(crate) probed: Arc<Mutex<Option<Result<(), String>>>>,
    pub(crate) publisher: Arc<Publisher>,
    /// While true, the disk does not answer.
    pub(crate) stall: Arc<AtomicBool>,
}

/// The file of `structure`, with other weights for `blogs`.
pub(crate) fn file(ec2: u32, ecs: u32) -> Value {
    json!({
        "version": 1,
        "pools": { "ec2": { "targets": ["127.0.0.1:1"] }, "ecs": { "targets": ["127.0.0.1:2"] } },
        "routes": [
            { "name": "blogs", "stable": "ec2", "weights": { "ec2": ec2, "ecs": ecs }, "max_step": 50 },
            { "name": "images", "stable": "ec2", "weights": { "ec2": 1 } },
        ],
    })
}

/// A running control; its state folder is new.
pub(crate) fn rig() -> Rig {
    rig_in(tempfile::tempdir().unwrap(), file(95, 5))
}

pub(crate) fn rig_in(folder: TempDir, written: Value) -> Rig {
    let (rig, run) = rig_at_rest(folder, written);
    tokio::spawn(run.run());
    rig
}

/// A control that does nothing before its task runs.
pub(crate) fn rig_at_rest(folder: TempDir, written: Value) -> (Rig, Run) {
    let state_dir = folder.path().join("state");
    let structure = Arc::new(compiled(&written));
    let beginning = state::begin(&state_dir, &structure, "2026-11-21T02:00:00Z").unwrap();
    let stall = Arc::clone(&beginning.journal.stall);
    let publisher = Arc::new(Publisher::new(
        compile(structure, &beginning.live),
        Arc::default(),
        Arc::default(),
        Arc::default(),
        Arc::default(),
        Arc::default(),
        Arc::default(),
    ));
    let file = Arc::new(Mutex::new(Ok(written)));
    let observed = Arc::<Mutex<Vec<String>>>::default();
    let health = Arc::new(Mutex::new(Health {
        healthy: 2,
        total: 2,
        minute_ago: 2,
    }));
    let discovery = Arc::new(Mutex::new(vec![Target {
        address: ([127, 0, 0, 1], 3).into(),
        weight: 1,
    }]));
    let probed = Arc::new(Mutex::new(Some(Ok(()))));
    let fake = Fake {
        edits: Mutex::default(),
        probed: Arc::clone(&probed),
        discovery: Arc::clone(&discovery),
        file: Arc::clone(&file),
        observed: Arc::clone(&observed),
        health: Arc::clone(&health),
    };
    let (control, run) = control::new(Setup {
        beginning,
        publisher: Arc::clone(&publisher),
        house: Arc::new(fake),
        started_at: "2026-11-21T02:00:00Z".into(),
    })
    .unwrap();
    let rig = Rig {
        control,
        folder,
        file,
        observed,
        health,
        discovery,
        probed,
        publisher,
        stall,
    };
    (rig, run)
}

struct Fake {
    probed: Arc<Mutex<Option<Result<(), String>>>>,
    edits: Mutex<BTreeMap<String, TargetEdits>>,
    discovery: Arc<Mutex<Vec<Target>>>,
    file: Arc<Mutex<Result<Value, Invalid>>>,
    observed: Arc<Mutex<Vec<String>>>,
    health: Arc<Mutex<Health>>,
}

impl House for Fake {
    fn load(&self) -> Result<Structure, Invalid> {
        self.file
            .lock()
            .unwrap()
            .clone()
            .map(|file| compiled(&file))
    }

    fn check(&self, name: &str, text: &str) -> Result<Structure, Invalid> {
        match serde_json::from_str(text) {
            Ok(file) => Ok(compiled(&file)),
            Err(error) => Err(invalid(&format!("{name}: {error}"))),
        }
    }

    fn compile(&self, structure: Arc<Structure>, live: &Live) -> Result<Snapshot, Fault> {
        Ok(compile(structure, live))
    }

    fn applied(&self, _structure: &Structure) -> Vec<String> {
        Vec::new()
    }

    fn explain(&self, snapshot: &Snapshot, facts: &Facts<'_>) -> Value {
        json!({
            "steps": [{ "name": "host", "text": facts.host }],
            "decision": {
                "path": facts.path,
                "query": facts.query,
                "client_ip": facts.client_ip.to_string(),
                "revision": snapshot.revision,
            },
        })
    }

    fn health(&self, _pool: &str) -> Option<Health> {
        Some(*self.health.lock().unwrap())
    }

    fn probe(&self, _pool: &str, probe: &Probe) -> Option<Probing> {
        if probe.is_none() {
            return None;
        }
        self.observed.lock().unwrap().push("probed".into());
        let answer = self.probed.lock().unwrap().clone();
        Some(Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }))
    }

    fn edited(&self, targets: &BTreeMap<String, TargetEdits>) {
        self.edits.lock().unwrap().clone_from(targets);
        self.observed.lock().unwrap().push("edited".into());
    }

    /// Members are healthy; what was deregistered drains for ever.
    fn targets(&self, pool: &str) -> Option<Vec<TargetView>> {
        let written = match pool {
            "ec2" => "127.0.0.1:1",
            "ecs" => "127.0.0.1:2",
            _ => return None,
        };
        let edits = self.edits.lock().unwrap().get(pool).cloned();
        let edits = edits.unwrap_or_default();
        let mut targets = BTreeMap::from([(written.parse().unwrap(), 1)]);
        targets.extend(
            self.discovered(pool)
                .iter()
                .map(|it| (it.address, it.weight)),
        );
        targets.extend(&edits.registered);
        let view = |(address, weight)| {
            let drains = edits.deregistered.contains(&address);
            TargetView {
                address,
                state: if drains { "draining" } else { "healthy" },
                reason: drains.then_some("Target.DeregistrationInProgress"),
                description: None,
                weight,
                in_flight: 0,
                since: "2026-11-21T02:00:00Z".into(),
            }
        };
        Some(targets.into_iter().map(view).collect())
    }

    fn discovered(&self, pool: &str) -> Vec<Target> {
        match pool {
            "ecs" => self.discovery.lock().unwrap().clone(),
            _ => Vec::new(),
        }
    }

    fn discovery(&self, pool: &str) -> Option<DiscoveryView> {
        (pool == "ecs").then(|| DiscoveryView {
            by: "dns web.ecs.internal:8080".into(),
            targets: 2,
            answered: true,
            age_s: 35.0,
            failure: Some("the name server answers SERVFAIL".into()),
            failing_s: Some(30.0),
        })
    }

    fn shares(&self, _route: &str) -> Vec<Share> {
        vec![Share {
            pool: "ecs".into(),
            users: Some(0.05),
            requests: Some(0.04),
            drift: None,
        }]
    }

    fn compare(&self, question: &Question<'_>, now: SystemTime) -> Comparison {
        crate::compare::compare(&Tallies::default(), question, now)
    }

    fn guard(&self, _route: &str) -> Option<GuardView> {
        None
    }

    fn cookies(&self, _route: &str) -> Option<CookiesView> {
        None
    }

    fn shadow(&self, _route: &str) -> Option<ShadowView> {
        None
    }

    fn shadows(&self) -> Vec<ShadowView> {
        Vec::new()
    }

    fn account(&self, _state_dir: &Path, _route: &str, _starts_ms: &[u64]) -> io::Result<Account> {
        Ok(Account::default())
    }

    fn pace(&self, _route: &str) -> Option<Pace> {
        None
    }

    fn metrics(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Messages => b"\x12".into(),
            Form::Text => b"kanaria_revision 1\n".into(),
        }
    }

    fn observe(&self, observation: Observation<'_>) {
        let text = match observation {
            Observation::Published { snapshot, .. } => format!("published {}", snapshot.revision),
            Observation::InForce(_) => "in force".into(),
            Observation::Reloaded(result) => format!("reloaded {result}"),
            Observation::RolledBack { route, actor } => format!("rolled back {route} {actor}"),
        };
        self.observed.lock().unwrap().push(text);
    }
}

pub(crate) fn invalid(text: &str) -> Invalid {
    Invalid {
        text: text.into(),
        problems: vec![json!({ "message": text })],
    }
}

impl Rig {
    /// The journal's folder.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Makes the journal unwritable, also for root: a file stands where its folder was.
    pub(crate) fn break_disk(&self) {
        std::fs::remove_dir_all(self.state_dir()).unwrap();
        std::fs::write(self.state_dir(), "").unwrap();
    }

    pub(crate) fn mend_disk(&self) {
        std::fs::remove_file(self.state_dir()).unwrap();
    }

    /// Weight of `ecs` in the snapshot that traffic sees.
    pub(crate) fn published_ecs(&self) -> u32 {
        let current = self.publisher.current();
        let split = current.snapshot.split(RouteId(0)).unwrap();
        split.weights[1].1
    }
}
