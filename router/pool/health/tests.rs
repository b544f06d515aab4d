//! Checks of stub targets on loopback. Each test waits for the change of state it is about, never for time to pass.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::pool::{TargetChange, TargetState};
use crate::testing::lone;

/// A target that answers every request with the status set last; 0 means no answer at all.
struct Stub {
    port: u16,
    status: Arc<AtomicU16>,
    connections: watch::Sender<usize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn start(status: u16) -> Self {
        Self::start_with(status, None).await
    }

    async fn start_with(status: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(status.into()),
            connections: watch::Sender::new(0),
            heads: Arc::default(),
        };
        let (status, connections, heads) = (
            Arc::clone(&stub.status),
            stub.connections.clone(),
            Arc::clone(&stub.heads),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.send_modify(|n| *n += 1);
                let (status, heads) = (Arc::clone(&status), Arc::clone(&heads));
                match tls.clone() {
                    None => tokio::spawn(answer(stream, status, heads)),
                    Some(tls) => tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream, status, heads).await;
                        }
                    }),
                };
            }
        });
        stub
    }

    async fn connected(&self, times: usize) {
        let mut connections = self.connections.subscribe();
        connections.wait_for(|&n| n >= times).await.unwrap();
    }

    fn head(&self) -> String {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads[0].clone()
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    status: Arc<AtomicU16>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    let status = status.load(Ordering::SeqCst);
    if status == 0 {
        return std::future::pending().await;
    }
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Pools under check, and what is told of them.
struct Watch {
    pools: Arc<Pools>,
    changes: broadcast::Receiver<TargetChange>,
    shutdown: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Watch {
    fn start(port: u16, extra: &Value) -> Self {
        let pools = Arc::new(Pools::new());
        let changes = pools.changes();
        let (shutdown, stopped) = watch::channel(false);
        shape(&pools, port, extra);
        Self {
            running: tokio::spawn(run(Arc::clone(&pools), stopped)),
            pools,
            changes,
            shutdown,
        }
    }

    /// The next change, which must come: the limit only keeps a broken program from hanging the tests.
    async fn change(&mut self) -> TargetChange {
        let change = time::timeout(Duration::from_secs(30), self.changes.recv());
        change.await.expect("a change within the limit").unwrap()
    }

    async fn next(&mut self) -> (TargetState, Option<&'static str>) {
        let change = self.change().await;
        (change.status.state, change.status.reason)
    }
}

fn shape(pools: &Pools, port: u16, extra: &Value) -> Arc<Pool> {
    let structure = lone(&[(port, 1)], extra);
    Arc::clone(&pools.align(&structure)[0])
}

fn check(more: &Value) -> Value {
    let mut check = json!({ "path": "/healthz?deep=1", "interval": "10ms", "timeout": "20s" });
    for (key, value) in more.as_object().unwrap() {
        check[key] = value.clone();
    }
    json!({ "health_check": check })
}

const HEALTHY: (TargetState, Option<&str>) = (TargetState::Healthy, None);

#[tokio::test]
async fn a_target_becomes_healthy_unhealthy_and_healthy_again() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(stub.port, &check(&json!({})));
    assert_eq!(watch.next().await, HEALTHY);
    stub.status.store(500, Ordering::SeqCst);
    let wrong = (TargetState::Unhealthy, Some("Target.ResponseCodeMismatch"));
    assert_eq!(watch.next().await, wrong);
    assert_eq!(
        watch.pools.current()[0].healthy(Instant::now().into_std()),
        (0, 1)
    );
    stub.status.store(200, Ordering::SeqCst);
    assert_eq!(watch.next().await, HEALTHY);
}

#[tokio::test]
async fn a_check_says_who_asks_and_what_for() {
    let stub = Stub::start(204).await;
    let terms = json!({ "status": "200,204", "method": "HEAD", "host": "www.example.com" });
    let mut watch = Watch::start(stub.port, &check(&terms));
    assert_eq!(watch.next().await, HEALTHY);
    let head = stub.head().to_lowercase();
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "head /healthz?deep=1 http/1.1");
    lines.sort_unstable();
    let agent = format!(
        "user-agent: kanaria-healthchecker/{}",
        env!("CARGO_PKG_VERSION")
    );
    let expected = [
        "accept: */*",
        "connection: close",
        "host: www.example.com",
        &agent,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn each_check_has_a_connection_of_its_own() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(stub.port, &check(&json!({ "healthy_threshold": 5 })));
    assert_eq!(watch.next().await, HEALTHY);
    stub.connected(5).await;
}

#[tokio::test]
async fn a_target_that_does_not_answer_in_time_is_told_as_such() {
    let stub = Stub::start(0).await;
    let mut watch = Watch::start(stub.port, &check(&json!({ "timeout": "20ms" })));
    let late = (TargetState::Unhealthy, Some("Target.Timeout"));
    assert_eq!(watch.next().await, late);
}

#[tokio::test]
async fn a_target_that_nobody_listens_at_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut watch = Watch::start(port, &check(&json!({})));
    let failed = (TargetState::Unhealthy, Some("Target.FailedHealthChecks"));
    assert_eq!(watch.next().await, failed);
}

