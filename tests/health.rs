//! Health checks from outside: every kind, pools that nobody is sent to, what is told, what is left behind.

mod grpc;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::support::{After, Exchange, File, Kanaria, Stub, command, get, until};
use grpc::Grpc;

/// A self-signed certificate for 127.0.0.1 and `target.test`, and its key.
const PEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/router/pool/health/tests/target.pem"
);

/// `ec2` serves everything; `ecs` has `weight`, the target at `address`, these keys, and a check with these.
fn checked(ec2: &Stub, address: SocketAddr, weight: u32, pool: &str, check: &str) -> Kanaria {
    let check =
        format!("{pool}\nhealth_check = {{ interval = \"100ms\", timeout = \"2s\", {check} }}");
    let weights = format!("ec2 = 1, ecs = {weight}");
    let file = File::single(ec2)
        .pool("ecs", &[address])
        .pool_keys("ecs", &check);
    Kanaria::start(&file.weights(&weights))
}

/// The only target of `pool`, once it is in `state`.
#[track_caller]
fn once(kanaria: &Kanaria, pool: &str, state: &str) -> Value {
    until(&format!("the target of {pool} is {state}"), || {
        let targets = kanaria.admin.get(&format!("/api/v1/pools/{pool}/targets"));
        (targets[0]["state"] == state).then(|| targets[0].clone())
    })
}

#[track_caller]
fn check_told(target: &Value, reason: &str, description: &str) {
    assert_eq!(target["reason"], reason, "{target}");
    assert_eq!(target["description"], description, "{target}");
}

#[test]
fn http_and_tcp_checks_follow_a_target_through_death_and_return() {
    for check in ["path = \"/healthz\"", "protocol = \"tcp\""] {
        let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
        let kanaria = checked(&ec2, ecs.address, 0, "", check);
        once(&kanaria, "ecs", "healthy");
        ecs.die();
        let dead = once(&kanaria, "ecs", "unhealthy");
        check_told(&dead, "Target.FailedHealthChecks", "connection refused");
        ecs.revive();
        let back = once(&kanaria, "ecs", "healthy");
        assert_eq!(
            (&back["reason"], &back["description"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(ecs.count(), 0, "a check is no request");
    }
}

#[test]
fn a_wrong_status_is_told_with_what_was_expected() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = checked(
        &ec2,
        ecs.address,
        1,
        "",
        "path = \"/healthz\", status = \"200-299\"",
    );
    once(&kanaria, "ecs", "healthy");
    ecs.set_healthy(false);
    let wrong = once(&kanaria, "ecs", "unhealthy");
    check_told(
        &wrong,
        "Target.ResponseCodeMismatch",
        "503, expected 200-299",
    );
    let status = kanaria.run(&["status"]).stdout;
    let line = format!("ecs {} is unhealthy: 503, expected 200-299", ecs.address);
    assert!(status.contains(&line), "{status}");
}

#[test]
fn a_body_that_lacks_the_text_makes_a_target_unhealthy() {
    let ec2 = Stub::start("ec2");
    let is_ready = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&is_ready);
    let ecs = Stub::with("ecs", move |exchange| {
        let state = if says.load(Ordering::Acquire) {
            "ready"
        } else {
            "warming"
        };
        exchange.answer("200 OK", "", format!("state: {state}").as_bytes())
    });
    let check = "path = \"/state\", body = { regex = \"state: (ready|busy)\" }";
    let kanaria = checked(&ec2, ecs.address, 0, "", check);
    once(&kanaria, "ecs", "healthy");
    is_ready.store(false, Ordering::Release);
    let wrong = once(&kanaria, "ecs", "unhealthy");
    let description = "200, but the body has no /state: (ready|busy)/";
    check_told(&wrong, "Target.ResponseBodyMismatch", description);
    is_ready.store(true, Ordering::Release);
    once(&kanaria, "ecs", "healthy");
}

#[test]
fn a_target_that_does_not_answer_is_told_as_such() {
    let ec2 = Stub::start("ec2");
    // It accepts, by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let check = "path = \"/healthz\", timeout = \"50ms\"";
    let file = File::single(&ec2)
        .pool("ecs", &[address])
        .weights("ec2 = 1, ecs = 0");
    let check = format!("health_check = {{ interval = \"100ms\", {check} }}");
    let kanaria = Kanaria::start(&file.pool_keys("ecs", &check));
    let late = once(&kanaria, "ecs", "unhealthy");
    check_told(&late, "Target.Timeout", "no whole answer in 50ms");
}

fn certified() -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(PEM).unwrap();
    let key = PrivateKeyDer::from_pem_file(PEM).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// A target that speaks TLS and answers 200.
fn tls_target() -> SocketAddr {
    let config = Arc::new(certified());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut peer = StreamOwned::new(connection, stream);
            // A client that does not believe us hangs up.
            if peer.read(&mut [0; 4096]).is_ok() {
                let _ = peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                peer.conn.send_close_notify();
                let _ = peer.flush();
            }
        }
    });
    address
}

