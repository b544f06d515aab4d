//! The way back: one command, at once, whatever is broken.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{File, Jar, Kanaria, Load, Outcome, Stub, get, until};

const AT_ONCE: Duration = Duration::from_secs(1);

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

#[track_caller]
fn quick(outcome: &Outcome) {
    println!("rollback took {:?}, bound {AT_ONCE:?}", outcome.took);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.took < AT_ONCE, "{:?}", outcome.took);
}

#[test]
fn one_command_takes_everybody_back_within_a_second_twice() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 10, ecs = 90"));
    let load = Load::start(kanaria.public, 4, 200);
    load.pass(50);
    for _ in 0..2 {
        let asked = Instant::now();
        let outcome = kanaria.run(&["rollback", "--reason", "errors on ecs"]);
        quick(&outcome);
        assert!(outcome.stdout.contains("web"), "{}", outcome.stdout);
        let done = asked + outcome.took;
        load.pass(50);
        let late = ecs
            .seen()
            .iter()
            .filter(|seen| seen.at > done + AT_ONCE)
            .count();
        assert_eq!(late, 0);
    }
    let end = Instant::now();
    load.pass(50);
    let shots = load.stop();
    assert!(shots.iter().all(|shot| shot.status == 200));
    assert!(
        shots
            .iter()
            .filter(|shot| shot.sent > end)
            .all(|shot| shot.stub == "ec2")
    );
    let history = kanaria.run(&["history"]);
    assert!(
        history.stdout.contains("errors on ecs"),
        "{}",
        history.stdout
    );
}

#[test]
fn clients_with_cookies_and_open_connections_come_back_too() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut pinned: Vec<_> = (0..50)
        .map(|_| (kanaria.client(), Jar::default()))
        .collect();
    for (client, jar) in &mut pinned {
        assert_eq!(jar.visit(client, "/").stub(), "ecs");
    }
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    for (client, jar) in &mut pinned {
        assert_eq!(jar.visit(client, "/").stub(), "ec2");
    }
}

#[test]
fn after_a_rollback_raising_needs_resume_and_lowering_does_not() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    kanaria
        .admin
        .post("/api/v1/routes/web/rollback", &json!({ "reason": "night" }));
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["state"], &route["weights"]["ecs"]),
        (&json!("rolled_back"), &json!(0))
    );
    let raise = |extra: &str| {
        let body = format!("{{\"weights\": {{\"ec2\": 99, \"ecs\": 1}}{extra}}}");
        kanaria
            .admin
            .call("PUT", "/api/v1/routes/web/weights", "", &body)
            .status
    };
    assert_eq!(raise(""), 409);
    let outcome = kanaria.run(&["weights", "web", "ec2=99", "ecs=1"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        format!("{}{}", outcome.stdout, outcome.stderr).contains("resume"),
        "{outcome:?}"
    );
    kanaria.admin.set_web(7, 0);
    kanaria.admin.post("/api/v1/routes/web/resume", &json!({}));
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["state"], &route["weights"]["ecs"]),
        (&json!("normal"), &json!(0))
    );
    assert_eq!(raise(""), 200);
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    assert_eq!(raise(", \"force\": true"), 200);
}

#[test]
fn a_latched_route_holds_back_a_raising_file_and_takes_the_rest() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let kanaria = Kanaria::start(&file);
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    let extra = "[[routes]]\nname = \"new\"\nmatch = { path = [\"/new\"] }\nstable = \"ecs\"\n";
    kanaria.rewrite(&file.weights("ec2 = 40, ecs = 60").before(extra).text());
    let outcome = kanaria.run(&["reload"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        format!("{}{}", outcome.stdout, outcome.stderr).contains("held"),
        "{outcome:?}"
    );
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    assert_eq!(kanaria.client().call(get("/new", "")).stub(), "ecs");
}

#[test]
fn a_ruined_file_on_disk_does_not_hinder_it() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    kanaria.rewrite("this is {{{ no configuration");
    for _ in 0..2 {
        quick(&kanaria.run(&["rollback"]));
        assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    }
}

/// Puts a file where the state's folder was, so that nothing can be written there, not even by root.
fn take_state_away(kanaria: &Kanaria) {
    fs::rename(kanaria.path("state"), kanaria.path("state.away")).unwrap();
    fs::write(kanaria.path("state"), "").unwrap();
}

#[test]
fn an_unwritable_state_refuses_changes_but_never_a_rollback() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    take_state_away(&kanaria);
    let body = json!({ "weights": { "ec2": 1, "ecs": 1 } }).to_string();
    let refused = kanaria
        .admin
        .call("PUT", "/api/v1/routes/web/weights", "", &body);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ecs");
    for _ in 0..2 {
        let outcome = kanaria.run(&["rollback", "--json"]);
        quick(&outcome);
        assert!(
            outcome.stdout.contains("\"durable\": false"),
            "{}",
            outcome.stdout
        );
        assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    }
    fs::remove_file(kanaria.path("state")).unwrap();
    fs::rename(kanaria.path("state.away"), kanaria.path("state")).unwrap();
    until("the rollback has become durable", || {
        let journal = fs::read_to_string(kanaria.path("state/journal.jsonl")).ok()?;
        journal.contains("rollback").then_some(())
    });
}

#[test]
fn a_rollback_survives_a_restart_and_a_renewed_file() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let kanaria = Kanaria::start(&file);
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    let kanaria = Kanaria::start_in(kanaria.kill(), &file);
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        (&route["state"], &route["weights"]["ecs"]),
        (&json!("rolled_back"), &json!(0))
    );
}

#[test]
fn flags_keep_working_after_a_rollback() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1").route(
        "[[routes.flags]]\nname = \"staff\"\nheader = \"X-Canary\"\nvalue = \"on\"\npool = \"ecs\"",
    );
    let kanaria = Kanaria::start(&file);
    kanaria.admin.post("/api/v1/rollback", &json!({}));
    assert_eq!(
        kanaria.client().call(get("/", "X-Canary: on\r\n")).stub(),
        "ecs"
    );
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
}

#[test]
fn a_rollback_says_when_stable_is_not_healthy_and_happens_all_the_same() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").pool_keys(
        "ec2",
        "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }",
    );
    let kanaria = Kanaria::start(&file);
    until("stable is healthy", || {
        (kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]) == 1.0).then_some(())
    });
    ec2.set_healthy(false);
    until("stable is unhealthy", || {
        (kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]) == 0.0).then_some(())
    });
    let answer = kanaria.admin.post("/api/v1/rollback", &json!({}));
    assert!(answer.to_string().contains("healthy"), "{answer}");
    assert_eq!(kanaria.admin.get("/api/v1/routes/web")["weights"]["ecs"], 0);
}