#[tokio::test]
async fn checks_may_go_to_another_port() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(1, &check(&json!({ "port": stub.port })));
    assert_eq!(watch.next().await, HEALTHY);
}

fn ill(reason: &'static str) -> (TargetState, Option<&'static str>) {
    (TargetState::Unhealthy, Some(reason))
}

/// What is told of a target at `port` that does not become healthy: the reason, and the words for people.
async fn told_at(port: u16, terms: &Value) -> (&'static str, String) {
    let status = Watch::start(port, &check(terms)).change().await.status;
    let (reason, description) = (status.reason.unwrap(), status.description.unwrap());
    (reason, description.to_string())
}

#[tokio::test]
async fn what_was_seen_is_told_in_words() {
    let stub = Stub::start(503).await;
    let seen = told_at(stub.port, &json!({ "status": "200-399" })).await;
    let expected = (
        "Target.ResponseCodeMismatch",
        "503, expected 200-399".into(),
    );
    assert_eq!(seen, expected);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let seen = told_at(port, &json!({})).await;
    let refused = ("Target.FailedHealthChecks", "connection refused".into());
    assert_eq!(seen, refused);
    let silent = Stub::start(0).await;
    let seen = told_at(silent.port, &json!({ "timeout": "20ms" })).await;
    assert_eq!(seen, ("Target.Timeout", "no whole answer in 20ms".into()));
}

#[tokio::test]
async fn words_are_there_from_the_first_failure_to_the_first_success() {
    let stub = Stub::start(500).await;
    let mut watch = Watch::start(stub.port, &check(&json!({ "unhealthy_threshold": 3 })));
    let wrong = watch.change().await.status;
    assert_eq!(wrong.description.as_deref(), Some("500, expected 200"));
    stub.status.store(200, Ordering::SeqCst);
    assert_eq!(watch.change().await.status.description, None);
}

#[tokio::test]
async fn a_body_must_hold_what_the_file_asks_for() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(stub.port, &check(&json!({ "body": { "regex": "^o.$" } })));
    assert_eq!(watch.next().await, HEALTHY);
    let seen = told_at(stub.port, &json!({ "body": "yes" })).await;
    let wrong = "200, but the body has no \"yes\"";
    assert_eq!(seen, ("Target.ResponseBodyMismatch", wrong.into()));
}

