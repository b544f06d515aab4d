//! The command line from outside: verbs, exit codes, what they print.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use serde_json::Value;

use crate::support::{File, Kanaria, Outcome, Stub, command, get};

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

fn all(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    for part in parts {
        assert!(
            all(outcome).contains(part),
            "`{part}` is not in {outcome:?}"
        );
    }
}

#[test]
fn usage_errors_are_64_and_help_is_0() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| command(folder.path(), arguments);
    for bad in [
        &["frobnicate"][..],
        &["weights"],
        &["rollback", "--nonsense"],
        &["run", "--nonsense"],
    ] {
        says(&run(bad), 64, &[]);
    }
    says(&run(&["weights", "web", "ec2=many"]), 64, &["ec2=many"]);
    says(
        &run(&["--help"]),
        0,
        &["rollback", "weights", "status", "demo"],
    );
    says(&run(&["--version"]), 0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn a_router_that_is_not_there_is_69() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [
        &["status"][..],
        &["rollback"],
        &["weights", "web"],
        &["history"],
        &["reload"],
    ] {
        let mut arguments = verb.to_vec();
        arguments.extend(["--admin", "http://127.0.0.1:1"]);
        says(&command(folder.path(), &arguments), 69, &["127.0.0.1:1"]);
    }
}

#[test]
fn a_missing_or_wrong_token_is_77() {
    let ec2 = Stub::start("ec2");
    // SHA-256 of "correct".
    let hash = sha256("correct");
    let token =
        format!("[[admin.tokens]]\nname = \"ci\"\nrole = \"viewer\"\nsha256 = \"{hash}\"\n");
    let kanaria = Kanaria::start(&File::single(&ec2).admin(&token));
    fs::write(kanaria.path("token"), "correct\n").unwrap();
    fs::write(kanaria.path("wrong"), "wrong\n").unwrap();
    says(
        &kanaria.run(&["status", "--token-file", "token"]),
        0,
        &["web"],
    );
    says(&kanaria.run(&["status", "--token-file", "wrong"]), 77, &[]);
    says(
        &kanaria.run(&["rollback", "--token-file", "token"]),
        77,
        &["viewer"],
    );
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn check_reports_every_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    fs::write(
        &path,
        "version = 1\nbogus = 1\n[server]\ndrain_timeout = \"5 parsecs\"\n",
    )
    .unwrap();
    let outcome = command(folder.path(), &["check", "bad.toml"]);
    says(
        &outcome,
        78,
        &["bogus", "drain_timeout", "bad.toml:2", "bad.toml:4", "^"],
    );
    let outcome = command(folder.path(), &["check", "bad.toml", "--json"]);
    assert_eq!(outcome.code, Some(78));
    let document: Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
    assert!(document.to_string().contains("\"line\""), "{document}");
    for verb in [&["check"][..], &["run", "-c"]] {
        let outcome = command(folder.path(), &[verb, &["absent.toml"]].concat());
        says(&outcome, 78, &["absent.toml is not valid: 1 problem\n"]);
    }
}

#[test]
fn every_shipped_example_passes_check() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut n = 0;
    for entry in fs::read_dir(&examples).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|kind| kind == "toml" || kind == "json")
        {
            let outcome = command(&examples, &["check", &path.display().to_string()]);
            says(&outcome, 0, &[]);
            n += 1;
        }
    }
    assert!(n >= 4, "{n} examples");
}

#[test]
fn schema_and_completions_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let schema = command(folder.path(), &["schema"]);
    let document: Value = serde_json::from_str(&schema.stdout).expect("a JSON Schema");
    assert!(document["properties"]["routes"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        says(
            &command(folder.path(), &["completions", shell]),
            0,
            &["rollback"],
        );
    }
}

#[test]
fn status_weights_and_history_tell_a_tired_person_what_is_live() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    says(
        &kanaria.run(&["status"]),
        0,
        &["web", "ec2", "ecs", "95", "5"],
    );
    let set = kanaria.run(&["weights", "web", "ec2=70", "ecs=30", "--reason", "step two"]);
    says(&set, 0, &["95", "5", "70", "30"]);
    says(&kanaria.run(&["weights", "web"]), 0, &["70", "30"]);
    says(&kanaria.run(&["status", "web"]), 0, &["70", "30"]);
    says(&kanaria.run(&["history"]), 0, &["step two", "local"]);
    let status = kanaria.run_json(&["status"]);
    assert_eq!(status["routes"][0]["weights"]["ecs"], 30);
}

