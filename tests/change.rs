//! Changes of the live state under load: in force when answered, nothing lost.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{File, Kanaria, Load, Shot, Stub, sized, until};

/// A change and the moment its answer had been read.
pub(crate) struct Answered {
    pub(crate) revision: u64,
    pub(crate) took: Duration,
    pub(crate) at: Instant,
}

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

/// Makes `n` changes of the route `web`, spread over a running load.
pub(crate) fn changes(kanaria: &Kanaria, load: &Load, n: usize, pause: usize) -> Vec<Answered> {
    (0..n)
        .map(|n| {
            load.pass(pause);
            let asked = Instant::now();
            let answer = kanaria
                .admin
                .set_web(100 - (n as u32 % 50), 1 + n as u32 % 50);
            let at = Instant::now();
            Answered {
                revision: answer["revision"].as_u64().unwrap(),
                took: at - asked,
                at,
            }
        })
        .collect()
}

/// How many of `shots` were decided by a revision older than one answered before they were sent.
pub(crate) fn outdated(kanaria: &Kanaria, shots: &[Shot], answered: &[Answered]) -> usize {
    let by_id: HashMap<String, u64> = kanaria
        .log_of(shots.len())
        .iter()
        .map(|line| {
            let id = line["request_id"].as_str().unwrap().to_owned();
            (id, line["revision"].as_u64().unwrap_or_default())
        })
        .collect();
    let newest = |sent: Instant| {
        let before = answered.iter().filter(|change| change.at < sent);
        before
            .map(|change| change.revision)
            .max()
            .unwrap_or_default()
    };
    shots
        .iter()
        .filter(|shot| by_id[&shot.id] < newest(shot.sent))
        .count()
}

#[test]
fn changes_and_reloads_under_load_lose_nothing_and_are_in_force_when_answered() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 70, ecs = 30"));
    let load = Load::start(kanaria.public, 8, sized(300, 1000));
    let answered = thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                load.pass(sized(15, 100));
                kanaria.signal(Signal::HUP);
            }
        });
        changes(&kanaria, &load, 40, sized(10, 100))
    });
    load.pass(50);
    let shots = load.stop();
    let failed: Vec<_> = shots.iter().filter(|shot| shot.status != 200).collect();
    let outdated = outdated(&kanaria, &shots, &answered);
    let mut took: Vec<_> = answered.iter().map(|change| change.took).collect();
    took.sort_unstable();
    println!(
        "{} requests, {} failed, {outdated} by an older snapshot; change median {:?}, slowest {:?}, goal 50 ms",
        shots.len(),
        failed.len(),
        took[took.len() / 2],
        took[took.len() - 1],
    );
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(outdated, 0);
    let reloads = || kanaria.admin.metric("kanaria_reloads_total", &[]);
    // Signals of one kind that arrive together are one signal.
    until("a reload is counted", || (reloads() >= 1.0).then_some(()));
    assert_eq!(
        kanaria.admin.metric("kanaria_reloads_total", &["refused"]),
        0.0
    );
}

#[test]
fn a_change_names_before_after_and_the_time_until_in_force() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let before = kanaria.admin.revision();
    let answer = kanaria.admin.set_web(70, 30);
    assert_eq!(answer["revision"], before + 1);
    assert_eq!(answer["durable"], true);
    assert!(answer["in_force_ms"].is_number(), "{answer}");
    let weights = |value: &Value, pool: &str| {
        let found = value
            .pointer(&format!("/weights/{pool}"))
            .or_else(|| value.get(pool));
        found
            .or_else(|| value.pointer(&format!("/web/weights/{pool}")))
            .cloned()
    };
    assert_eq!(
        weights(&answer["before"], "ecs"),
        Some(json!(5)),
        "{answer}"
    );
    assert_eq!(
        weights(&answer["after"], "ecs"),
        Some(json!(30)),
        "{answer}"
    );
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["weights"]["ecs"], &route["owner"]),
        (&json!(30), &json!("live"))
    );
}

