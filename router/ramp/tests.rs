//! The task on a control of its own: what it says of a step that it cannot take.

use config::live::{RampOrder, Weights};
use serde_json::json;

use super::*;
use crate::control::fixture::{Rig, file, rig_in};

/// A route whose ramp goes from 10 to 100 percent, with nothing to wait for, and a task that has not looked yet.
fn site() -> (Rig, Task) {
    site_with("")
}

/// The same with a probe.
fn site_with(probe: &str) -> (Rig, Task) {
    let mut written = file(100, 0);
    written["routes"][0]["max_step"] = json!(0);
    written["routes"][0]["ramp"] = json!({
        "steps": [{ "percent": 10.0, "hold": "1s" }, { "percent": 100.0, "hold": "1s" }],
        "require_evidence": false,
        "probe": probe,
    });
    let rig = rig_in(tempfile::tempdir().unwrap(), written);
    let task = Task {
        folder: rig.state_dir().join(FOLDER),
        ramps: Arc::default(),
        control: rig.control.clone(),
        metrics: Arc::new(Metrics::new()),
        progress: HashMap::new(),
        probes: Probes::default(),
        told: HashSet::new(),
        last: Instant::now(),
    };
    (rig, task)
}

async fn order(rig: &Rig, action: Action) -> Result<(), Rejection> {
    let order = Order {
        action,
        actor: "local".into(),
        reason: None,
        if_revision: None,
        dry_run: false,
    };
    rig.control.order(order).await.map(drop)
}

fn start() -> Action {
    Action::Ramp {
        route: "blogs".into(),
        order: RampOrder::Start,
        bounds: Bounds::Kept,
        cold: true,
    }
}

/// What the ramp lacks once its step was held for its time.
async fn missing(task: &mut Task) -> Vec<String> {
    task.look(Timestamp::now()).await;
    task.last = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    task.look(Timestamp::now()).await;
    let pace = task.ramps.pace("blogs");
    pace.map(|pace| pace.missing).unwrap_or_default()
}

#[tokio::test]
async fn a_step_that_control_refuses_says_so_in_what_is_missing() {
    let (rig, mut task) = site();
    order(&rig, start()).await.unwrap();
    // From now on no step may be as large as the one that the ramp has planned.
    let mut smaller = rig.file.lock().unwrap().clone().unwrap();
    smaller["routes"][0]["max_step"] = json!(50);
    smaller["routes"][0]["ramp"]["steps"] = json!([{ "percent": 10.0, "hold": "1s" }]);
    *rig.file.lock().unwrap() = Ok(smaller);
    order(&rig, Action::Reload).await.unwrap();
    let missing = missing(&mut task).await;
    assert!(
        missing.len() == 1 && missing[0].contains("more than max_step = 50"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_canary_without_a_target_gets_no_step_and_no_start() {
    let (rig, mut task) = site();
    order(&rig, start()).await.unwrap();
    {
        let mut health = rig.health.lock().unwrap();
        (health.healthy, health.total) = (0, 0);
    }
    let lacks = missing(&mut task).await;
    assert_eq!(
        lacks,
        ["healthy targets of the canary: 0 of the 1 it needs"]
    );
    order(&rig, Action::Rollback { route: None }).await.unwrap();
    let route = || "blogs".to_owned();
    order(&rig, Action::Resume { route: route() })
        .await
        .unwrap();
    let resumed = Action::Ramp {
        route: route(),
        order: RampOrder::Resume,
        bounds: Bounds::Kept,
        cold: false,
    };
    let refused = order(&rig, resumed).await.unwrap_err().to_string();
    assert!(
        refused.contains("0 targets of canary `ecs` are healthy, and its ramp needs 1"),
        "{refused}"
    );
    let weights = rig.control.standing().live.routes["blogs"].weights.clone();
    assert_eq!(
        weights,
        Weights::from([("ec2".into(), 100), ("ecs".into(), 0)])
    );
}

#[tokio::test]
async fn a_step_waits_for_the_right_answer_to_its_probe_and_asks_again() {
    let (rig, mut task) = site_with("http://www.example.com/healthz");
    order(&rig, start()).await.unwrap();
    *rig.probed.lock().unwrap() = None;
    let lacks = missing(&mut task).await;
    assert_eq!(
        lacks,
        ["an answer of 2xx to its probe: it has just been asked"]
    );
    let n_asked = || {
        let observed = rig.observed.lock().unwrap();
        observed.iter().filter(|what| *what == "probed").count()
    };
    assert_eq!(n_asked(), 1, "one question at a time");
    // Another step of another ramp is asked about anew.
    task.probes = Probes::default();
    *rig.probed.lock().unwrap() = Some(Err("127.0.0.1:2: 503, expected 200-299".into()));
    let failing = ["an answer of 2xx to its probe: 127.0.0.1:2: 503, expected 200-299"];
    missing(&mut task).await;
    assert_eq!(missing(&mut task).await, failing);
    *rig.probed.lock().unwrap() = Some(Ok(()));
    assert_eq!(missing(&mut task).await, failing, "not asked again yet");
    for asked in task.probes.0.values_mut() {
        let (at, _) = asked.last.as_mut().expect("there was an answer");
        *at = at.checked_sub(Duration::from_secs(5)).unwrap();
    }
    missing(&mut task).await;
    assert_eq!(missing(&mut task).await, [] as [&str; 0]);
    let live = &rig.control.standing().live;
    assert_eq!(live.routes["blogs"].weights["ecs"], 100);
}
