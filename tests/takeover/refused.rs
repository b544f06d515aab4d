//! A new process that does not come up: the old one goes on as if nothing had been.

use std::fs;
use std::io::{PipeReader, PipeWriter, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::{File, Kanaria, Load, Stub, command, get, until};

const UPGRADE: [&str; 4] = ["run", "--upgrade", "-c", "kanaria.toml"];

/// A router whose next process takes seconds to be ready: a target accepts and never answers its first check.
fn slow_to_start(ec2: &Stub, ecs: &Stub) -> (Kanaria, TcpListener) {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = "health_check = { path = \"/\", timeout = \"60s\", interval = \"120s\" }";
    let file = File::split(ec2, ecs, "ec2 = 50, ecs = 50")
        .pool("mute", &[mute.local_addr().unwrap()])
        .pool_keys("mute", check);
    (Kanaria::start(&file), mute)
}

#[track_caller]
fn goes_on(kanaria: &Kanaria) {
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    kanaria.admin.set_web(70, 30);
    let journal = kanaria.run(&["history", "verify", "--state-dir", "state"]);
    assert_eq!(journal.code, Some(0), "{journal:?}");
}

#[test]
fn a_broken_file_or_a_taken_port_ends_the_new_process_and_nothing_else() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let mut kanaria = Kanaria::start(&file);
    let load = Load::start(kanaria.public, 4, 100);
    kanaria.rewrite("version = 1\nnonsense = 1\n");
    let outcome = command(&kanaria.path(""), &UPGRADE);
    assert_eq!(outcome.code, Some(78), "{outcome:?}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!(
        "[[listeners]]\nname = \"b\"\nbind = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    kanaria.rewrite(&file.clone().after(&taken).text());
    let outcome = command(&kanaria.path(""), &UPGRADE);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot be bound"), "{outcome:?}");
    goes_on(&kanaria);
    kanaria.rewrite(&file.text());
    let _old = kanaria.upgrade();
    goes_on(&kanaria);
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!("{} requests, {failed} failed, bound 0", shots.len());
    assert_eq!(failed, 0);
}

#[test]
fn a_new_process_killed_on_the_way_leaves_the_old_one_where_it_was() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let (kanaria, _mute) = slow_to_start(&ec2, &ecs);
    for round in 1..=2 {
        let mut new = kanaria.spawn(&UPGRADE);
        until("it asked to take over", || {
            let asked = kanaria.stderr().matches("asks to take over").count();
            (asked == round).then_some(())
        });
        new.kill();
        until("the old one goes on", || {
            let on = kanaria.stderr().matches("this process goes on").count();
            (on == round).then_some(())
        });
        goes_on(&kanaria);
    }
}

#[test]
fn of_two_upgrades_at_once_the_second_is_refused() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let (kanaria, _mute) = slow_to_start(&ec2, &ecs);
    let mut first = kanaria.spawn(&UPGRADE);
    until("the first asked", || {
        kanaria.stderr().contains("asks to take over").then_some(())
    });
    let second = command(&kanaria.path(""), &UPGRADE);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stderr.contains("an upgrade is under way"),
        "{second:?}"
    );
    first.kill();
}

#[test]
fn a_rollback_does_not_wait_for_an_upgrade() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let (kanaria, _mute) = slow_to_start(&ec2, &ecs);
    // The API accepts nobody new while the state is lent; who is connected already is heard.
    let mut operator = crate::support::Client::connect(kanaria.admin.address);
    let host = format!("Host: {}\r\n", kanaria.admin.address);
    assert_eq!(operator.call(get("/livez", &host)).status, 200);
    let mut new = kanaria.spawn(&UPGRADE);
    until("the state is lent", || {
        kanaria.stderr().contains("handing over").then_some(())
    });
    let body = "{\"reason\":\"now\"}";
    let fields = format!("{host}Content-Type: application/json\r\n");
    let rollback = crate::support::request("POST", "/api/v1/rollback", &fields, body);
    let answer = operator.call(rollback);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(new.wait().code(), Some(1));
    assert!(kanaria.stderr().contains("a rollback came first"));
    for _ in 0..20 {
        assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    }
}

/// A new process that hangs once it was told to go: it says where it listens, and nobody reads that.
#[test]
fn a_new_process_that_hangs_after_the_word_is_ended_and_a_rollback_is_carried_out() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50");
    let mut kanaria = Kanaria::start(&file);
    let mut operator = crate::support::Client::connect(kanaria.admin.address);
    let host = format!("Host: {}\r\n", kanaria.admin.address);
    assert_eq!(operator.call(get("/livez", &host)).status, 200);
    let (_unread, full) = full_pipe();
    let mut new = kanaria.spawn_saying_to(&UPGRADE, full);
    until("it was told to go", || {
        kanaria.stderr().contains("is told to go").then_some(())
    });
    let began = Instant::now();
    let fields = format!("{host}Content-Type: application/json\r\n");
    let rollback = crate::support::request("POST", "/api/v1/rollback", &fields, "{}");
    let answer = operator.call(rollback);
    let took = began.elapsed();
    println!("a rollback was answered after {took:?}; bound 10 s");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!new.wait().success());
    until("the old one goes on", || {
        kanaria.stderr().contains("and was ended").then_some(())
    });
    for _ in 0..20 {
        assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    }
    let _old = kanaria.upgrade();
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
}

/// The two ends of a pipe that takes no byte more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    while (&writer).write(b".").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn changes_asked_for_while_a_new_process_comes_up_wait_and_are_never_lost() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let (mut kanaria, _mute) = slow_to_start(&ec2, &ecs);
    let admin = kanaria.admin;
    let (first, changed) = std::sync::mpsc::channel();
    let changes = std::thread::spawn(move || {
        let _ = first.send(admin.set_web(99, 1));
        for ecs in 2..=20 {
            admin.set_web(100 - ecs, ecs);
        }
    });
    changed
        .recv_timeout(Duration::from_secs(10))
        .expect("a change is answered");
    let _old = kanaria.upgrade();
    changes.join().expect("every change is answered 200");
    let weights = &kanaria.admin.get("/api/v1/routes/web")["weights"];
    assert_eq!(*weights, serde_json::json!({ "ec2": 80, "ecs": 20 }));
    let journal = fs::read_to_string(kanaria.path("state/journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"kind\":\"weights\"").count(), 20);
}
