//! Start, reload, drain, exit.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{DEADLINE, File, Kanaria, Stub, command, get, until, within};

/// A stub that answers `/slow` only when told to.
fn gated() -> (Stub, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let stub = Stub::with("ec2", move |exchange| {
        if exchange.path() == "/slow" {
            // The test ends when the gate does.
            let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
        }
        exchange.plain()
    });
    (stub, go)
}

#[test]
fn a_taken_port_ends_the_start_at_once() {
    let ec2 = Stub::start("ec2");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let bind = "name = \"public\"\nbind = \"";
    for (from, to) in [
        (format!("{bind}127.0.0.1:0"), format!("{bind}{port}")),
        (
            "[admin]\nbind = \"127.0.0.1:0".into(),
            format!("[admin]\nbind = \"{port}"),
        ),
    ] {
        let text = File::single(&ec2).text().replace(&from, &to);
        std::fs::write(folder.path().join("kanaria.toml"), text).unwrap();
        let outcome = command(folder.path(), &["run", "-c", "kanaria.toml"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
        assert!(outcome.stderr.contains(&port), "{}", outcome.stderr);
    }
}

#[test]
fn a_refused_file_ends_the_start_with_78_and_every_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version = 1\nnonsense = 1\n[server]\nthreads = \"two\"\n";
    std::fs::write(folder.path().join("kanaria.toml"), text).unwrap();
    let outcome = command(folder.path(), &["run", "-c", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(78), "{outcome:?}");
    for part in ["nonsense", "threads", "kanaria.toml:2", "kanaria.toml:4"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_as_soon_as_it_is_done() {
    let (ec2, go) = gated();
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    let mut idle = kanaria.client();
    assert_eq!(idle.call(get("/", "")).status, 200);
    let mut client = kanaria.client();
    client.wire.send(get("/slow", "")).unwrap();
    until("the slow request is in flight", || {
        (ec2.count() == 2).then_some(())
    });
    kanaria.signal(Signal::TERM);
    assert!(idle.wire.closed(), "idle connections are closed");
    assert!(!kanaria.ended());
    go.send(()).unwrap();
    assert_eq!(client.answer(false).unwrap().text(), "ec2");
    drop(client);
    let done = Instant::now();
    let status = kanaria.wait();
    println!("exit {:?} after the last answer", done.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(
        done.elapsed() < Duration::from_secs(2),
        "{:?}",
        done.elapsed()
    );
    assert_eq!(kanaria.log().len(), 2);
}

#[test]
fn sigterm_without_requests_exits_at_once() {
    let ec2 = Stub::start("ec2");
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    let _unused = kanaria.client();
    let began = Instant::now();
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_drain_ends_at_its_timeout_and_the_cut_request_is_logged() {
    let (ec2, _go) = gated();
    let mut kanaria = Kanaria::start(&File::single(&ec2).server("drain_timeout = \"500ms\""));
    let mut client = kanaria.client();
    client.wire.send(get("/slow", "")).unwrap();
    until("the slow request is in flight", || {
        (ec2.count() == 1).then_some(())
    });
    let began = Instant::now();
    kanaria.signal(Signal::TERM);
    kanaria.wait();
    println!("ended after {:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert!(began.elapsed() < Duration::from_secs(5));
    let log = kanaria.log();
    assert_eq!(log.len(), 1, "{log:#?}");
    assert_eq!(log[0]["error"], "shutdown");
}

#[test]
fn a_second_sigterm_exits_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let (ec2, _go) = gated();
        let mut kanaria = Kanaria::start(&File::single(&ec2));
        let mut client = kanaria.client();
        client.wire.send(get("/slow", "")).unwrap();
        until("the slow request is in flight", || {
            (ec2.count() == 1).then_some(())
        });
        let mut idle = kanaria.client();
        kanaria.signal(Signal::TERM);
        assert!(idle.wire.closed(), "the drain has begun");
        assert!(!kanaria.ended());
        let began = Instant::now();
        kanaria.signal(second);
        kanaria.wait();
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(kanaria.log().len(), 1);
    }
}

#[test]
fn before_the_drain_readiness_says_so_while_requests_are_still_taken() {
    let ec2 = Stub::start("ec2");
    let mut kanaria = Kanaria::start(&File::single(&ec2).server("pre_drain = \"1s\""));
    kanaria.signal(Signal::TERM);
    until("/readyz answers 503", || {
        let answer = kanaria
            .admin
            .try_call("GET", "/readyz", &serde_json::Value::Null)?;
        (answer.status == 503).then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    assert_eq!(kanaria.wait().code(), Some(0));
}

#[test]
fn sighup_reloads_and_never_kills() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let refused = |kanaria: &Kanaria| kanaria.client().call(get("/", "Host: a\r\n")).status == 404;
    assert!(!refused(&kanaria));
    let narrow = File::single(&ec2).route("match = { host = [\"www.example.com\"] }");
    kanaria.rewrite(&narrow.text());
    kanaria.signal(Signal::HUP);
    until("the new file is in force", || {
        refused(&kanaria).then_some(())
    });
}

#[test]
fn sigusr1_reopens_the_access_log() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.client().call(get("/1", ""));
    kanaria.log_of(1);
    std::fs::rename(kanaria.path("access.json"), kanaria.path("access.json.1")).unwrap();
    kanaria.signal(Signal::USR1);
    until("the log is there again", || {
        kanaria.path("access.json").exists().then_some(())
    });
    kanaria.client().call(get("/2", ""));
    assert_eq!(kanaria.log_of(1)[0]["path"], "/2");
    let old = std::fs::read_to_string(kanaria.path("access.json.1")).unwrap();
    assert_eq!(old.lines().count(), 1);
}

#[test]
fn it_starts_while_every_target_is_down_and_recovers_by_itself() {
    let ec2 = Stub::start("ec2");
    ec2.die();
    let kanaria = Kanaria::start(
        &File::single(&ec2).pool_keys("ec2", "ejection = { base_time = \"200ms\" }"),
    );
    let status = kanaria.client().call(get("/", "")).status;
    assert!(matches!(status, 502 | 503), "{status}");
    ec2.revive();
    let back = within(DEADLINE, || {
        (kanaria.client().call(get("/", "")).status == 200).then_some(())
    });
    assert!(back.is_some());
}

#[test]
fn variables_in_the_file_come_from_the_environment() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    let text = File::single(&ec2)
        .text()
        .replace("name = \"web\"", "name = \"${BRANCH:-master}\"");
    std::fs::write(folder.path().join("kanaria.toml"), &text).unwrap();
    let kanaria = Kanaria::start_there(folder, &[("BRANCH", "topic")]);
    assert_eq!(
        kanaria.admin.get("/api/v1/status")["routes"][0]["name"],
        "topic"
    );
    let folder = kanaria.kill();
    let kanaria = Kanaria::start_there(folder, &[]);
    assert_eq!(
        kanaria.admin.get("/api/v1/status")["routes"][0]["name"],
        "master"
    );
}
