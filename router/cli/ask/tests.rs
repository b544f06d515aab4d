//! What is sent, and how each answer ends: stub routers on free ports.

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::cli::{
    Arguments, Code, Invalid, NotRerun, Outcome, Program, Surroundings, Unplanned, Verified,
    execute,
};
use crate::client::stub::Stub;

pub(in crate::cli) const NO_PROGRAM: Program = Program {
    run: |_| Code::Failed,
    upgrade: |_| Code::Failed,
    check: |_| Err(nothing()),
    schema: || Value::Null,
    explain: |_, _| Err(nothing()),
    state_dir: |_| Err(nothing()),
    plan: |_, _| Err(Unplanned::Failed(String::new())),
    simulate: |_, _| Err(Unplanned::Failed(String::new())),
    look_up: |_| Err(Unplanned::Failed(String::new())),
    rerun: |_| Err(NotRerun::Failed("no program".into())),
    verify: |_| Err(Vec::new()),
    replay: |_, _| Err(String::new()),
    ramp: |_, _| Ok(None),
    flags: |_, _| Ok(None),
};

fn nothing() -> Invalid {
    Invalid {
        text: String::new(),
        problems: json!([]),
    }
}

pub(in crate::cli) fn plain() -> Surroundings {
    Surroundings {
        admin: None,
        token: None,
        color: false,
        width: None,
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
        called: "kanaria".into(),
    }
}

/// Runs `line`, words separated by `|`, against `admin`.
fn run(admin: &str, line: &str) -> Outcome {
    run_in(admin, line, &plain())
}

fn run_in(admin: &str, line: &str, surroundings: &Surroundings) -> Outcome {
    let words = ["kanaria", "--admin", admin]
        .into_iter()
        .chain(line.split('|'));
    let arguments = Arguments::read(words.map(OsString::from)).unwrap();
    execute(arguments, &NO_PROGRAM, surroundings)
}

fn problem(status: u16, detail: &str) -> Stub {
    let document = json!({"type": "about:blank", "title": "x", "status": status, "detail": detail});
    Stub::new(status, &document.to_string())
}

const SET: &str = r#"{"revision":42,"before":{"ec2":95,"ecs":5},"after":{"ec2":70,"ecs":30},"in_force_ms":2.4,"durable":true}"#;

#[test]
fn nobody_there_is_69_and_says_where_to_look() {
    let dead = Stub::dead();
    let outcome = run(&dead, "rollback");
    assert_eq!(outcome.code, Code::Unreachable);
    assert!(outcome.out.is_empty());
    let expected = format!("kanaria: no router answers at {dead}: connection refused\n");
    assert!(outcome.err.starts_with(&expected), "{}", outcome.err);
    assert!(outcome.err.contains("KANARIA_ADMIN"));

    let outcome = run("unix:/nowhere/admin.sock", "status");
    assert_eq!(outcome.code, Code::Unreachable);
    assert!(
        outcome
            .err
            .contains("unix:/nowhere/admin.sock: no such socket")
    );
}

#[test]
fn a_token_that_is_missing_or_too_weak_is_77() {
    let outcome = run(&problem(401, "a token is needed").url, "status");
    assert_eq!(outcome.code, Code::Denied);
    assert!(
        outcome
            .err
            .contains("a token is needed\n  give a token: --token-file")
    );
    let outcome = run(&problem(403, "role viewer may only look").url, "rollback");
    assert_eq!(outcome.code, Code::Denied);
    assert!(outcome.err.contains("role viewer may only look"));
}

#[test]
fn a_refusal_is_1_with_the_routers_own_words() {
    let outcome = run(
        &problem(409, "route `blogs` is rolled back").url,
        "weights|blogs|ec2=1,ecs=1",
    );
    assert_eq!(outcome.code, Code::Failed);
    assert_eq!(outcome.err, "kanaria: route `blogs` is rolled back\n");
    let outcome = run(
        &problem(412, "revision 42 is in force").url,
        "rollback|--if-revision|41",
    );
    assert_eq!(outcome.code, Code::Failed);
    assert!(
        outcome
            .err
            .starts_with("kanaria: revision 42 is in force\n")
    );
    assert!(outcome.err.contains("kanaria status"));
    assert_eq!(
        run(&problem(404, "x").url, "status|nowhere").code,
        Code::Failed
    );
    assert_eq!(
        run(&problem(503, "x").url, "resume|blogs").code,
        Code::Failed
    );
}

