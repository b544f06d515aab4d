//! Connections that begin with a PROXY header: who the client is then, and what is no header.

use std::time::Duration;

use crate::support::http2::{Http2, ask};
use crate::support::{Client, File, Kanaria, Stub, get, until};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4321 8443\r\n";

/// Version 2, `command` and addresses as bytes, with one TLV of so many bytes.
fn v2(command: u8, tlv: u16) -> Vec<u8> {
    let addresses = [198, 51, 100, 9, 192, 0, 2, 1, 0x10, 0xe1, 0x20, 0xfb];
    let length = 12 + 3 + tlv;
    let mut header = V2.to_vec();
    header.extend([command, 0x11]);
    header.extend(length.to_be_bytes());
    header.extend(addresses);
    header.push(0xea);
    header.extend(tlv.to_be_bytes());
    header.extend(vec![b'x'; tlv.into()]);
    header
}

fn required(ec2: &Stub) -> File {
    File::single(ec2)
        .server("trusted_proxies = [\"127.0.0.1\"]\ntimeouts.header = \"1s\"")
        .listener("proxy_protocol = \"required\"")
}

#[test]
fn the_client_is_whom_the_header_names() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&required(&ec2));
    let cases = [
        (V1.to_vec(), Some("203.0.113.7"), "8443"),
        (v2(0x21, 500), Some("198.51.100.9"), "8443"),
        (v2(0x20, 0), None, ""),
        (b"PROXY UNKNOWN\r\n".to_vec(), None, ""),
    ];
    for (n, (header, named, port)) in cases.into_iter().enumerate() {
        let mut client = kanaria.client();
        client.wire.send(header).unwrap();
        let answer = client.call(get("/", "X-Forwarded-For: 192.0.2.99\r\n"));
        assert_eq!(answer.status, 200);
        assert_eq!(
            client.call(get("/second", "")).status,
            200,
            "it is said once for a connection"
        );
        let seen = ec2.seen().swap_remove(2 * n).head;
        let line = &kanaria.log_of(2 * n + 2)[2 * n];
        // Who spoke for itself is a trusted proxy, and what it says of its client counts.
        let client_ip = named.unwrap_or("192.0.2.99");
        assert_eq!(line["client_ip"], client_ip);
        let chain = format!("192.0.2.99, {}", named.unwrap_or("127.0.0.1"));
        assert_eq!(seen.get("x-forwarded-for"), Some(&*chain));
        if named.is_some() {
            assert_eq!(line["client_port"], 4321);
            assert_eq!(seen.get("x-forwarded-port"), Some(port));
        }
    }
}

#[test]
fn a_header_in_pieces_and_a_request_in_the_same_packet_are_both_read() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&required(&ec2));
    for header in [V1.to_vec(), v2(0x21, 20)] {
        let mut whole = kanaria.client();
        assert_eq!(
            whole
                .call([&header, get("/", "").as_bytes()].concat())
                .status,
            200
        );
        let mut pieces = kanaria.client();
        for byte in &header {
            pieces.wire.send([*byte]).unwrap();
        }
        assert_eq!(pieces.call(get("/", "")).status, 200);
    }
    assert_eq!(ec2.count(), 4);
}

#[test]
fn http2_goes_on_behind_the_header() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&required(&ec2).listener("h2c = true"));
    let client = Http2::connect_behind(kanaria.public, V1);
    assert_eq!(client.call(ask("GET", "/"), b"").status, 200);
    assert_eq!(kanaria.log_of(1)[0]["client_ip"], "203.0.113.7");
}

#[test]
fn what_is_no_header_is_closed_and_counted_and_everything_else_goes_on() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&required(&ec2));
    let mut slow = kanaria.client();
    slow.wire.send(&V1[..20]).unwrap();
    let mut oversized = V2.to_vec();
    oversized.extend([0x21, 0x11, 0xff, 0xff]);
    for (cause, bytes) in [
        ("invalid", get("/", "").into_bytes()),
        ("invalid", b"PROXY TCP4 x y 1 2\r\n".to_vec()),
        ("oversized", oversized),
    ] {
        let before = refused(&kanaria, cause);
        let mut client = kanaria.client();
        let _ = client.wire.send(bytes);
        assert!(client.wire.closed(), "{cause}");
        until("it is counted", || {
            (refused(&kanaria, cause) == before + 1.0).then_some(())
        });
    }
    let mut cut = kanaria.client();
    cut.wire.send(&V1[..20]).unwrap();
    cut.wire.finish();
    assert!(cut.wire.closed());
    until("the cut one is counted", || {
        (refused(&kanaria, "truncated") == 1.0).then_some(())
    });
    let honest = [V1, get("/", "").as_bytes()].concat();
    assert_eq!(kanaria.client().call(&honest).status, 200);
    slow.wire.patience(Duration::from_secs(5));
    assert!(slow.wire.closed(), "a header that never ends is cut");
    until("the slow one is counted", || {
        (refused(&kanaria, "timeout") == 1.0).then_some(())
    });
    assert_eq!(ec2.count(), 1);
    assert_eq!(kanaria.log_of(1).len(), 1, "no request, no line");
    let log = kanaria.stderr();
    assert!(
        log.contains("what it sent first is no PROXY header"),
        "{log}"
    );
}

#[test]
fn a_peer_that_is_not_trusted_speaks_for_nobody() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .server("trusted_proxies = [\"10.0.0.0/8\"]")
        .listener("proxy_protocol = \"required\"");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let _ = client.wire.send(V1);
    assert!(client.wire.closed());
    until("it is counted", || {
        (refused(&kanaria, "untrusted") == 1.0).then_some(())
    });
    assert_eq!(ec2.count(), 0);
    assert!(
        kanaria
            .stderr()
            .contains("is not one of `server.trusted_proxies`")
    );
}

#[test]
fn a_health_check_over_tcp_is_no_fault() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&required(&ec2));
    for _ in 0..3 {
        let mut check = kanaria.client();
        check.wire.finish();
        assert!(check.wire.closed());
    }
    assert_eq!(
        kanaria
            .admin
            .metric("kanaria_proxy_headers_refused_total", &[]),
        0.0
    );
}

#[test]
fn a_header_where_none_is_asked_for_is_no_request() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).server("trusted_proxies = [\"127.0.0.1\"]"));
    for header in [V1.to_vec(), v2(0x21, 0)] {
        let mut client = Client::connect(kanaria.public);
        let answer = client.call([&header, get("/", "").as_bytes()].concat());
        assert_eq!(answer.status, 400);
    }
    assert_eq!(ec2.count(), 0);
}

fn refused(kanaria: &Kanaria, cause: &str) -> f64 {
    let cause = format!("cause=\"{cause}\"");
    kanaria
        .admin
        .metric("kanaria_proxy_headers_refused_total", &[&cause])
}
