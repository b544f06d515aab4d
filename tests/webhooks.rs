//! Services that are told what happens: in order, signed, tried again, and never waited for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use sha2::Sha256;

use crate::support::tls::{Authority, Wanted};
use crate::support::{After, Exchange, File, Kanaria, Seen, Stub, get, until};

/// A hook at `stub` with further keys.
fn hook(stub: &Stub, keys: &str) -> String {
    let address = stub.address;
    format!("[[webhooks]]\nurl = \"http://{address}/hook?a=b\"\nname = \"hook\"\n{keys}\n")
}

fn start(hooks: &str) -> (Stub, Stub, Kanaria) {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 95, ecs = 5").after(hooks));
    (ec2, ecs, kanaria)
}

fn counted(kanaria: &Kanaria, result: &str) -> f64 {
    let name = "kanaria_webhook_deliveries_total";
    kanaria.admin.metric(name, &["hook", result])
}

/// Holds the request until its sender has gone.
fn hang(exchange: &mut Exchange<'_>) -> std::io::Result<After> {
    exchange.body()?;
    let _ = exchange.wire.some();
    Ok(After::Close)
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).expect("a hook is sent JSON")
}

#[track_caller]
fn verify(seen: &Seen, secret: &str) {
    let value = seen.head.get("kanaria-signature").expect("it is signed");
    let (time, signature) = value.split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update([time.as_bytes(), b".", &seen.body].concat().as_slice());
    let expected = mac.finalize().into_bytes();
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, expected);
}