#[test]
fn a_check_over_tls_believes_whom_the_pool_believes() {
    let ec2 = Stub::start("ec2");
    let address = tls_target();
    let tls = format!("tls = {{ ca = \"{PEM}\", sni = \"target.test\" }}");
    let kanaria = checked(&ec2, address, 0, &tls, "path = \"/\"");
    once(&kanaria, "ecs", "healthy");
    let kanaria = checked(
        &ec2,
        address,
        0,
        "tls = { sni = \"target.test\" }",
        "path = \"/\"",
    );
    let stranger = once(&kanaria, "ecs", "unhealthy");
    assert_eq!(stranger["reason"], "Target.FailedHealthChecks");
    let description = stranger["description"].as_str().unwrap();
    assert!(description.starts_with("TLS: "), "{description}");
}

#[test]
fn grpc_checks_ask_the_health_service() {
    let ec2 = Stub::start("ec2");
    let tls = format!("tls = {{ ca = \"{PEM}\", sni = \"target.test\" }}");
    for (config, tls) in [(None, ""), (Some(certified()), &*tls)] {
        let grpc = Grpc::start(config);
        let check = "protocol = \"grpc\", grpc_service = \"shop.Orders\"";
        let kanaria = checked(&ec2, grpc.address, 0, tls, check);
        once(&kanaria, "ecs", "healthy");
        grpc.say(2);
        let wrong = once(&kanaria, "ecs", "unhealthy");
        let description = "NOT_SERVING, expected SERVING";
        check_told(&wrong, "Target.ResponseCodeMismatch", description);
        grpc.say(1);
        once(&kanaria, "ecs", "healthy");
    }
}

#[test]
fn grpc_checks_may_want_another_status_as_an_alb_does() {
    let ec2 = Stub::start("ec2");
    let grpc = Grpc::start(None);
    let unknown = checked(&ec2, grpc.address, 0, "", "protocol = \"grpc\"");
    let wrong = once(&unknown, "ecs", "unhealthy");
    let description = "gRPC status 5 (NOT_FOUND), expected 0";
    check_told(&wrong, "Target.ResponseCodeMismatch", description);
    let alb = "protocol = \"grpc\", path = \"/AWS.ALB/healthcheck\", grpc_status = \"12\"";
    let kanaria = checked(&ec2, grpc.address, 0, "", alb);
    once(&kanaria, "ecs", "healthy");
}

#[test]
fn a_pool_that_only_a_flag_leads_to_is_checked() {
    let (ec2, preview) = (Stub::start("ec2"), Stub::start("preview"));
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\" }";
    let flag = "[[routes.flags]]\nname = \"staff\"\nheader = \"X-Preview\"\nvalue = \"yes\"\npool = \"preview\"";
    let file = File::single(&ec2)
        .pool("preview", &[preview.address])
        .pool_keys("preview", check)
        .route(flag);
    let kanaria = Kanaria::start(&file);
    once(&kanaria, "preview", "healthy");
    preview.die();
    let dead = once(&kanaria, "preview", "unhealthy");
    check_told(&dead, "Target.FailedHealthChecks", "connection refused");
    let status = kanaria.run(&["status"]).stdout;
    assert!(
        status.contains("is unhealthy: connection refused"),
        "{status}"
    );
    preview.revive();
    once(&kanaria, "preview", "healthy");
    let flagged = kanaria.client().call(get("/", "X-Preview: yes\r\n"));
    assert_eq!(flagged.stub(), "preview");
    // The one request has a line; none of the checks has.
    assert_eq!(kanaria.log_of(1).len(), 1);
}

