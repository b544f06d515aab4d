//! `run --upgrade`: a new process takes over from the old one, and no client notices.

mod refused;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http::request::Builder;
use rustix::process::Signal;
use serde_json::json;

use crate::support::http2::{Http2, Reply, ask};
use crate::support::tls::{Authority, Wanted};
use crate::support::{Client, File, Kanaria, Load, Stub, get, long, sized, until};
use crate::tls::shown;

/// A target whose answers may take a while, so that some are in flight at any moment.
fn stubs() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

#[test]
fn upgrades_in_a_row_under_keep_alive_and_h2c_lose_no_request_and_no_change() {
    let (ec2, ecs) = stubs();
    let file = File::split(&ec2, &ecs, "ec2 = 90, ecs = 10").h2c();
    let mut kanaria = Kanaria::start(&file);
    let rate = sized(200, 250);
    let load = Load::start(kanaria.public, 8, rate);
    let loaded = Instant::now();
    let address = kanaria.public;
    let streams = load_of_streams(rate, || ask("GET", "/"), move || Http2::connect(address));
    let n = sized(3, 20);
    let mut ended = Vec::new();
    for round in 1..=n {
        load.pass(rate / 4);
        let done = kanaria.admin.set_web(100 - round as u32, round as u32);
        let before = done["revision"].as_u64().unwrap();
        let began = Instant::now();
        ended.push(kanaria.upgrade());
        println!("upgrade {round} took {:?}", began.elapsed());
        let route = kanaria.admin.get("/api/v1/routes/web");
        assert_eq!(
            route["weights"],
            json!({ "ec2": 100 - round, "ecs": round })
        );
        assert_eq!(kanaria.admin.revision(), before);
        load.pass(rate / 4);
    }
    let per_second = |n: usize| n as f64 / loaded.elapsed().as_secs_f64();
    let shots = load.stop();
    let (n_streams, lost_streams) = streams();
    let reached = per_second(shots.len() + n_streams);
    let failed: Vec<_> = shots.iter().filter(|shot| shot.status != 200).collect();
    println!(
        "{n} upgrades, {} requests on keep-alive, {} lost; {n_streams} on h2c, {lost_streams} lost; bound 0; {reached:.0} a second, asked for {}",
        shots.len(),
        failed.len(),
        2 * rate,
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(lost_streams, 0);
    for old in &mut ended {
        assert_eq!(old.wait().code(), Some(0));
    }
    let lines = kanaria.log_of(shots.len() + n_streams).len();
    assert_eq!(
        lines,
        shots.len() + n_streams,
        "one line a request, of whichever process"
    );
}

#[test]
fn upgrades_and_renewed_certificates_lose_no_request_over_tls() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let host = "a.test";
    authority.issue(&certs, host, Wanted::hosts(&[host]));
    let file = File::single(&ec2).tls("certificates = [\"certs\"], ticket_keys = \"tickets\"");
    let mut kanaria = Kanaria::start_in(folder, &file);
    let (address, hello, rate) = (kanaria.public, authority.hello(host), sized(100, 250));
    let load = Load::over(&hello, address, 8, rate);
    let loaded = Instant::now();
    let kept = hello.clone();
    let connect = move || Http2::connect_over(address, &kept);
    let ask_host = move || ask("GET", "/").uri(format!("https://{host}/"));
    let streams = load_of_streams(rate, ask_host, connect);
    let n = sized(2, 10);
    let mut ended = Vec::new();
    for round in 1..=n {
        load.pass(rate / 4);
        let before = shown(&hello.clone().anew(), address);
        authority.issue(&certs, host, Wanted::hosts(&[host]));
        if round % 2 == 0 {
            // Now and then the process that takes over is the first to read it.
            until("the renewed certificate is used", || {
                Some(shown(&hello.clone().anew(), address)).filter(|shown| *shown != before)
            });
        }
        ended.push(kanaria.upgrade());
        assert_ne!(shown(&hello.clone().anew(), address), before, "{round}");
        load.pass(rate / 4);
    }
    let per_second = |n: usize| n as f64 / loaded.elapsed().as_secs_f64();
    let shots = load.stop();
    let (n_streams, lost_streams) = streams();
    let reached = per_second(shots.len() + n_streams);
    let failed: Vec<_> = shots.iter().filter(|shot| shot.status != 200).collect();
    println!(
        "{n} upgrades with {n} renewed certificates, {} requests over TLS, {} lost; {n_streams} on h2 over TLS, {lost_streams} lost; bound 0; {reached:.0} a second, asked for {}",
        shots.len(),
        failed.len(),
        2 * rate,
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(lost_streams, 0);
    for old in &mut ended {
        assert_eq!(old.wait().code(), Some(0));
    }
    let n_sent = shots.len() + n_streams;
    assert_eq!(kanaria.log_of(n_sent).len(), n_sent, "one line a request");
}

/// Connections of HTTP/2 that share a load.
const LANES: usize = 4;

/// Requests on HTTP/2 until the answer is asked for: how many, and how many were lost. A client that is told to go opens
/// another connection, and sends what GOAWAY says was never looked at once more there (RFC 9113 section 6.8); had it been
/// looked at, it would have a line in the log too many.
fn load_of_streams(
    rate: usize,
    request: impl Fn() -> Builder + Send + Sync + 'static,
    connect: impl Fn() -> Http2 + Send + Sync + 'static,
) -> impl FnOnce() -> (usize, usize) {
    let shared = Arc::new((AtomicBool::new(false), request, connect));
    let pace = Duration::from_secs_f64(LANES as f64 / rate as f64);
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (stop, request, connect) = &*shared;
                lane(stop, pace, request, connect)
            })
        })
        .collect();
    move || {
        shared.0.store(true, Ordering::Release);
        let lanes = lanes.into_iter();
        let lanes = lanes.map(|lane| lane.join().expect("a stream is answered"));
        lanes.fold((0, 0), |all, lane| (all.0 + lane.0, all.1 + lane.1))
    }
}

