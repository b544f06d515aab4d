//! gRPC from end to end: clients and targets of HTTP/2, messages and trailers.

use std::io;
use std::sync::{Arc, LazyLock};

use bytes::{BufMut, Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, HeaderValue};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::http2::{Call, Http2, Reply, Target, Turn, ask, next, put, read};
use crate::support::{File, Kanaria, Stub, get, request, sized, until};

/// A self-signed certificate for `target.test`, and its key.
const PEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/router/pool/health/tests/target.pem"
);

/// A message with its prefix.
fn message(text: &str) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(u32::try_from(text.len()).unwrap());
    message.put_slice(text.as_bytes());
    message.freeze()
}

fn trailers(status: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_str(status).unwrap());
    trailers.insert("grpc-message", HeaderValue::from_static("as asked"));
    trailers
}

/// A service: each method does what its name says.
async fn service(mut turn: Turn) -> Result<(), h2::Error> {
    let path = turn.head.uri.path().to_owned();
    if path == "/test.Test/Refuse" {
        let answer = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "7")
            .header("grpc-message", "not you");
        turn.respond.send_response(answer.body(()).unwrap(), true)?;
        return Ok(());
    }
    let mut out = turn.head(&[("content-type", "application/grpc")])?;
    match path.as_str() {
        "/test.Test/Unary" | "/test.Test/Collect" => {
            let (bytes, _) = read(&mut turn.body).await?;
            put(&mut out, Bytes::from(bytes)).await?;
        }
        "/test.Test/Stream" => {
            read(&mut turn.body).await?;
            for n in 0..100 {
                put(&mut out, message(&n.to_string())).await?;
            }
        }
        "/test.Test/Messages" => {
            // As a server of gRPC does: a whole message is read, and answered before the next one is.
            let mut held = BytesMut::new();
            while let Some(data) = next(&mut turn.body).await {
                held.extend_from_slice(&data?);
                while let Some(size) = held.get(1..5) {
                    let size = u32::from_be_bytes(size.try_into().unwrap()) as usize + 5;
                    if held.len() < size {
                        break;
                    }
                    put(&mut out, held.split_to(size).freeze()).await?;
                }
            }
        }
        "/test.Test/Wait" => {
            // Until the client gives up.
            let reason = std::future::poll_fn(|context| out.poll_reset(context)).await?;
            assert_eq!(reason, Reason::CANCEL);
            LEFT.notify_one();
            return Ok(());
        }
        _ => {
            while let Some(data) = next(&mut turn.body).await {
                put(&mut out, data?).await?;
            }
        }
    }
    out.send_trailers(trailers("0"))
}

static LEFT: LazyLock<tokio::sync::Notify> = LazyLock::new(tokio::sync::Notify::new);

static TLS: LazyLock<TlsAcceptor> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(PEM).unwrap()],
            PrivateKeyDer::from_pem_file(PEM).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
});

async fn shake_hands(stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    TLS.accept(stream).await
}

/// A router in front of `target`, and a connection of HTTP/2 to it.
#[track_caller]
fn start(target: &Target, keys: &str) -> (Kanaria, Http2) {
    let keys = format!("http2 = true\n{keys}");
    let file = File::at(target.address).h2c().pool_keys("ec2", &keys);
    let kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    (kanaria, client)
}

