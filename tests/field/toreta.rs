//! TORETA: weights in DNS, several services, logging.

use std::time::{Duration, Instant};

use serde_json::json;

use super::pair;
use crate::support::{File, Kanaria, Load, Stub, command, get, sized, until, volley};

/// Both pools stay health-checked, also at weight 0.
#[test]
fn field_toreta_1() {
    let (ec2, ecs) = pair();
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }";
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").pool_keys("ecs", check);
    let kanaria = Kanaria::start(&file);
    let up = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ecs\""]);
    until("the canary is healthy", || (up() == 1.0).then_some(()));
    ecs.die();
    until("its death is noticed", || (up() == 0.0).then_some(()));
    ecs.revive();
    until("its return is noticed", || (up() == 1.0).then_some(()));
    assert_eq!(ecs.count(), 0);
}

/// The shipped schedule has five stages with dates; 99:1, 90:10, 50:50, 0:100 for a week.
#[test]
fn field_toreta_2() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/toreta.toml");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outcome = command(folder.path(), &["ramp", "plan", "web", "-c", example]);
    println!("{}", outcome.stdout);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for (stage, hold) in [
        ("100:0", "until the start"),
        ("99:1", "3 d"),
        ("90:10", "3 d"),
        ("50:50", "3 d"),
        ("0:100", "7 d"),
    ] {
        let line = outcome
            .stdout
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(stage));
        assert!(
            line.is_some_and(|line| line.trim_end().ends_with(hold)),
            "{stage}: {outcome:?}"
        );
    }
}

/// Services move one by one: rolling back one route leaves the other alone.
#[test]
fn field_toreta_5() {
    let (ec2, ecs) = pair();
    let api = "[[routes]]\nname = \"api\"\nmatch = { path = [\"/api/*\"] }\nstable = \"ec2\"\n\
               weights = { ec2 = 40, ecs = 60 }\n";
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").before(api);
    let kanaria = Kanaria::start(&file);
    let before = kanaria.admin.get("/api/v1/routes/api");
    kanaria
        .admin
        .post("/api/v1/routes/web/rollback", &json!({}));
    let after = kanaria.admin.get("/api/v1/routes/api");
    for key in ["weights", "owner", "state", "stable"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    volley(kanaria.public, 100, 2, |_| get("/api/x", ""));
    assert!(ecs.count() > 30, "the api still splits");
}

/// Scaling is frequent: new targets get requests after one good check and then more and more, and leave without an error.
#[test]
fn field_toreta_12() {
    let old = ["old-0", "old-1"].map(Stub::start);
    let new = ["new-0", "new-1", "new-2", "new-3", "new-4"].map(Stub::start);
    let keys = "slow_start = \"3s\"\nhealth_check = { path = \"/healthz\", interval = \"50ms\", timeout = \"1s\" }";
    let file = |stubs: &[&Stub]| {
        let addresses: Vec<_> = stubs.iter().map(|stub| stub.address).collect();
        File::single(&old[0])
            .pool("ec2", &addresses)
            .pool_keys("ec2", keys)
            .quiet()
    };
    let few: Vec<&Stub> = old.iter().collect();
    let all: Vec<&Stub> = old.iter().chain(&new).collect();
    let kanaria = Kanaria::start(&file(&few));
    let reload = |stubs: &[&Stub]| {
        kanaria.rewrite(&file(stubs).text());
        kanaria.admin.post("/api/v1/reload", &json!({}));
    };
    let up = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]);
    until("the old targets are healthy", || {
        (up() == 2.0).then_some(())
    });
    let rate = sized(200, 1000);
    let load = Load::start(kanaria.public, 8, rate);
    load.pass(rate / 2);

    for stub in &new {
        stub.set_healthy(false);
    }
    reload(&all);
    until("every new target was checked", || {
        new.iter().all(|stub| stub.checks() > 0).then_some(())
    });
    load.pass(rate / 2);
    let early: usize = new.iter().map(Stub::count).sum();
    for stub in &new {
        stub.set_healthy(true);
    }
    until("the new targets are healthy", || {
        (up() == 7.0).then_some(())
    });
    let begun = Instant::now();
    load.pass(rate * 5);
    let n_before = new.iter().map(Stub::count).sum::<usize>();
    reload(&few);
    let removed: usize = new.iter().map(Stub::count).sum();
    load.pass(rate / 2);
    let late = new.iter().map(Stub::count).sum::<usize>() - removed;
    let shots = load.stop();

    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{rate} requests/s; {early} before the first good check, bound 0; {late} after the removal, bound 8 in flight; {failed} of {} failed, bound 0",
        shots.len(),
    );
    assert_eq!((early, failed), (0, 0));
    assert!(n_before > 0 && late <= 8);
    let share = |from: f64, to: f64| {
        let [from, to] = [from, to].map(|seconds| begun + Duration::from_secs_f64(seconds));
        let window = shots.iter().filter(|shot| (from..to).contains(&shot.sent));
        let served = window
            .clone()
            .filter(|shot| shot.stub.starts_with("new"))
            .count();
        served as f64 / window.count().max(1) as f64
    };
    // Five parts that grow from 0 to 1 beside two whole ones.
    let shares = [
        share(0.0, 1.0),
        share(1.0, 2.0),
        share(2.0, 3.0),
        share(3.5, 4.5),
    ];
    println!(
        "share of the new targets, by seconds of slow start and after: {shares:.3?}; even slow start gives 0.273, 0.551, 0.674, 0.714"
    );
    for (share, even) in shares.iter().zip([0.273, 0.551, 0.674, 0.714]) {
        assert!((share - even).abs() < 0.1);
    }
}