#[test]
fn each_change_of_state_is_one_line_of_the_log() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = checked(&ec2, ecs.address, 0, "", "path = \"/healthz\"");
    once(&kanaria, "ecs", "healthy");
    ecs.die();
    once(&kanaria, "ecs", "unhealthy");
    ecs.revive();
    once(&kanaria, "ecs", "healthy");
    let about = ecs.address.to_string();
    let lines = until("the return is in the log", || {
        let log = kanaria.stderr();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&about)).collect();
        let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        (lines.len() > 2).then_some(lines)
    });
    for (line, words) in lines.iter().zip([
        "is healthy",
        "is unhealthy: connection refused (Target.FailedHealthChecks)",
        "is healthy",
    ]) {
        assert!(line.contains(words), "{line}");
    }
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let failed = kanaria.admin.metric(
        "kanaria_health_checks_total",
        &["pool=\"ecs\"", "result=\"failed\""],
    );
    assert!(failed >= 2.0, "{failed}");
}

#[test]
fn a_target_that_returns_is_back_within_one_interval() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let interval = Duration::from_millis(400);
    let check = format!(
        "health_check = {{ path = \"/healthz\", interval = \"{interval:?}\", healthy_threshold = 1 }}"
    );
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1").pool_keys("ecs", &check);
    let kanaria = Kanaria::start(&file);
    once(&kanaria, "ecs", "healthy");
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        ecs.die();
        once(&kanaria, "ecs", "unhealthy");
        let back = Instant::now();
        ecs.revive();
        once(&kanaria, "ecs", "healthy");
        slowest = slowest.max(back.elapsed());
    }
    // A tenth of jitter, and what a busy machine takes to tell.
    let bound = interval.mul_f64(1.1) + Duration::from_millis(500);
    println!("back within {slowest:?}, bound {bound:?}");
    assert!(slowest < bound, "{slowest:?}");
}

/// A stub at an address of its own, where no other test's client ever had a port.
fn alone(act: impl Fn(&mut Exchange<'_>) -> io::Result<After> + Send + Sync + 'static) -> Stub {
    let address = Ipv4Addr::new(127, 31, 3, 13);
    let listener = TcpListener::bind((address, 0)).unwrap();
    Stub::on(listener, "ecs", act)
}

/// Connections from here to `target` that wait for their end, by the kernel's own list.
fn waiting(target: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let SocketAddr::V4(target) = target else {
        panic!("{target} is not of the list");
    };
    // The kernel writes an address as the number that its bytes make in memory.
    let address = u32::from_ne_bytes(target.ip().octets());
    let remote = format!("{address:08X}:{:04X}", target.port());
    let is_waiting = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.len() > 3 && fields[2] == remote && fields[3] == "06"
    };
    table.lines().filter(is_waiting).count()
}

#[test]
fn checks_leave_no_connections_behind() {
    let ec2 = Stub::start("ec2");
    let closing = alone(|exchange| {
        exchange.plain()?;
        Ok(After::Close)
    });
    // One for each: a router that is killed within a check leaves a connection that waits.
    let (keeping, silent) = (alone(|it| it.plain()), alone(|it| it.plain()));
    for (stub, check) in [
        (&closing, "path = \"/\""),
        (&keeping, "path = \"/healthz\""),
        (&silent, "protocol = \"tcp\""),
    ] {
        let file = File::single(&ec2)
            .pool("ecs", &[stub.address])
            .weights("ec2 = 1, ecs = 0");
        let keys = format!("health_check = {{ {check}, interval = \"10ms\" }}");
        let kanaria = Kanaria::start(&file.pool_keys("ecs", &keys));
        until("thirty checks were made", || {
            let labels = ["pool=\"ecs\"", "result=\"healthy\""];
            let n_checks = kanaria.admin.metric("kanaria_health_checks_total", &labels);
            (n_checks >= 30.0).then_some(())
        });
        assert_eq!(waiting(stub.address), 0, "{check}");
    }
}

#[test]
fn a_check_that_cannot_be_made_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let ec2 = Stub::start("ec2");
    let check = "health_check = { protocol = \"grpc\", path = \"healthz\", status = \"200\" }";
    let text = File::single(&ec2).pool_keys("ec2", check).text();
    fs::write(folder.path().join("kanaria.toml"), &text).unwrap();
    let refused = command(folder.path(), &["check", "kanaria.toml"]);
    assert_eq!(refused.code, Some(78));
    let line = 1 + text.lines().position(|line| line == check).unwrap();
    let said = format!("{}{}", refused.stdout, refused.stderr);
    for (column, key) in [(44, "path"), (64, "status")] {
        let place = format!("kanaria.toml:{line}:{column}: pools.ec2.health_check.{key}: ");
        assert!(said.contains(&place), "{place}\n{said}");
    }
}