fn lane(
    stop: &AtomicBool,
    pace: Duration,
    request: impl Fn() -> Builder,
    connect: impl Fn() -> Http2,
) -> (usize, usize) {
    let (mut sent, mut lost) = (0, 0);
    let mut client = connect();
    let began = Instant::now();
    while !stop.load(Ordering::Acquire) {
        let due = began + pace * sent;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sent += 1;
        let outcome = stream(&client, request()).or_else(|| {
            client = connect();
            stream(&client, request())
        });
        if !matches!(outcome, Some(Ok(200))) {
            println!("lost: {outcome:?}");
            lost += 1;
        }
    }
    (sent as usize, lost)
}

/// The status of the answer; `None` when the request was not sent, or never looked at.
fn stream(client: &Http2, request: Builder) -> Option<Result<u16, h2::Error>> {
    let call = client.try_begin(request, true).ok()?;
    let reply = client.wait(Reply::read(call.answer));
    let is_refused = reply.as_ref().is_err_and(is_sent_away);
    (!is_refused).then(|| reply.map(|reply| reply.status))
}

fn is_sent_away(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

#[test]
fn a_kept_connection_is_told_to_go_with_its_next_answer() {
    let (ec2, _) = stubs();
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    let mut kept = kanaria.client();
    assert!(!kept.call(get("/", "")).closes());
    let mut old = kanaria.upgrade();
    assert!(!old.ended(), "it waits for the connection that it kept");
    let last = kept.call(get("/", ""));
    assert_eq!((last.status, last.closes()), (200, true));
    assert!(kept.wire.closed());
    assert_eq!(old.wait().code(), Some(0));
}

#[test]
fn what_is_in_flight_is_finished_by_the_old_process_and_a_websocket_has_the_drain_timeout() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |exchange| {
        if exchange.path() == "/slow" {
            let _ = gate.lock().expect("one at a time").recv();
        }
        exchange.plain()
    });
    let mut kanaria = Kanaria::start(&File::single(&ec2).server("drain_timeout = \"20s\""));
    let mut slow = kanaria.client();
    slow.wire.send(get("/slow", "")).unwrap();
    until("the slow request is in flight", || {
        (ec2.count() == 1).then_some(())
    });
    let mut old = kanaria.upgrade();
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    assert!(!old.ended());
    go.send(()).unwrap();
    assert_eq!(slow.answer(false).unwrap().text(), "ec2");
    assert_eq!(old.wait().code(), Some(0));
}

