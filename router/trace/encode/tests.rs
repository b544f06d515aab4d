//! Spans as they are sent.

use std::collections::BTreeMap;

use config::decision::Reason;
use config::ids::PoolId;
use serde_json::json;

use super::*;
use crate::record::{Cause, Head};
use crate::testing;
use crate::trace::{Context, Span};

const CONTEXT: Context = Context {
    trace: [0xa; 16],
    span: [0xb; 8],
    parent: Some([0xc; 8]),
    sampled: true,
};

fn told_of(record: Record) -> Told {
    let structure = testing::structure(&json!({}), &json!([]));
    let snapshot = testing::snapshot(&structure, 42, 5);
    told(&Span::new(CONTEXT, record, &snapshot))
}

fn texts(span: &Told) -> BTreeMap<String, String> {
    let texts = span.attributes.iter().map(|attribute| {
        let value = attribute.value.clone().and_then(|value| value.value);
        let text = match value {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::DoubleValue(number)) => number.to_string(),
            other => panic!("{}: {other:?}", attribute.key),
        };
        (attribute.key.clone(), text)
    });
    let texts: BTreeMap<_, _> = texts.collect();
    assert_eq!(texts.len(), span.attributes.len(), "a key is given twice");
    texts
}

#[test]
fn a_span_of_a_served_request() {
    let span = told_of(testing::record());
    assert_eq!(span.name, "GET blogs");
    assert_eq!(span.kind, i32::from(SpanKind::Server));
    assert_eq!((span.trace_id, span.span_id), (vec![0xa; 16], vec![0xb; 8]));
    assert_eq!((span.parent_span_id, span.flags), (vec![0xc; 8], 1));
    assert_eq!(span.start_time_unix_nano, 1_795_219_571_123_456_000);
    assert_eq!(
        span.end_time_unix_nano - span.start_time_unix_nano,
        12_345_000
    );
    assert_eq!(span.status, None);
    let span = told_of(testing::record());
    let digest = texts(&span)["kanaria.config_digest"].clone();
    assert_eq!(digest.len(), 12);
    let expect = [
        ("client.address", "203.0.113.7"),
        ("client.port", "51234"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("kanaria.attempts", "1"),
        ("kanaria.bucket", "123"),
        ("kanaria.config_digest", &digest),
        ("kanaria.listener", "public"),
        ("kanaria.partition", "blogs"),
        ("kanaria.pool", "ecs"),
        ("kanaria.reason", "weight"),
        ("kanaria.request_id", "0198f5c2"),
        ("kanaria.revision", "42"),
        ("kanaria.route", "blogs"),
        ("kanaria.target", "127.0.0.1:4001"),
        ("kanaria.upstream.connect_s", "0.00021"),
        ("kanaria.upstream.ttfb_s", "0.01102"),
        ("network.protocol.version", "1.1"),
        ("server.address", "www.example.com"),
        ("url.path", "/entry"),
        ("url.scheme", "http"),
        ("user_agent.original", "curl/8.5.0"),
    ];
    let expect = expect.map(|(key, text)| (key.to_owned(), text.to_owned()));
    assert_eq!(texts(&span), BTreeMap::from(expect));
}

/// Status, cause; then status in the span, `error.type`, whether it is an error.
#[track_caller]
fn check(status: u16, error: Option<Cause>, expect: (&str, &str, bool)) {
    let record = Record {
        status,
        error,
        ..testing::record()
    };
    let span = told_of(record);
    let texts = texts(&span);
    let text = |key: &str| texts.get(key).map_or("", String::as_str);
    let is_error = span.status.is_some_and(|it| it.code == 2);
    let told = (
        text("http.response.status_code"),
        text("error.type"),
        is_error,
    );
    assert_eq!(told, expect);
}

#[test]
fn an_error_is_what_a_server_did_and_names_its_cause() {
    check(200, None, ("200", "", false));
    check(404, None, ("404", "", false));
    check(500, None, ("500", "500", true));
    check(
        502,
        Some(Cause::ConnectFailed),
        ("502", "connect_failed", true),
    );
    check(503, Some(Cause::NoTarget), ("503", "no_target", true));
    check(404, Some(Cause::NoRoute), ("404", "no_route", true));
    // The answer had begun.
    check(
        200,
        Some(Cause::TargetClosed),
        ("200", "target_closed", true),
    );
    check(0, Some(Cause::Shutdown), ("", "shutdown", true));
    // What clients do is no failure of a server.
    check(460, Some(Cause::ClientClosed), ("", "client_closed", false));
    check(
        200,
        Some(Cause::ClientClosed),
        ("200", "client_closed", false),
    );
    check(
        413,
        Some(Cause::BodyTooLarge),
        ("413", "body_too_large", false),
    );
}

#[test]
fn a_span_of_a_request_that_another_pool_served_says_so() {
    let record = Record {
        switched_from: Some(PoolId(1)),
        ..testing::served(0, Reason::Failover, 7)
    };
    let texts = texts(&told_of(record));
    let text = |key: &str| texts[key].as_str();
    assert_eq!(text("kanaria.pool"), "ec2");
    assert_eq!(text("kanaria.reason"), "failover");
    assert_eq!(text("kanaria.switched_from"), "ecs");
}

#[test]
fn a_host_is_told_without_its_port() {
    for (host, name, port) in [
        ("a.example", "a.example", None),
        ("a.example:8080", "a.example", Some("8080")),
        ("a.example:", "a.example", None),
        ("[2001:db8::1]:443", "2001:db8::1", Some("443")),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("", "", None),
    ] {
        let mut list = Attributes::default();
        list.server(host);
        let span = Told {
            attributes: list.0,
            ..Default::default()
        };
        let texts = texts(&span);
        assert_eq!(texts["server.address"], name, "{host}");
        assert_eq!(texts.get("server.port").map(String::as_str), port, "{host}");
    }
}

/// A client may send any bytes, and as many as a head may have.
#[test]
fn what_clients_make_up_stays_small_and_makes_no_names() {
    let long = [b'/'].into_iter().chain([0xff; 5000]).collect::<Vec<_>>();
    let head = Head::copy([
        Some(b"id"),
        None,
        Some(b"BREW"),
        Some(b"h"),
        Some(&long),
        Some(b"token=secret"),
        Some(&long),
        Some(b"http://referer.test/secret"),
        None,
    ]);
    let span = told_of(Record {
        head,
        ..testing::record()
    });
    assert_eq!(span.name, "HTTP blogs");
    let texts = texts(&span);
    assert_eq!(texts["http.request.method"], "_OTHER");
    assert_eq!(texts["http.request.method_original"], "BREW");
    assert_eq!(texts["url.path"].chars().count(), 1024);
    assert_eq!(texts["user_agent.original"].chars().count(), 1024);
    assert!(!texts.values().any(|text| text.contains("secret")));
}

#[test]
fn a_resource_names_the_service_and_what_the_file_adds() {
    let telemetry = json!({
        "otlp": "http://127.0.0.1:4318",
        "service": "edge",
        "attributes": {"deployment.environment.name": "production"},
        "headers": {"x-api-key": "secret"},
    });
    let telemetry: Telemetry = serde_json::from_value(telemetry).unwrap();
    let span = Told {
        attributes: resource(&telemetry, "one").attributes,
        ..Default::default()
    };
    let texts = texts(&span);
    assert_eq!(texts["service.name"], "edge");
    assert_eq!(texts["service.instance.id"], "one");
    assert_eq!(texts["deployment.environment.name"], "production");
    assert!(!texts.values().any(|text| text.contains("secret")));
}