#[test]
fn every_error_of_a_refused_reload_is_told_and_it_is_78() {
    let document = json!({"title": "invalid", "detail": "the file has 2 problems", "errors": [
        {"key": "pools.ecs", "message": "has no targets", "file": "a.toml", "line": 3, "column": 1},
        {"key": "routes[0].stable", "message": "is missing"},
        "routes[0]: \u{1b}[2J",
    ]});
    let outcome = run(&Stub::new(422, &document.to_string()).url, "reload");
    assert_eq!(outcome.code, Code::Invalid);
    assert_eq!(
        outcome.err,
        "kanaria: the file has 2 problems\n  a.toml:3:1: pools.ecs: has no targets\n  routes[0].stable: is missing\n  routes[0]: \\u{1b}[2J\n"
    );
    let outcome = run(
        &Stub::new(422, &document.to_string()).url,
        "weights|blogs|ecs=1",
    );
    assert_eq!(outcome.code, Code::Failed);
}

#[test]
fn a_valid_file_that_needs_a_restart_is_1() {
    let document =
        json!({"type": "urn:kanaria:problem:needs-restart", "detail": "listeners changed"});
    let outcome = run(&Stub::new(422, &document.to_string()).url, "reload");
    assert_eq!(outcome.code, Code::Failed);
}

#[test]
fn what_the_detail_says_is_not_said_again() {
    let document = json!({"detail": "weights.ecs: is given twice\nsecond line", "errors": [
        {"key": "weights.ecs", "message": "is given twice"},
        {"key": "reason", "message": "is too long"},
    ]});
    let outcome = run(&Stub::new(422, &document.to_string()).url, "resume|blogs");
    let expected = "kanaria: weights.ecs: is given twice\nsecond line\n  reason: is too long\n";
    assert_eq!(outcome.err, expected);
}