#[test]
fn a_drain_timeout_ends_what_stays_with_the_old_process() {
    let (ec2, _) = stubs();
    let mut kanaria = Kanaria::start(&File::single(&ec2).server("drain_timeout = \"500ms\""));
    let mut idle = kanaria.client();
    assert_eq!(idle.call(get("/", "")).status, 200);
    let began = Instant::now();
    let mut old = kanaria.upgrade();
    assert_eq!(old.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(idle.wire.closed());
}

#[test]
fn the_new_process_reads_the_file_of_today_and_binds_what_is_new() {
    let (ec2, ecs) = stubs();
    let file = File::split(&ec2, &ecs, "ec2 = 100, ecs = 0");
    let mut kanaria = Kanaria::start(&file);
    kanaria.admin.set_web(60, 40);
    let more = "[[listeners]]\nname = \"second\"\nbind = \"127.0.0.1:0\"\n";
    kanaria.rewrite(&file.after(more).text());
    assert_eq!(
        kanaria.run(&["reload"]).code,
        Some(1),
        "a reload cannot do that"
    );
    let public = kanaria.public;
    let _old = kanaria.upgrade();
    assert_eq!(kanaria.public, public);
    let second = kanaria.listener("second");
    assert_eq!(Client::connect(second).call(get("/", "")).status, 200);
    let route = kanaria.admin.get("/api/v1/routes/web");
    assert_eq!(
        route["weights"],
        json!({ "ec2": 60, "ecs": 40 }),
        "live weights are kept"
    );
    // The file of today is a revision of its own, which is written once the old process has let go.
    let status = until("it is written down", || {
        let status = kanaria.admin.get("/api/v1/status");
        (status["durable"] == true).then_some(status)
    });
    assert_eq!(status["state"], "kept");
    let journal = kanaria.run(&["history", "verify", "--state-dir", "state"]);
    assert_eq!(journal.code, Some(0), "{journal:?}");
}

#[test]
fn marks_and_targets_of_operators_are_taken_over() {
    let (ec2, ecs) = stubs();
    let more = Stub::start("more");
    let mut kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    let added = more.address.to_string();
    let gone = ec2.address.to_string();
    for verb in [
        ["targets", "register", "ec2", &added],
        ["targets", "deregister", "ec2", &gone],
    ] {
        assert_eq!(kanaria.run(&verb).code, Some(0));
    }
    assert_eq!(kanaria.run(&["rollback"]).code, Some(0));
    let _old = kanaria.upgrade();
    let n_before = ec2.count();
    for _ in 0..20 {
        assert_eq!(kanaria.client().call(get("/", "")).text(), "more");
    }
    assert_eq!(ec2.count(), n_before);
    let raise = kanaria.run(&["weights", "web", "ec2=90", "ecs=10"]);
    assert_eq!(raise.code, Some(1), "the mark is kept: {raise:?}");
}

#[test]
fn a_unix_socket_of_the_admin_api_goes_from_one_to_the_next() {
    let (ec2, _) = stubs();
    let folder = tempfile::tempdir().unwrap();
    let text = File::single(&ec2).text();
    let text = text.replace(
        "bind = \"127.0.0.1:0\"\n\n",
        "bind = \"unix:admin.sock\"\n\n",
    );
    fs::write(folder.path().join("kanaria.toml"), text).unwrap();
    let mut kanaria = Kanaria::start_unix(folder);
    until("it can be taken over from", || {
        kanaria.path("state/upgrade.sock").exists().then_some(())
    });
    for _ in 0..2 {
        let mut old = kanaria.upgrade();
        assert_eq!(old.wait().code(), Some(0));
        let admin = format!("unix:{}", kanaria.path("admin.sock").display());
        let status = crate::support::command(&kanaria.path(""), &["status", "--admin", &admin]);
        assert_eq!(status.code, Some(0), "{status:?}");
    }
}

#[test]
fn quit_and_no_old_process_are_nothing_to_fear() {
    let (ec2, _) = stubs();
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.signal(Signal::QUIT);
    until("it says so", || {
        kanaria.stderr().contains("QUIT").then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    assert!(!kanaria.path("state/upgrade.sock").exists());
    let kanaria = kanaria.again(&["run", "--upgrade", "-c", "kanaria.toml"]);
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    assert!(kanaria.stderr().contains("nothing to take over"));
}

#[test]
fn connections_that_come_all_the_time_are_all_accepted() {
    let (ec2, _) = stubs();
    let mut kanaria = Kanaria::start(&File::single(&ec2).quiet());
    let address = kanaria.public;
    let n = if long() { 20 } else { 3 };
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let comers = thread::spawn(move || {
        let mut count = 0;
        while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
            let answer = Client::connect(address).call(get("/", "Connection: close\r\n"));
            assert_eq!(answer.status, 200);
            count += 1;
        }
        count
    });
    let old: Vec<_> = (0..n).map(|_| kanaria.upgrade()).collect();
    drop(stop);
    let count: usize = comers.join().expect("every connection is served");
    drop(old);
    println!("{n} upgrades, {count} new connections, 0 refused, bound 0");
}