fn method(name: &str) -> http::request::Builder {
    ask("POST", &format!("/test.Test/{name}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "10S")
}

#[track_caller]
fn check(client: &Http2, name: &str, sent: &Bytes, expect: &[u8]) {
    let reply = client.call(method(name), sent);
    assert_eq!(
        (reply.status, reply.trailer("grpc-status")),
        (200, Some("0")),
        "{name}"
    );
    assert_eq!(reply.trailer("grpc-message"), Some("as asked"), "{name}");
    assert!(reply.body == expect, "{name}: {} bytes", reply.body.len());
}

#[track_caller]
fn check_all(client: &Http2) {
    let one = message("hello");
    check(client, "Unary", &one, &one);
    let hundred: BytesMut = (0..100)
        .flat_map(|n: u32| message(&n.to_string()))
        .collect();
    check(client, "Collect", &hundred.clone().freeze(), &hundred);
    check(client, "Stream", &one, &hundred);
    check(client, "Echo", &hundred.clone().freeze(), &hundred);
    let refused = client.call(method("Refuse"), &one);
    assert_eq!(
        (refused.status, refused.get("grpc-status")),
        (200, Some("7"))
    );
    assert_eq!(
        (refused.body.len(), refused.trailers),
        (0, None),
        "an answer of trailers alone"
    );
}

#[test]
fn every_kind_of_call_passes_in_clear_and_over_tls() {
    let clear = Target::start(service);
    let (_kanaria, client) = start(&clear, "");
    check_all(&client);
    let head = &clear.seen()[0];
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["grpc-timeout"], "10S");
    assert_eq!(head.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(head.uri, "http://www.example.com/test.Test/Unary");
    let tls = Target::over(shake_hands, service);
    let (_kanaria, client) = start(&tls, "tls = { sni = \"target.test\", verify = false }");
    check_all(&client);
    assert_eq!(tls.seen()[0].uri.scheme_str(), Some("https"));
}

#[test]
fn a_call_of_both_directions_is_answered_message_by_message() {
    let target = Target::start(service);
    let (_kanaria, client) = start(&target, "");
    let Call {
        answer,
        body: mut out,
    } = client.begin(method("Echo"), false);
    client.wait(async {
        let mut back = answer.await.unwrap().into_body();
        for n in 0..sized(100, 10_000) {
            let sent = message(&n.to_string());
            put(&mut out, sent.clone()).await.unwrap();
            assert_eq!(next(&mut back).await.unwrap().unwrap(), sent);
        }
        out.send_data(Bytes::new(), true).unwrap();
        let (rest, trailers) = read(&mut back).await.unwrap();
        assert_eq!(
            (rest.len(), &trailers.unwrap()["grpc-status"]),
            (0, &"0".parse().unwrap())
        );
    });
}

/// Sends `size` bytes in pieces of `piece` without waiting, and checks that as many come back.
#[track_caller]
fn check_flood(name: &str, piece: &Bytes, size: usize) {
    let target = Target::start(service);
    let (_kanaria, client) = start(&target, "");
    let Call {
        answer,
        body: mut out,
    } = client.begin(method(name), false);
    let received = client.wait(async {
        let sending = async {
            for _ in 0..size / piece.len() {
                put(&mut out, piece.clone()).await.unwrap();
            }
            out.send_data(Bytes::new(), true).unwrap();
        };
        let receiving = async {
            let mut back = answer.await.unwrap().into_body();
            let mut received = 0;
            while let Some(data) = next(&mut back).await {
                received += data.unwrap().len();
            }
            received
        };
        tokio::join!(sending, receiving).1
    });
    assert_eq!(received, size / piece.len() * piece.len(), "{name}");
}

#[test]
fn a_large_call_of_both_directions_does_not_block_itself() {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    check_flood("Echo", &piece, sized(16, 256) << 20);
    let text = "x".repeat(3 << 20);
    check_flood("Messages", &message(&text), sized(16, 256) << 20);
}

#[test]
fn a_call_given_up_by_its_client_is_given_up_at_the_target() {
    let target = Target::start(service);
    let (kanaria, client) = start(&target, "");
    let mut call = client.begin(method("Wait"), true);
    client.wait(async {
        call.answer.await.unwrap();
        call.body.send_reset(Reason::CANCEL);
        LEFT.notified().await;
    });
    let line = &kanaria.log_of(1)[0];
    assert_eq!(
        (&line["error"], &line["upstream_status"]),
        (&"client_closed".into(), &200.into())
    );
}

#[test]
fn a_call_for_a_pool_without_trailers_is_refused_as_an_alb_does() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).h2c());
    let client = Http2::connect(kanaria.public);
    assert_eq!(client.call(method("Unary"), &message("hello")).status, 464);
    let web = ask("POST", "/").header("content-type", "application/grpc-web");
    assert_eq!(
        client.call(web, b"x").text(),
        "ec2",
        "what needs no trailers passes"
    );
    assert_eq!(kanaria.log_of(2)[0]["error"], "version_mismatch");
    assert_eq!(ec2.count(), 1);
}

#[test]
fn answers_of_ours_have_their_status_for_a_client_of_grpc() {
    let target = Target::start(service);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = File::at(free.local_addr().unwrap()).h2c();
    drop(free);
    let kanaria = Kanaria::start(&file.pool_keys("ec2", "http2 = true"));
    let client = Http2::connect(kanaria.public);
    let reply = client.call(method("Unary"), &message("hello"));
    assert_eq!((reply.status, reply.get("grpc-status")), (503, None));
    drop(target);
}

#[test]
fn a_client_of_http_1_is_served_by_a_target_of_http_2() {
    let target = Target::start(async |mut turn: Turn| {
        let (body, _) = read(&mut turn.body).await?;
        let length = body.len().to_string();
        let mut out = turn.head(&[("content-length", &length), ("stub", "h2")])?;
        put(&mut out, Bytes::from(body)).await?;
        out.send_data(Bytes::new(), true)
    });
    let file = File::at(target.address).pool_keys("ec2", "http2 = true");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    for n in 0..3 {
        assert_eq!(client.call(get("/", "")).stub(), "h2", "{n}");
        let body = "x".repeat(100_000);
        assert_eq!(
            client.call(request("POST", "/", "", &body)).text(),
            body,
            "{n}"
        );
    }
    assert_eq!(target.seen().len(), 6);
}

/// An upload that takes longer than the target may be silent: it is not silence as long as bytes pass.
#[test]
fn a_long_upload_is_no_silence_of_the_target() {
    let target = Target::start(service);
    let (kanaria, client) = start(&target, "response_timeout = \"500ms\"");
    let Call {
        answer,
        body: mut out,
    } = client.begin(method("Collect"), false);
    let reply = client.wait(async {
        for n in 0..10 {
            put(&mut out, message(&n.to_string())).await.unwrap();
            // The pause is what is tested: five times as long in all as one silence may be.
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        out.send_data(Bytes::new(), true).unwrap();
        Reply::read(answer).await.unwrap()
    });
    assert_eq!(reply.trailer("grpc-status"), Some("0"));
    let silent = client.try_call(method("Wait"), &message("hello"));
    assert!(silent.is_err());
    until("the silent one is written down", || {
        let log = kanaria.log();
        log.iter()
            .any(|line| line["error"] == "response_timeout")
            .then_some(())
    });
}