#[test]
fn a_reload_that_holds_a_route_is_1() {
    let answer = r#"{"revision":7,"held":[{"route":"blogs","reason":"rolled back"}]}"#;
    let outcome = run(&Stub::new(200, answer).url, "reload");
    assert_eq!(outcome.code, Code::Failed);
    assert!(
        outcome.out.contains("held: blogs: rolled back"),
        "{}",
        outcome.out
    );
    assert_eq!(
        run(&Stub::new(200, r#"{"revision":7}"#).url, "reload").code,
        Code::Done
    );
}

#[test]
fn something_else_on_the_port_is_69() {
    let outcome = run(&Stub::new(200, "<html>hello</html>").url, "status");
    assert_eq!(outcome.code, Code::Unreachable);
    assert!(outcome.err.contains("not JSON"));
    let outcome = run(&Stub::new(502, "<html>bad gateway</html>").url, "status");
    assert_eq!(outcome.code, Code::Failed);
    assert!(outcome.err.contains("<html>bad gateway</html>"));
}

#[test]
fn a_change_without_an_answer_may_have_been_carried_out() {
    let outcome = run(&Stub::mute().url, "rollback");
    assert_eq!(outcome.code, Code::Unreachable);
    assert!(
        outcome.err.contains("may have been carried out"),
        "{}",
        outcome.err
    );
    let outcome = run(&Stub::mute().url, "status");
    assert!(!outcome.err.contains("may have been carried out"));
}

#[track_caller]
fn sends(line: &str, first: &str, body: Value) -> String {
    let stub = Stub::new(200, "{}");
    run(&stub.url, line);
    let asked = stub.asked();
    assert!(asked.head.starts_with(first), "{line}: {}", asked.head);
    let sent = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
    assert_eq!(sent, body, "{line}");
    asked.head
}

#[test]
fn each_verb_is_the_call_of_the_contract() {
    sends("status", "get /api/v1/status http/1.1", Value::Null);
    sends("status|blogs", "get /api/v1/routes/blogs http", Value::Null);
    sends(
        "weights|a/b c",
        "get /api/v1/routes/a%2fb%20c http",
        Value::Null,
    );
    sends("history", "get /api/v1/history?limit=100 http", Value::Null);
    sends(
        "history|--limit|5",
        "get /api/v1/history?limit=5 http",
        Value::Null,
    );
    sends("rollback", "post /api/v1/rollback http", json!({}));
    let why = json!({"reason": "5xx"});
    sends(
        "rollback|blogs|--reason|5xx",
        "post /api/v1/routes/blogs/rollback http",
        why,
    );
    sends(
        "resume|blogs",
        "post /api/v1/routes/blogs/resume http",
        json!({}),
    );
    sends(
        "restore|41",
        "post /api/v1/restore http",
        json!({"revision": 41}),
    );
    let dry = json!({"dry_run": true});
    sends("reload|--dry-run", "post /api/v1/reload http", dry);
    let force = json!({"force": true});
    sends(
        "reshuffle|blogs|--force",
        "post /api/v1/routes/blogs/reshuffle http",
        force,
    );
    let weights =
        json!({"weights": {"ec2": 70, "ecs": 30}, "reason": "x", "dry_run": true, "force": true});
    sends(
        "weights|blogs|ec2=70|ecs=30|--reason|x|--dry-run|--force",
        "put /api/v1/routes/blogs/weights http",
        weights,
    );
    let question = json!({
        "method": "GET", "url": "http://a.example/",
        "headers": [["X-Canary", "on"], ["Cookie", "a=b; c=d"]], "client_ip": "192.0.2.1",
    });
    sends(
        "explain|GET|http://a.example/|-H|X-Canary: on|--cookie|a=b|--cookie|c=d|--from|192.0.2.1",
        "post /api/v1/explain http",
        question,
    );
}

#[test]
fn one_route_is_shown_with_the_health_of_its_pools() {
    let both = json!({
        "name": "blogs", "stable": "ec2", "weights": {"ec2": 95, "ecs": 5}, "state": "normal",
        "pools": [{"name": "ecs", "healthy": 1, "total": 2}],
    });
    let stub = Stub::new(200, &both.to_string());
    let outcome = run(&stub.url, "weights|blogs");
    assert!(outcome.out.contains("1 of 2"), "{}", outcome.out);
    assert!(stub.asked().head.starts_with("get /api/v1/routes/blogs "));
    assert!(stub.asked().head.starts_with("get /api/v1/status "));
    run(&stub.url, "weights|blogs|--json");
    assert!(stub.asked().head.starts_with("get /api/v1/routes/blogs "));
    assert!(stub.nothing_asked());
}

#[test]
fn a_revision_and_a_token_travel_in_headers() {
    let head = sends("rollback|--if-revision|41", "post", json!({}));
    assert!(head.contains("if-match: \"41\"\r\n"), "{head}");
    assert!(!head.contains("authorization"));

    let stub = Stub::new(200, "{}");
    let surroundings = Surroundings {
        token: Some("secret".into()),
        ..plain()
    };
    run_in(&stub.url, "status", &surroundings);
    assert!(
        stub.asked()
            .head
            .contains("authorization: bearer secret\r\n")
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    run_in(
        &stub.url,
        &format!("status|--token-file|{}", file.display()),
        &surroundings,
    );
    assert!(
        stub.asked()
            .head
            .contains("authorization: bearer from-file\r\n")
    );
}

#[test]
fn a_token_file_that_cannot_be_used_is_told_before_anything_is_asked() {
    let stub = Stub::new(200, SET);
    let outcome = run(&stub.url, "rollback|--token-file|/nowhere/token");
    assert_eq!(outcome.code, Code::Usage);
    assert!(outcome.err.contains("--token-file /nowhere/token"));
}

#[test]
fn the_environment_names_routers_and_an_option_beats_it() {
    let stub = Stub::new(200, SET);
    let named = |admin: &str| Surroundings {
        admin: Some(admin.into()),
        ..plain()
    };
    let line = || Arguments::read(["kanaria", "rollback"].map(OsString::from)).unwrap();
    let both = format!("{}, {}", stub.url, stub.url);
    let outcome = execute(line(), &NO_PROGRAM, &named(&both));
    assert_eq!(outcome.code, Code::Done);
    assert_eq!(outcome.out.matches("== http").count(), 2);
    let outcome = execute(line(), &NO_PROGRAM, &named("9900"));
    assert_eq!(outcome.code, Code::Usage);
    assert!(outcome.err.starts_with("kanaria: KANARIA_ADMIN `9900`: "));
    assert_eq!(
        run_in(&stub.url, "rollback", &named("9900")).code,
        Code::Done
    );
}

#[test]
fn a_unix_socket_is_as_good() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::unix(&folder.path().join("admin.sock"), 200, SET);
    let outcome = run(&stub.url, "weights|blogs|ec2=70|ecs=30");
    assert_eq!(outcome.code, Code::Done, "{}", outcome.err);
    assert!(stub.asked().head.contains("host: localhost\r\n"));
}

#[test]
fn one_dead_router_of_three_is_75_and_all_are_asked() {
    let (first, dead, last) = (Stub::new(200, SET), Stub::dead(), Stub::new(200, SET));
    let outcome = run(&format!("{},{dead},{}", first.url, last.url), "rollback");
    assert_eq!(outcome.code, Code::Partial);
    for stub in [&first, &last] {
        assert!(stub.asked().head.starts_with("post /api/v1/rollback"));
        assert!(outcome.out.contains(&format!("== {}\n", stub.url)));
    }
    assert!(
        outcome
            .err
            .contains(&format!("no router answers at {dead}"))
    );
}

#[test]
fn several_routers_make_one_json_document_in_the_order_named() {
    let (good, bad) = (Stub::new(200, SET), problem(409, "latched"));
    // Without a socket the answer is there before any other.
    let admin = format!("{},unix:/nowhere/admin.sock,{}", good.url, bad.url);
    let outcome = run(&admin, "rollback|--json");
    assert_eq!(outcome.code, Code::Partial);
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(document[0]["admin"], json!(good.url));
    assert_eq!(document[0]["answer"]["revision"], 42);
    assert_eq!(document[1]["problem"]["title"], "no router answers");
    assert_eq!(document[2]["problem"]["detail"], "latched");
    assert!(outcome.err.contains(&format!("{}: latched", bad.url)));
}

#[test]
fn json_of_one_router_is_what_it_answered() {
    let outcome = run(&Stub::new(200, SET).url, "--json|rollback");
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(document, serde_json::from_str::<Value>(SET).unwrap());
    let outcome = run(&problem(409, "latched").url, "--json|resume|blogs");
    assert_eq!(outcome.code, Code::Failed);
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(document["detail"], "latched");
}

#[test]
fn verbs_without_a_router_ask_nobody() {
    let dead = Stub::dead();
    let manual = run(&dead, "man");
    assert_eq!(manual.code, Code::Done);
    for word in [".TH kanaria 1", "kanaria\\-rollback", "dry\\-run"] {
        assert!(manual.out.contains(word), "{word}");
    }
    let completions = run(&dead, "completions|bash");
    assert!(completions.out.contains("_kanaria()"));
}

#[test]
fn a_journal_is_checked_where_the_file_or_the_operator_says() {
    let program = Program {
        state_dir: |file| Ok(file.with_file_name("state")),
        verify: |place| {
            if place.ends_with("torn") {
                return Err(vec!["line 3: it was changed".into()]);
            }
            Ok(Verified {
                entries: 2,
                first_revision: 1,
                last_revision: 2,
                last_time: place.display().to_string(),
            })
        },
        ..NO_PROGRAM
    };
    let verify = |line: &str| {
        let words = ["kanaria", "history", "verify"].into_iter();
        let words = words.chain(line.split('|').filter(|word| !word.is_empty()));
        execute(
            Arguments::read(words.map(OsString::from)).unwrap(),
            &program,
            &plain(),
        )
    };
    for (line, place) in [
        ("", "state"),
        ("-c|a/b.toml", "a/state"),
        ("--state-dir|s", "s"),
        ("x.jsonl", "x.jsonl"),
    ] {
        let outcome = verify(line);
        let expected = format!(
            "the journal in {place} is intact: 2 changes, revisions 1 to 2, the last one at {place}\n"
        );
        assert_eq!((outcome.code, outcome.out), (Code::Done, expected));
    }
    let outcome = verify("torn");
    assert_eq!(outcome.code, Code::Failed);
    assert_eq!(
        outcome.err,
        "kanaria: the journal in torn is not intact: 1 fault\n  line 3: it was changed\n"
    );
}

#[test]
fn a_file_is_told_valid_or_all_its_problems() {
    let words = ["kanaria", "check", "a.toml", "--json"].map(OsString::from);
    let program = Program {
        check: |_| Err(Invalid::of(&["first", "second"])),
        ..NO_PROGRAM
    };
    let outcome = execute(Arguments::read(words).unwrap(), &program, &plain());
    assert_eq!(outcome.code, Code::Invalid);
    assert_eq!(
        outcome.err,
        "first\n\nsecond\n\nkanaria: a.toml is not valid: 2 problems\n"
    );
    let document: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(
        document,
        json!({"ok": false, "problems": ["first", "second"]})
    );
}