#[tokio::test]
async fn a_tcp_check_wants_a_connection_and_nothing_more() {
    let stub = Stub::start(0).await;
    let tcp = json!({ "protocol": "tcp", "path": null });
    let mut watch = Watch::start(stub.port, &check(&tcp));
    assert_eq!(watch.next().await, HEALTHY);
    assert!(stub.heads.lock().unwrap().is_empty());
    let mut watch = Watch::start(1, &check(&tcp));
    assert_eq!(watch.next().await, ill("Target.FailedHealthChecks"));
}

#[tokio::test]
async fn a_health_port_may_speak_clear_text_although_the_pool_has_tls() {
    let stub = Stub::start(200).await;
    let mut extra = check(&json!({ "tls": false }));
    extra["tls"] = json!({});
    assert_eq!(Watch::start(stub.port, &extra).next().await, HEALTHY);
}

#[tokio::test]
async fn a_target_that_comes_does_not_disturb_the_checks_of_the_others() {
    let (old, new) = (Stub::start(200).await, Stub::start(200).await);
    let extra = check(&json!({ "interval": "1h" }));
    let mut watch = Watch::start(old.port, &extra);
    assert_eq!(watch.next().await, HEALTHY);
    let both = lone(&[(old.port, 1), (new.port, 1)], &extra);
    watch.pools.align(&both);
    // It does not wait for an interval either.
    let change = watch.change().await;
    assert_eq!(change.status.address.port(), new.port);
    assert_eq!(*old.connections.borrow(), 1);
}

#[tokio::test]
async fn checks_are_counted_by_what_came_of_them() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(stub.port, &check(&json!({})));
    assert_eq!(watch.next().await, HEALTHY);
    stub.status.store(500, Ordering::SeqCst);
    assert_eq!(watch.next().await, ill("Target.ResponseCodeMismatch"));
    let counted = watch.pools.current()[0].checks();
    let count = |word| {
        counted
            .iter()
            .find(|(result, _)| *result == word)
            .unwrap()
            .1
    };
    assert!(
        count("healthy") >= 1 && count("wrong_status") >= 2,
        "{counted:?}"
    );
    assert_eq!(count("timeout") + count("failed") + count("not_asked"), 0);
}

#[tokio::test]
async fn a_target_that_listens_again_returns_before_its_ejection_is_over() {
    let stub = Stub::start(200).await;
    let mut extra = check(&json!({}));
    extra["ejection"] = json!({ "base_time": "1h" });
    let mut watch = Watch::start(stub.port, &extra);
    assert_eq!(watch.next().await, HEALTHY);
    let pool = Arc::clone(&watch.pools.current()[0]);
    let lease = pool.pick(&[], Instant::now().into_std()).unwrap();
    pool.failed(&lease, crate::pool::Failure::Refused);
    let ejected = (TargetState::Unhealthy, Some("Target.Ejected"));
    assert_eq!(watch.next().await, ejected);
    assert_eq!(watch.next().await, HEALTHY);
}

#[tokio::test]
async fn the_return_of_an_ejected_target_is_told_without_a_check() {
    let mut watch = Watch::start(1, &json!({ "ejection": { "base_time": "20ms" } }));
    let pool = Arc::clone(&watch.pools.current()[0]);
    let lease = pool.pick(&[], Instant::now().into_std()).unwrap();
    pool.failed(&lease, crate::pool::Failure::Refused);
    assert_eq!(watch.next().await.0, TargetState::Unhealthy);
    assert_eq!(watch.next().await, HEALTHY);
}

#[tokio::test]
async fn a_reload_moves_the_checks_to_the_new_targets() {
    let (old, new) = (Stub::start(200).await, Stub::start(200).await);
    let mut watch = Watch::start(old.port, &check(&json!({})));
    assert_eq!(watch.next().await, HEALTHY);
    shape(&watch.pools, new.port, &check(&json!({})));
    assert_eq!(watch.next().await.0, TargetState::Draining);
    let change = watch.change().await;
    assert_eq!(change.status.address.port(), new.port);
    // One connection of the old check may still wait to be accepted; no further one comes.
    let asked = *old.connections.borrow();
    new.connected(20).await;
    assert!(*old.connections.borrow() <= asked + 1);
}

