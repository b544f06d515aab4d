//! Requests over TLS: what targets, logs and clients are told of it.

use std::io;

use serde_json::{Value, json};

use super::start;
use super::start_as;
use crate::support::http2::{Http2, ask};
use crate::support::tls::{Authority, Wanted};
use crate::support::{After, Exchange, File, Kanaria, Stub, get, request};
use tempfile::TempDir;

#[test]
fn targets_logs_and_cookies_know_of_https() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let ecs = Stub::start("ecs");
    let folder = TempDir::new().unwrap();
    authority.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    let file = File::split(&ec2, &ecs, "ec2 = 100, ecs = 0").tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    let hello = authority.hello("a.test");
    let answer = hello
        .connect(kanaria.public)
        .call(get("/", "Host: a.test\r\nX-Forwarded-Proto: http\r\n"));
    let cookie = answer.head.get("set-cookie").unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let client = Http2::connect_over(kanaria.public, &hello);
    let reply = client.call(ask("GET", "/").uri("https://a.test/"), b"");
    assert_eq!(reply.status, 200);
    for seen in ec2.seen() {
        assert_eq!(seen.head.get("x-forwarded-proto"), Some("https"));
        let port = kanaria.public.port().to_string();
        assert_eq!(seen.head.get("x-forwarded-port"), Some(&*port));
    }
    let log = kanaria.log_of(2);
    for (line, protocol) in log.iter().zip(["HTTP/1.1", "HTTP/2"]) {
        assert_eq!(line["scheme"], "https");
        assert_eq!(line["protocol"], protocol);
        assert_eq!(line["tls_version"], "TLSv1.3");
        let cipher = line["tls_cipher"].as_str().unwrap();
        assert!(cipher.starts_with("TLS_AES_"), "{cipher}");
    }
}

#[test]
fn a_trusted_proxy_says_what_its_client_spoke() {
    let server = "trusted_proxies = [\"127.0.0.0/8\"]";
    let (authority, ec2, kanaria) = start_as(&["a.test"], "certificates = [\"certs\"]", server);
    let mut client = authority.hello("a.test").connect(kanaria.public);
    client.call(get("/", "Host: a.test\r\nX-Forwarded-Proto: http\r\n"));
    client.call(get("/", "Host: a.test\r\n"));
    let seen = ec2.seen();
    let told: Vec<_> = seen
        .iter()
        .map(|it| it.head.get("x-forwarded-proto"))
        .collect();
    assert_eq!(told, [Some("http"), Some("https")]);
    let schemes: Vec<Value> = kanaria
        .log_of(2)
        .iter()
        .map(|it| it["scheme"].clone())
        .collect();
    assert_eq!(schemes, [json!("http"), json!("https")]);
}

#[test]
fn the_client_chooses_the_protocol() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    let hello = authority.hello("a.test");
    for (offers, expect) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let client = hello.clone().offering(offers).connect(kanaria.public);
        let chosen = client.wire.session().alpn_protocol();
        assert_eq!(chosen, expect.map(str::as_bytes), "{offers:?}");
    }
    let strange = hello.offering(&["spdy/3"]).try_connect(kanaria.public);
    assert!(strange.is_err());
    let tls = "certificates = [\"certs\"], http2 = false";
    let (authority, _ec2, kanaria) = start_as(&["a.test"], tls, "");
    let hello = authority.hello("a.test").offering(&["h2", "http/1.1"]);
    let mut client = hello.connect(kanaria.public);
    assert_eq!(
        client.wire.session().alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
    assert_eq!(client.call(get("/", "Host: a.test\r\n")).status, 200);
}

