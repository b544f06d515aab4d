//! Ramps: schedules that are kept, also through kill -9, and what holds them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{File, Kanaria, Seen, Stub, sized, until, within};

/// Toreta's shares, each held for so many seconds.
fn toreta(hold_s: usize) -> String {
    let steps =
        [1, 10, 50, 100].map(|percent| format!("{{ percent = {percent}, hold = '{hold_s}s' }}"));
    format!("steps = [{}]\n", steps.join(", "))
}

fn file(ec2: &Stub, ecs: &Stub, ramp: &str) -> File {
    let table = format!("[routes.ramp]\n{ramp}");
    File::split(ec2, ecs, "ec2 = 100, ecs = 0")
        .route(&table)
        .quiet()
}

fn ramp(kanaria: &Kanaria) -> Value {
    kanaria.admin.get("/api/v1/routes/web/ramp")
}

/// Weights of the journal's changes, oldest first, with who made them; changes of weights only.
fn shares(kanaria: &Kanaria) -> Vec<(String, u64, u64)> {
    let history = kanaria.admin.get("/api/v1/history?limit=1000");
    let entries = history.as_array().expect("a list").iter().rev();
    let shares = entries.filter_map(|entry| {
        let edit = &entry["routes"]["web"];
        let weights = |side: &str| {
            (
                edit[side]["weights"]["ec2"].as_u64(),
                edit[side]["weights"]["ecs"].as_u64(),
            )
        };
        let (ec2, ecs) = weights("after");
        let actor = entry["actor"].as_str()?.to_owned();
        (weights("before") != weights("after")).then_some((actor, ec2?, ecs?))
    });
    shares.collect()
}

#[track_caller]
fn comes_to(kanaria: &Kanaria, phase: &str, time: Duration) {
    let found = within(time, || (ramp(kanaria)["phase"] == phase).then_some(()));
    assert!(
        found.is_some(),
        "not `{phase}`: {:#}\n{}",
        ramp(kanaria),
        kanaria.stderr()
    );
}

#[test]
fn a_schedule_is_kept_by_the_second_and_ended_by_hand() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(
        &ec2,
        &ecs,
        &format!("{}require_evidence = false\n", toreta(3)),
    ));
    assert_eq!(ramp(&kanaria)["phase"], "off");
    let begin = Instant::now();
    let started = kanaria.run(&["ramp", "start", "web", "--reason", "go"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let early = kanaria.run(&["ramp", "finalize", "web"]);
    assert_eq!(early.code, Some(1), "before its time: {early:?}");
    comes_to(&kanaria, "complete", Duration::from_secs(40));
    let took = begin.elapsed();
    println!(
        "four steps of 3 s took {took:.1?}, bound 12 to 20 s; {:?}",
        shares(&kanaria)
    );
    assert!((12.0..20.0).contains(&took.as_secs_f64()));
    let expected = [
        ("file", 100, 0),
        ("local", 99, 1),
        ("ramp", 90, 10),
        ("ramp", 50, 50),
        ("ramp", 0, 100),
    ];
    let expected = expected.map(|(actor, ec2, ecs)| (actor.to_owned(), ec2, ecs));
    assert_eq!(shares(&kanaria), expected);
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_ramp_step", &["route=\"web\""]),
        4.0
    );
    let ended = kanaria.run(&["ramp", "finalize", "web"]);
    assert_eq!(
        (ended.code, &ramp(&kanaria)["phase"]),
        (Some(0), &json!("finalized")),
        "{ended:?}"
    );
}

#[test]
fn kill_9_neither_doubles_nor_skips_a_step() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let all = [2, 5, 9, 14, 30, 55, 80, 100];
    let planned = all[all.len() - sized(4, 8)..].to_vec();
    let steps: Vec<_> = planned
        .iter()
        .map(|percent| format!("{{ percent = {percent}, hold = '2s' }}"))
        .collect();
    let table = format!("steps = [{}]\nrequire_evidence = false\n", steps.join(", "));
    let mut kanaria = Kanaria::start(&file(&ec2, &ecs, &table));
    assert_eq!(kanaria.run(&["ramp", "start", "web"]).code, Some(0));
    let end = Instant::now() + Duration::from_secs(120);
    let mut n_kills = 0;
    for life in 0.. {
        // Lives of different lengths, so that kills come at all moments of a step.
        let life = Duration::from_millis(1_300 + 370 * (life % 5));
        if within(life, || {
            (ramp(&kanaria)["phase"] == "complete").then_some(())
        })
        .is_some()
        {
            break;
        }
        assert!(
            Instant::now() < end,
            "not complete: {:#}\n{}",
            ramp(&kanaria),
            kanaria.stderr()
        );
        kanaria = Kanaria::start_there(kanaria.kill(), &[]);
        n_kills += 1;
    }
    let seen: Vec<u64> = shares(&kanaria)
        .into_iter()
        .map(|(_, _, ecs)| ecs)
        .collect();
    println!("{n_kills} kills; shares in the journal {seen:?}");
    assert!(n_kills >= 4);
    assert_eq!(seen[0], 0);
    assert_eq!(seen[1..], planned);
    assert_eq!(kanaria.run(&["history", "verify"]).code, Some(0));
}