#[tokio::test]
async fn shutdown_ends_all_checks() {
    let stub = Stub::start(200).await;
    let mut watch = Watch::start(stub.port, &check(&json!({})));
    assert_eq!(watch.next().await, HEALTHY);
    watch.shutdown.send(true).unwrap();
    watch.running.await.unwrap();
}

/// A certificate of nobody's for 127.0.0.1 and target.test, signed by itself, and its key.
const CERTIFICATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/router/pool/health/tests/target.pem"
);

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(CERTIFICATE).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[track_caller]
fn over_tls(tls: &Value) -> impl Future<Output = (TargetState, Option<&'static str>)> {
    let mut extra = check(&json!({}));
    extra["tls"] = tls.clone();
    async move {
        let stub = Stub::start_with(200, Some(acceptor())).await;
        Watch::start(stub.port, &extra).next().await
    }
}

#[tokio::test]
async fn targets_of_a_tls_pool_are_checked_over_tls() {
    let failed = (TargetState::Unhealthy, Some("Target.FailedHealthChecks"));
    assert_eq!(over_tls(&json!({ "ca": CERTIFICATE })).await, HEALTHY);
    assert_eq!(
        over_tls(&json!({ "ca": CERTIFICATE, "sni": "target.test" })).await,
        HEALTHY
    );
    assert_eq!(
        over_tls(&json!({ "ca": CERTIFICATE, "sni": "other.test" })).await,
        failed
    );
    assert_eq!(over_tls(&json!({ "verify": false })).await, HEALTHY);
    assert_eq!(over_tls(&json!({})).await, failed);
}

#[tokio::test]
async fn targets_of_an_http_2_pool_are_checked_over_http_2() {
    use hyper::service::service_fn;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                let asked = request.uri() == "http://www.example.com/healthz?deep=1";
                let answer = http::Response::builder().status(if asked { 200 } else { 404 });
                answer.body(http_body_util::Empty::<hyper::body::Bytes>::new())
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let stream = hyper_util::rt::TokioIo::new(stream);
            let server = hyper::server::conn::http2::Builder::new(executor);
            tokio::spawn(server.serve_connection(stream, service));
        }
    });
    let mut extra = check(&json!({ "host": "www.example.com" }));
    extra["http2"] = json!(true);
    assert_eq!(Watch::start(port, &extra).next().await, HEALTHY);
}

/// Whether target 2, which came a second after target 1, starts slowly when they become healthy at these seconds.
#[track_caller]
fn starts_slowly(first: u64, second: u64) -> bool {
    let start = std::time::Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let pools = Pools::at(start, std::time::SystemTime::now());
    let mut extra = check(&json!({}));
    extra["slow_start"] = json!("60s");
    let mut pool = Arc::clone(&pools.align_at(&lone(&[(1, 1)], &extra), at(0))[0]);
    for second_of_test in 0..=second {
        if second_of_test == 1 {
            let targets = &[(1, 1), (2, 1)];
            pool = Arc::clone(&pools.align_at(&lone(targets, &extra), at(1))[0]);
        }
        for (port, healthy_at) in [(1, first), (2, second)] {
            if second_of_test == healthy_at {
                let now = pool.shared.clock.at(at(healthy_at));
                let members = pool.members.load();
                let mut targets = members.targets();
                let target = targets.find(|target| target.address.port() == port);
                pool.checked(target.unwrap(), Health::Healthy, now);
            }
        }
    }
    let now = pool.shared.clock.at(at(second));
    pool.members.load().active[1]
        .target
        .ramping(now, pool.slow_start)
}

#[test]
fn a_checked_target_starts_slowly_when_others_were_healthy_before_it_came() {
    assert!(starts_slowly(0, 3));
    assert!(!starts_slowly(2, 3), "both are of a first batch");
}