#[test]
fn an_unknown_route_pool_or_number_changes_nothing_and_is_named() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let revision = kanaria.admin.revision();
    let cases: [(&[&str], &str); 5] = [
        (&["weights", "wbe", "ec2=1", "ecs=1"], "wbe"),
        (&["weights", "web", "ec2=1", "esc=1"], "esc"),
        (&["weights", "web", "ec2=1"], "ecs"),
        (&["weights", "web", "ec2=0", "ecs=0"], "0"),
        (&["rollback", "wbe"], "wbe"),
    ];
    for (arguments, part) in cases {
        let outcome = kanaria.run(arguments);
        assert!(matches!(outcome.code, Some(1 | 64)), "{outcome:?}");
        assert!(all(&outcome).contains(part), "{outcome:?}");
    }
    let stale = kanaria.run(&["weights", "web", "ec2=1", "ecs=1", "--if-revision", "999"]);
    says(&stale, 1, &[]);
    says(
        &kanaria.run(&["weights", "web", "ec2=1", "ecs=1", "--dry-run"]),
        0,
        &[],
    );
    assert_eq!(kanaria.admin.revision(), revision);
}

#[test]
fn rollback_with_one_router_dead_still_reaches_the_other() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let both = format!("http://127.0.0.1:1,http://{}", kanaria.admin.address);
    let folder = tempfile::tempdir().unwrap();
    let outcome = command(folder.path(), &["rollback", "--admin", &both]);
    says(&outcome, 75, &["127.0.0.1:1"]);
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
}

#[test]
fn explain_names_route_pool_and_reason_offline_and_running() {
    let (ec2, ecs) = pair();
    let file =
        File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").route("match = { path = [\"/shop/*\"] }");
    let kanaria = Kanaria::start(&file);
    let arguments = ["explain", "GET", "http://www.example.com/shop/1"];
    says(&kanaria.run(&arguments), 0, &["web", "ecs", "weight"]);
    let offline = [&arguments[..], &["-c", "kanaria.toml"]].concat();
    says(
        &command(&kanaria.path(""), &offline),
        0,
        &["web", "ecs", "weight"],
    );
    kanaria.admin.set_web(1, 0);
    says(&kanaria.run(&arguments), 0, &["web", "ec2", "weight"]);
}

#[test]
fn the_admin_api_works_over_a_unix_socket() {
    let (ec2, ecs) = pair();
    let text = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").text();
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("admin.sock").display());
    let text = text.replace(
        "[admin]\nbind = \"127.0.0.1:0\"",
        &format!("[admin]\nbind = \"{socket}\""),
    );
    fs::write(folder.path().join("kanaria.toml"), text).unwrap();
    let kanaria = Kanaria::start_unix(folder);
    for _ in 0..2 {
        says(
            &command(&kanaria.path(""), &["rollback", "--admin", &socket]),
            0,
            &["web"],
        );
    }
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
}

#[test]
fn the_demo_runs_without_a_file_and_says_what_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let free = [
        "--port",
        "0",
        "--admin-port",
        "0",
        "--ec2-port",
        "0",
        "--ecs-port",
        "0",
    ];
    let arguments = [&["demo", "--duration", "2"][..], &free].concat();
    let outcome = command(folder.path(), &arguments);
    says(&outcome, 0, &["curl", "weights", "rollback", "ec2", "ecs"]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let arguments = [
        "demo",
        "--duration",
        "2",
        "--port",
        &port,
        "--admin-port",
        "0",
        "--ec2-port",
        "0",
        "--ecs-port",
        "0",
    ];
    says(&command(folder.path(), &arguments), 1, &[&port, "--port"]);
}

#[test]
fn status_can_be_watched_while_things_change() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5"));
    let admin = format!("http://{}", kanaria.admin.address);
    let mut watching = std::process::Command::new(env!("CARGO_BIN_EXE_kanaria"))
        .args(["status", "--watch=1", "--admin", &admin])
        .env("NO_COLOR", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(watching.stdout.take().unwrap()));
    let mut wait = |text: &str| {
        let found = lines
            .by_ref()
            .take(400)
            .any(|line| line.unwrap().contains(text));
        assert!(found, "the watch ended before it told {text}");
    };
    wait("95.00 %");
    kanaria.admin.set_web(60, 40);
    wait("60.00 %");
    watching.kill().unwrap();
    watching.wait().unwrap();
    let wrong = kanaria.run(&["status", "--watch=0"]);
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
}