#[test]
fn a_ramp_is_held_by_what_it_lacks_and_says_so() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(&ec2, &ecs, &toreta(1)));
    let cold = kanaria.run(&["ramp", "start", "web"]);
    assert!(
        cold.code == Some(1) && cold.stderr.contains("--cold"),
        "{cold:?}"
    );
    let started = kanaria.run(&["ramp", "start", "web", "--cold"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let missing = until("it is held", || {
        let missing = ramp(&kanaria)["missing"].clone();
        missing[0].is_string().then_some(missing)
    });
    println!("held, lacks {missing}");
    assert!(
        missing[0]
            .as_str()
            .is_some_and(|what| what.starts_with("data")),
        "{missing}"
    );
    let shown = kanaria.run(&["status", "web"]).stdout;
    assert!(
        shown.contains("ramp running: step 1 of 4, 1 %, held, lacks data"),
        "{shown}"
    );
    let advanced = kanaria.run(&["ramp", "advance", "web"]);
    assert_eq!(
        (advanced.code, &ramp(&kanaria)["step"]),
        (Some(0), &json!(2)),
        "{advanced:?}"
    );
}

#[test]
fn an_operator_may_go_back_at_any_time_and_ahead_by_force_alone() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&file(
        &ec2,
        &ecs,
        &format!("{}require_evidence = false\n", toreta(600)),
    ));
    assert_eq!(kanaria.run(&["ramp", "start", "web"]).code, Some(0));
    assert_eq!(kanaria.run(&["ramp", "advance", "web"]).code, Some(0));
    let ahead = kanaria.run(&["weights", "web", "ec2=80", "ecs=20"]);
    assert!(
        ahead.code == Some(1) && ahead.stderr.contains("ramp"),
        "{ahead:?}"
    );
    assert_eq!(
        kanaria.run(&["weights", "web", "ec2=97", "ecs=3"]).code,
        Some(0)
    );
    assert_eq!(ramp(&kanaria)["phase"], "paused");
    assert_eq!(kanaria.run(&["ramp", "resume", "web"]).code, Some(0));
    assert_eq!(
        kanaria.admin.get("/api/v1/routes/web")["weights"],
        json!({ "ec2": 90, "ecs": 10 })
    );
    assert_eq!(
        kanaria
            .run(&["weights", "web", "ec2=80", "ecs=20", "--force"])
            .code,
        Some(0)
    );
    until("it is in the log", || {
        let told = "in force: web: ec2=90 ecs=10 -> ec2=80 ecs=20";
        kanaria.stderr().contains(told).then_some(())
    });
    assert_eq!(kanaria.run(&["ramp", "abort", "web"]).code, Some(0));
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["state"], &route["ramp"]["phase"]),
        (&json!("rolled_back"), &json!("rolled_back"))
    );
    for verb in ["resume", "start"] {
        let latched = kanaria.run(&["ramp", verb, "web", "--force"]);
        assert!(
            latched.code == Some(1) && latched.stderr.contains("kanaria resume web"),
            "{latched:?}"
        );
    }
    assert_eq!(kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"], 0);
    assert_eq!(kanaria.run(&["resume", "web"]).code, Some(0));
    assert_eq!(kanaria.run(&["ramp", "resume", "web"]).code, Some(0));
    let again = ramp(&kanaria);
    assert_eq!(
        (&again["attempt"], &again["step"]),
        (&json!(2), &json!(2)),
        "{again:#}"
    );
}

/// The probe is of the canary's targets, with the address's host and path, and of no traffic.
#[test]
fn a_ramp_waits_until_its_probe_is_answered_with_2xx() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let ec2 = Stub::start("ec2");
    let ecs = Stub::with("ecs", move |exchange| {
        let status = if is_well.load(Ordering::Relaxed) {
            "204 No Content"
        } else {
            "503 Busy"
        };
        exchange.answer(status, "", b"")
    });
    let table = format!(
        "{}require_evidence = false\nprobe = 'https://www.example.com/deep?check=1'\n",
        toreta(1)
    );
    let kanaria = Kanaria::start(&file(&ec2, &ecs, &table));
    let refused = kanaria.run(&["ramp", "start", "web"]);
    assert!(
        refused.code == Some(1) && refused.stderr.contains("503, expected 200-299"),
        "{refused:?}"
    );
    let forced = kanaria.run(&["ramp", "start", "web", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    let lacks = until("it is held by its probe", || {
        let missing = ramp(&kanaria)["missing"][0].as_str().map(str::to_owned);
        missing.filter(|what| what.contains("503, expected 200-299"))
    });
    println!("held, lacks {lacks}");
    assert_eq!(ramp(&kanaria)["step"], 1);
    well.store(true, Ordering::Relaxed);
    comes_to(&kanaria, "complete", Duration::from_secs(60));
    let asked = ecs.seen();
    println!("{} questions, the first: {:?}", asked.len(), asked[0].head);
    let told = [("host", "www.example.com"), ("x-forwarded-proto", "https")];
    for Seen { head, .. } in &asked {
        assert_eq!(head.line, "GET /deep?check=1 HTTP/1.1");
        for (name, value) in told {
            let is_told =
                |(key, given): &(String, String)| key.eq_ignore_ascii_case(name) && given == value;
            assert!(head.fields.iter().any(is_told), "{name}: {head:?}");
        }
    }
    assert_eq!(ec2.count(), 0, "stable is not asked");
    assert_eq!(kanaria.admin.metric("kanaria_requests_total", &[]), 0.0);
}