#[test]
fn a_reload_with_the_same_block_keeps_live_weights_and_a_changed_block_wins() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let kanaria = Kanaria::start(&file);
    kanaria.admin.set_web(50, 50);
    let ecs_weight = || kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"].clone();
    kanaria.rewrite(&format!("# a comment\n{}", file.text()));
    kanaria.admin.post("/api/v1/reload", &json!({}));
    assert_eq!(ecs_weight(), 50);
    kanaria.rewrite(&file.weights("ec2 = 80, ecs = 20").text());
    kanaria.admin.post("/api/v1/reload", &json!({}));
    assert_eq!(ecs_weight(), 20);
}

#[test]
fn a_refused_file_changes_nothing_and_is_counted() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let revision = kanaria.admin.revision();
    kanaria.rewrite("version = 1\nnonsense = true\n");
    let answer = kanaria.admin.call("POST", "/api/v1/reload", "", "{}");
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("nonsense"), "{}", answer.text());
    kanaria.signal(Signal::HUP);
    until("both refusals are counted", || {
        (kanaria.admin.metric("kanaria_reloads_total", &["refused"]) == 2.0).then_some(())
    });
    assert_eq!(kanaria.admin.revision(), revision);
    assert!(kanaria.ready());
}

#[test]
fn a_stale_if_match_is_412_and_only_one_of_many_wins() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let tag = format!("If-Match: \"{}\"\r\n", kanaria.admin.revision());
    let call = |n: u32| {
        let body = json!({ "weights": { "ec2": n, "ecs": 1 } }).to_string();
        let path = "/api/v1/routes/web/weights";
        kanaria.admin.call("PUT", path, &tag, &body).status
    };
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (10..30)
            .map(|n| {
                let call = &call;
                scope.spawn(move || call(n))
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, u16>| thread.join().unwrap();
        threads.into_iter().map(join).collect()
    });
    let won = statuses.iter().filter(|status| **status == 200).count();
    let stale = statuses.iter().filter(|status| **status == 412).count();
    assert_eq!((won, stale), (1, 19), "{statuses:?}");
}

#[test]
fn a_dry_run_answers_and_changes_nothing() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let revision = kanaria.admin.revision();
    let body = json!({ "weights": { "ec2": 0, "ecs": 1 }, "dry_run": true }).to_string();
    let answer = kanaria
        .admin
        .call("PUT", "/api/v1/routes/web/weights", "", &body);
    assert_eq!(answer.status, 200);
    assert_eq!(kanaria.admin.revision(), revision);
    assert_eq!(kanaria.admin.get("/api/v1/routes/web")["weights"]["ec2"], 1);
}

#[test]
fn history_shows_who_did_what_and_restore_brings_it_back() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let wanted = kanaria.admin.set_web(70, 30)["revision"].as_u64().unwrap();
    let body = json!({ "weights": { "ec2": 10, "ecs": 90 }, "reason": "load test" });
    let answer = kanaria
        .admin
        .call("PUT", "/api/v1/routes/web/weights", "", &body.to_string());
    assert_eq!(answer.status, 200);
    let history = kanaria.admin.get("/api/v1/history?limit=2").to_string();
    assert!(
        history.contains("load test") && history.contains("local"),
        "{history}"
    );
    kanaria
        .admin
        .post("/api/v1/restore", &json!({ "revision": wanted }));
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"],
        30
    );
}

#[test]
fn metrics_show_the_revision_and_the_asked_share() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let revision = kanaria.admin.set_web(60, 40)["revision"].as_f64().unwrap();
    assert_eq!(kanaria.admin.metric("kanaria_revision", &[]), revision);
    let asked = |pool: &str| {
        let pool = format!("pool=\"{pool}\"");
        kanaria
            .admin
            .metric("kanaria_weight_ratio", &["kind=\"asked\"", &pool])
    };
    assert!((asked("ecs") - 0.4).abs() < 1e-9 && (asked("ec2") - 0.6).abs() < 1e-9);
}