/// It fails twice, then hangs, then takes everything: each event comes once, in order, signed anew for each try.
#[test]
fn events_come_in_order_whatever_the_service_does_at_first() {
    let tries = AtomicUsize::new(0);
    let service = Stub::with("hook", move |exchange| {
        match tries.fetch_add(1, Ordering::AcqRel) {
            0 | 1 => exchange.answer("503 Service Unavailable", "", b""),
            2 => hang(exchange),
            _ => exchange.answer("204 No Content", "", b""),
        }
    });
    let keys = "secret = \"${HOOK_SECRET:-key}\"\ntimeout = \"300ms\"\nevents = [\"change\", \"rollback\", \"config_refused\"]";
    let (_ec2, _ecs, kanaria) = start(&hook(&service, keys));
    assert_eq!(counted(&kanaria, "failed"), 0.0);
    for ecs in [10, 20, 30] {
        kanaria.admin.set_web(100 - ecs, ecs);
    }
    let outcome = kanaria.run(&["rollback", "web", "--reason", "too slow"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let text = std::fs::read_to_string(kanaria.path("kanaria.toml")).unwrap();
    kanaria.rewrite("version = 2");
    assert_eq!(kanaria.run(&["reload"]).code, Some(78));
    kanaria.rewrite(&text);
    until("all are taken", || {
        (counted(&kanaria, "delivered") == 5.0).then_some(())
    });
    assert_eq!(
        [counted(&kanaria, "retried"), counted(&kanaria, "failed")],
        [3.0, 0.0]
    );
    let seen = service.seen();
    assert_eq!(seen.len(), 8);
    seen.iter().for_each(|seen| verify(seen, "key"));
    let first = |name: &str| {
        seen[..4]
            .iter()
            .map(|seen| seen.head.get(name).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        first("kanaria-delivery")
            .windows(2)
            .all(|pair| pair[0] == pair[1])
    );
    assert!(
        seen[0].head.line.starts_with("POST /hook?a=b "),
        "{}",
        seen[0].head.line
    );
    let taken: Vec<_> = seen[3..].iter().map(body).collect();
    let events: Vec<_> = taken
        .iter()
        .map(|body| body["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        ["change", "change", "change", "rollback", "config_refused"]
    );
    let shares: Vec<_> = taken[..4]
        .iter()
        .map(|body| body["after"]["web"]["weights"]["ecs"].as_u64())
        .collect();
    assert_eq!(shares, [Some(10), Some(20), Some(30), Some(0)]);
    let rollback = &taken[3];
    assert_eq!(
        (&rollback["actor"], &rollback["reason"]),
        (&"local".into(), &"too slow".into())
    );
    assert_eq!(rollback["before"]["web"]["weights"]["ecs"], 30);
    assert_eq!(rollback["revision"], kanaria.admin.revision());
    assert!(
        taken[4]["reason"]
            .as_str()
            .is_some_and(|why| !why.is_empty()),
        "{}",
        taken[4]
    );
}

/// A service that never answers: changes are answered as ever, requests too, and what does not fit is counted.
#[test]
fn nobody_waits_for_a_service_that_hangs() {
    let service = Stub::with("hook", hang);
    let (_ec2, _ecs, kanaria) = start(&hook(&service, ""));
    let mut client = kanaria.client();
    let mut slowest = Duration::ZERO;
    for n in 0..300 {
        let began = Instant::now();
        kanaria.admin.set_web(100, n % 90);
        assert_eq!(client.call(get("/", "")).status, 200);
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest change and request {slowest:?}, bound 3 s");
    assert!(slowest < Duration::from_secs(3));
    until("what does not fit is counted", || {
        (counted(&kanaria, "dropped") >= 40.0).then_some(())
    });
    assert_eq!(counted(&kanaria, "delivered"), 0.0);
}

#[test]
fn a_status_that_is_final_is_not_tried_again() {
    let service = Stub::with("hook", |exchange| exchange.answer("404 Not Found", "", b""));
    let (_ec2, _ecs, kanaria) = start(&hook(&service, "secret = \"never shown\""));
    kanaria.admin.set_web(50, 50);
    until("it is given up", || {
        (counted(&kanaria, "failed") == 1.0).then_some(())
    });
    assert_eq!(service.count(), 1);
    let log = kanaria.stderr();
    assert!(
        log.contains("webhook hook: event") && log.contains("it answers 404"),
        "{log}"
    );
    let status = kanaria.admin.get("/api/v1/status").to_string();
    assert!(
        ![log, status, kanaria.admin.metrics()]
            .concat()
            .contains("never shown")
    );
}

/// What waits at the end has a last try; a service that hangs then does not hold the end up.
#[test]
fn what_waits_is_told_before_the_end_within_a_bound() {
    let failing = AtomicUsize::new(0);
    let service = Stub::with("hook", move |exchange| {
        match failing.fetch_add(1, Ordering::AcqRel) {
            0 => exchange.answer("503 Service Unavailable", "", b""),
            _ => exchange.answer("200 OK", "", b""),
        }
    });
    let silent = Stub::with("hook", hang);
    let hooks = hook(&service, "") + &hook(&silent, "").replace("\"hook\"", "\"silent\"");
    let (_ec2, _ecs, mut kanaria) = start(&hooks);
    for ecs in 1..=20 {
        kanaria.admin.set_web(100, ecs);
    }
    until("the first try", || (service.count() >= 1).then_some(()));
    let began = Instant::now();
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    println!("ended after {:?}, bound 10 s", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    let taken: Vec<_> = service.seen()[1..].iter().map(body).collect();
    let shares: Vec<_> = taken
        .iter()
        .filter_map(|body| body["after"]["web"]["weights"]["ecs"].as_u64())
        .collect();
    assert_eq!(shares, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_reload_brings_a_hook_and_takes_it_away() {
    let service = Stub::with("hook", |exchange| exchange.answer("200 OK", "", b""));
    let (_ec2, _ecs, kanaria) = start("");
    let text = std::fs::read_to_string(kanaria.path("kanaria.toml")).unwrap();
    kanaria.rewrite(&format!("{text}{}", hook(&service, "")));
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    kanaria.admin.set_web(50, 50);
    until("the change is told", || {
        let told = service
            .seen()
            .iter()
            .any(|seen| body(seen)["data"]["kind"] == "weights");
        told.then_some(())
    });
    kanaria.rewrite(&text);
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    let n = service.count();
    kanaria.admin.set_web(40, 60);
    until("the change is in the history", || {
        (kanaria.run_json(&["history"])[0]["kind"] == "weights").then_some(())
    });
    let later: Vec<_> = service.seen()[n..].iter().map(body).collect();
    assert!(
        later.iter().all(|body| body["data"]["kind"] != "weights"),
        "{later:?}"
    );
}

/// A service over TLS whose certificate `authority` vouches for; answers 204 to the first request of each connection.
fn secured(authority: &Authority) -> SocketAddr {
    let [cert, key] = authority.make(Wanted::hosts(&["localhost"]));
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
        PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
    )
    .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut peer = StreamOwned::new(connection, stream);
            // A client that does not believe us hangs up.
            if peer.read(&mut [0; 4096]).is_ok() {
                let _ = peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                let _ = peer.flush();
            }
        }
    });
    address
}

#[test]
fn a_service_over_https_is_believed_by_the_authorities_of_the_system() {
    let authority = Authority::new("hooks");
    let port = secured(&authority).port();
    let hooks = format!(
        "[[webhooks]]\nurl = \"https://localhost:{port}\"\nname = \"hook\"\nretry_for = \"0s\"\n"
    );
    for (vouched, result) in [
        (authority.pem(), "delivered"),
        (Authority::new("other").pem(), "failed"),
    ] {
        let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
        let folder = tempfile::tempdir().unwrap();
        let file = File::split(&ec2, &ecs, "ec2 = 95, ecs = 5").after(&hooks);
        std::fs::write(folder.path().join("kanaria.toml"), file.text()).unwrap();
        let path = folder.path().join("authorities.pem");
        std::fs::write(&path, vouched).unwrap();
        let environment = [("SSL_CERT_FILE", path.to_str().unwrap())];
        let kanaria = Kanaria::start_there(folder, &environment);
        kanaria.admin.set_web(50, 50);
        until(result, || (counted(&kanaria, result) == 1.0).then_some(()));
    }
}