#[test]
fn a_request_for_a_host_with_another_certificate_is_misdirected() {
    let (authority, ec2, kanaria) = start(&["a.test", "b.test", "*.wide.test"]);
    let hello = authority.hello("a.test");
    let mut client = hello.connect(kanaria.public);
    assert_eq!(client.call(get("/", "Host: A.test:8443\r\n")).status, 200);
    assert_eq!(client.call(get("/", "Host: unknown.test\r\n")).status, 200);
    assert_eq!(client.call(get("/", "Host: b.test\r\n")).status, 421);
    let client = Http2::connect_over(kanaria.public, &hello);
    for (host, expect) in [("b.test", 421), ("a.test", 200), ("x.wide.test", 421)] {
        let uri = format!("https://{host}/");
        assert_eq!(
            client.call(ask("GET", "/").uri(uri), b"").status,
            expect,
            "{host}"
        );
    }
    // The same connection of a name under a wildcard serves all of them.
    let client = Http2::connect_over(kanaria.public, &authority.hello("x.wide.test"));
    let reply = client.call(ask("GET", "/").uri("https://y.wide.test/"), b"");
    assert_eq!(reply.status, 200);
    // A client without a name did not choose.
    let mut client = hello.unnamed().connect(kanaria.public);
    assert_eq!(client.call(get("/", "Host: b.test\r\n")).status, 200);
    assert_eq!(ec2.seen().len(), 5);
    let errors = kanaria
        .log_of(8)
        .iter()
        .filter(|it| it["error"] == "misdirected")
        .count();
    assert_eq!(errors, 3);
}

#[test]
fn a_trusted_proxy_shares_a_connection_among_hosts() {
    let server = "trusted_proxies = [\"127.0.0.0/8\"]";
    let hosts = ["a.test", "b.test"];
    let (authority, _ec2, kanaria) = start_as(&hosts, "certificates = [\"certs\"]", server);
    let mut client = authority.hello("a.test").connect(kanaria.public);
    assert_eq!(client.call(get("/", "Host: b.test\r\n")).status, 200);
}

fn echo(exchange: &mut Exchange<'_>) -> io::Result<After> {
    let body = exchange.body()?;
    exchange.answer("200 OK", "", &body)
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::with("ec2", echo));
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    let file = File::single(&ec2).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    let body: Vec<u8> = (0..4 << 20).map(|n: u32| (n % 251) as u8).collect();
    let hello = authority.hello("a.test");
    let mut client = hello.connect(kanaria.public);
    for _ in 0..2 {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.wire.send([head.as_bytes(), &body].concat()).unwrap();
        assert!(client.answer(false).unwrap().body == body);
    }
    let client = Http2::connect_over(kanaria.public, &hello);
    let reply = client.call(ask("POST", "/").uri("https://a.test/"), &body);
    assert!(reply.body == body);
}

#[test]
fn a_connection_that_ends_says_so_before_it_closes() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    let hello = authority.hello("a.test");
    for message in [
        request("GET", "/", "Host: a.test\r\nConnection: close\r\n", ""),
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n".into(),
        "nonsense\r\n\r\n".into(),
    ] {
        let mut client = hello.connect(kanaria.public);
        client.wire.send(&message).unwrap();
        // rustls reads an end without close_notify as an error.
        let rest = client
            .wire
            .rest()
            .unwrap_or_else(|error| panic!("{message}: {error}"));
        assert!(rest.starts_with(b"HTTP/1.1 "), "{message}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    let mut client = authority.hello("a.test").connect(kanaria.public);
    let one = get("/", "Host: a.test\r\n");
    client.wire.send(one.repeat(20)).unwrap();
    for _ in 0..20 {
        assert_eq!(client.answer(false).unwrap().status, 200);
    }
}

#[test]
fn a_client_that_leaves_without_a_word_is_noticed() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    let mut client = authority.hello("a.test").connect(kanaria.public);
    client.wire.send("GET / HTTP/1.1\r\nHost: a.").unwrap();
    client.wire.finish();
    assert!(client.wire.closed());
    let line = &kanaria.log_of(1)[0];
    assert_eq!(line["status"], 460);
    assert_eq!(line["scheme"], "https");
    assert_eq!(line["tls_version"], "TLSv1.3");
}
