//! What survives: the journal, kill -9, torn and tampered lines.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::support::{File, Kanaria, Outcome, Stub, command, get, sized};

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

fn verify(folder: &tempfile::TempDir) -> Outcome {
    command(
        folder.path(),
        &["history", "verify", "--state-dir", "state"],
    )
}

/// Changes weights as fast as answers come until the router is gone; the last answered revision and `ecs` weight.
fn change_until_killed(kanaria: &Kanaria, gone: &AtomicBool, from: u32) -> Option<(u64, u32)> {
    let mut last = None;
    let mut weight = from;
    while !gone.load(Ordering::Acquire) {
        weight = weight % 900_000 + 1;
        let body = json!({ "weights": { "ec2": 1_000_000 - weight, "ecs": weight } });
        let answer = kanaria
            .admin
            .try_call("PUT", "/api/v1/routes/web/weights", &body);
        let Some(answer) = answer.filter(|answer| answer.status == 200) else {
            break;
        };
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        last = Some((answer["revision"].as_u64().unwrap(), weight));
    }
    last
}

/// Spins and waits for `time`; the moment of a power cut is no event to wait for.
fn power_cut_after(kanaria: &Kanaria, gone: &AtomicBool, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        thread::yield_now();
    }
    kanaria.signal(rustix::process::Signal::KILL);
    gone.store(true, Ordering::Release);
}

#[test]
fn kill_9_during_changes_loses_nothing_that_was_answered() {
    let (ec2, ecs) = pair();
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let file = File::split(&ec2, &ecs, "ec2 = 500000, ecs = 500000").quiet();
    let mut folder = tempfile::tempdir().unwrap();
    let mut acknowledged = None::<(u64, u32)>;
    let rounds = sized(10, 200);
    for round in 0..rounds {
        let kanaria = Kanaria::start_in(folder, &file);
        if let Some((revision, weight)) = acknowledged {
            let route = kanaria.admin.get("/api/v1/routes/web");
            let now = (
                kanaria.admin.revision(),
                route["weights"]["ecs"].as_u64().unwrap(),
            );
            let unanswered = u64::from(weight % 900_000 + 1);
            let expected =
                now == (revision, u64::from(weight)) || now == (revision + 1, unanswered);
            assert!(
                expected,
                "round {round}: {now:?} after {revision} with {weight}"
            );
        }
        let gone = AtomicBool::new(false);
        let time = Duration::from_micros(random.random_range(0..60_000));
        let from = random.random_range(1..800_000);
        let last = thread::scope(|scope| {
            scope.spawn(|| power_cut_after(&kanaria, &gone, time));
            change_until_killed(&kanaria, &gone, from)
        });
        acknowledged = last;
        folder = kanaria.kill();
        let outcome = verify(&folder);
        assert_eq!(outcome.code, Some(0), "round {round}: {outcome:?}");
    }
    let journal = fs::read_to_string(folder.path().join("state/journal.jsonl")).unwrap();
    println!(
        "{rounds} kills, {} lines in the journal",
        journal.lines().count()
    );
}

/// A router with a few changes behind it, killed.
fn history(file: &File) -> tempfile::TempDir {
    let kanaria = Kanaria::start(file);
    for ecs in [10, 20, 30] {
        kanaria.admin.set_web(100 - ecs, ecs);
    }
    kanaria.kill()
}

#[test]
fn a_torn_last_line_is_repaired_and_said() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let folder = history(&file);
    let path = folder.path().join("state/journal.jsonl");
    let mut journal = fs::read_to_string(&path).unwrap();
    let last = journal.lines().last().unwrap().to_owned();
    journal.push_str(&last[..last.len() / 2]);
    fs::write(&path, journal).unwrap();
    let kanaria = Kanaria::start_in(folder, &file);
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"],
        30
    );
    assert!(kanaria.stderr().contains("torn"), "{}", kanaria.stderr());
    kanaria.admin.set_web(60, 40);
    let outcome = verify(&kanaria.kill());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_tampered_line_is_found_and_starts_at_stable() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let folder = history(&file);
    let path = folder.path().join("state/journal.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = journal.lines().collect();
    let second = lines.len() - 2;
    assert!(lines[second].contains("20"), "{journal}");
    let changed: Vec<_> = (0..lines.len())
        .map(|n| {
            if n == second {
                lines[n].replacen("20", "21", 1)
            } else {
                lines[n].into()
            }
        })
        .collect();
    fs::write(&path, changed.join("\n") + "\n").unwrap();
    let outcome = verify(&folder);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains(&(second + 1).to_string()), "{said}");
    let kanaria = Kanaria::start_in(folder, &file);
    for _ in 0..50 {
        assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    }
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(route["state"], "rolled_back");
}

#[test]
fn weights_and_marks_survive_a_restart() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5");
    let kanaria = Kanaria::start_in(history(&file), &file);
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(route["weights"]["ecs"], 30);
    assert_eq!(route["owner"], "live");
}

#[test]
fn without_a_state_the_file_speaks_unless_a_state_is_required() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1");
    let kanaria = Kanaria::start(&file);
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ecs");
    assert!(
        kanaria
            .admin
            .get("/api/v1/status")
            .to_string()
            .contains("new")
    );
    let required = Kanaria::start(&file.server("require_state = true"));
    assert_eq!(required.client().call(get("/", "")).stub(), "ec2");
    let route = required.admin.get("/api/v1/routes/web");
    assert_eq!(route["state"], "rolled_back");
}

#[test]
fn clients_keep_their_place_over_a_restart() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1");
    let kanaria = Kanaria::start(&file);
    let places = |kanaria: &Kanaria| -> Vec<String> {
        let mut client = kanaria.client();
        (0..100)
            .map(|n| {
                let id = format!("Cookie: kanaria={n:A<22}\r\n");
                client.call(get("/", &id)).stub().to_owned()
            })
            .collect()
    };
    let before = places(&kanaria);
    let kanaria = Kanaria::start_in(kanaria.kill(), &file);
    assert_eq!(places(&kanaria), before);
    assert!(before.contains(&"ec2".into()) && before.contains(&"ecs".into()));
}

#[test]
fn a_second_router_on_the_same_state_is_refused() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1");
    let kanaria = Kanaria::start(&file);
    let folder = kanaria.path("");
    let outcome = command(&folder, &["run", "-c", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("state"), "{}", outcome.stderr);
    assert!(kanaria.ready());
}
