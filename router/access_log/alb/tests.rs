//! Lines of an ALB: the fields in their order, and that no client breaks one.

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::record::{Head, Tls};
use crate::testing::{record, served, snapshot, structure, unreadable};
use config::decision::Reason;

fn line_of(record: &Record) -> String {
    let structure = structure(&json!({}), &json!([]));
    String::from_utf8(line(record, &snapshot(&structure, 42, 5))).unwrap()
}

/// The fields, quotes taken away, as a reader of such lines has them.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.strip_suffix('\n').unwrap();
    while !rest.is_empty() {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        rest = behind.strip_prefix(' ').unwrap_or(behind);
    }
    fields
}

#[test]
fn a_line_of_a_served_request() {
    insta::assert_snapshot!(line_of(&record()));
}

#[test]
fn a_line_of_a_request_that_could_not_be_read() {
    insta::assert_snapshot!(line_of(&unreadable()));
}

#[test]
fn a_line_over_tls_of_a_rewritten_request() {
    let mut texts = [None; Text::COUNT];
    for (name, text) in [
        (Text::Method, "POST"),
        (Text::Host, "www.example.com:8443"),
        (Text::Path, "/a b\"c\""),
        (Text::UserAgent, "a\"b\\c\u{e9}"),
        (Text::ServerName, "www.example.com"),
    ] {
        texts[name as usize] = Some(text.as_bytes());
    }
    let record = Record {
        head: Head::copy(texts),
        protocol: Some("HTTP/2"),
        tls: Some(Tls {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
        }),
        rewritten: Some(Rewritten {
            target: Some("/new?q=1".parse().unwrap()),
            host: Some(HeaderValue::from_static("inner.example")),
        }),
        client_ip: "2001:db8::7".parse().unwrap(),
        client_port: None,
        ..served(0, Reason::Failover, 7)
    };
    insta::assert_snapshot!(line_of(&record));
}

#[test]
fn kinds_are_those_of_an_alb() {
    let tls = Some(Tls {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
    });
    let of = |status, protocol, tls, grpc| {
        kind(&Record {
            status,
            protocol: Some(protocol),
            tls,
            grpc,
            ..record()
        })
    };
    assert_eq!(of(200, "HTTP/1.1", None, false), "http");
    assert_eq!(of(200, "HTTP/1.1", tls, false), "https");
    assert_eq!(of(200, "HTTP/2", tls, false), "h2");
    assert_eq!(of(200, "HTTP/2", tls, true), "grpcs");
    assert_eq!(of(101, "HTTP/1.1", None, false), "ws");
    assert_eq!(of(101, "HTTP/1.1", tls, false), "wss");
}

#[test]
fn every_line_has_all_fields() {
    let nothing = Record {
        status: 0,
        ..unreadable()
    };
    for record in [record(), unreadable(), served(0, Reason::Flag, 1), nothing] {
        let line = line_of(&record);
        assert_eq!(fields(&line).len(), 34, "{line}");
    }
}

#[test]
fn a_port_that_the_host_names_is_not_named_twice() {
    for (host, has) in [
        ("a.test", false),
        ("a.test:80", true),
        ("[::1]", false),
        ("[::1]:80", true),
        ("a:", false),
    ] {
        assert_eq!(has_port(host.as_bytes()), has, "{host}");
    }
}

proptest! {
    #[test]
    fn any_bytes_of_a_client_leave_34_fields(
        texts in proptest::collection::vec(proptest::option::of(any::<Vec<u8>>()), Text::COUNT),
        status in 0u16..999,
    ) {
        let texts: [Option<Vec<u8>>; Text::COUNT] = texts.try_into().unwrap();
        let record = Record {
            head: Head::copy(texts.each_ref().map(Option::as_deref)),
            status,
            ..record()
        };
        let line = line_of(&record);
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert_eq!(fields(&line).len(), 34);
        prop_assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\n'));
    }
}
