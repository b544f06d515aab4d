//! Heads that are refused, each with its line.

use bytes::Bytes;
use http::request::Builder;

use super::{lines, start};
use crate::support::Stub;
use crate::support::http2::{Call, Reply, ask, put};

#[test]
fn heads_that_break_a_rule_are_refused_with_a_line_and_the_connection_goes_on() {
    let ec2 = Stub::start("ec2");
    let (kanaria, client) = start(&ec2);
    let long = "x".repeat(17 * 1024);
    let cases: Vec<(Builder, u16, &str)> = vec![
        (ask("GET", "/").header("host", "other"), 400, "bad_request"),
        (ask("GET", "/").header("x", " a"), 400, "bad_request"),
        (ask("get", "/"), 400, "bad_request"),
        (ask("TRACE", "/"), 405, "method_not_allowed"),
        (ask("GET", &format!("/{long}")), 414, "uri_too_long"),
        (ask("GET", "/").header("x", &long), 431, "header_too_large"),
        (
            ask("GET", "/").header("expect", "more"),
            417,
            "expectation_failed",
        ),
    ];
    let n = cases.len();
    for (n, (request, status, error)) in cases.into_iter().enumerate() {
        let reply = client.call(request, b"");
        assert_eq!(reply.status, status, "{error}");
        assert!(reply.text().contains(&status.to_string()));
        let line = &lines(&kanaria, n + 1)[n];
        assert_eq!(*line, (Some(status.into()), Some(error.to_owned())));
    }
    assert_eq!(ec2.count(), 0);
    assert_eq!(client.call(ask("GET", "/"), b"").text(), "ec2");
    let line = &kanaria.log_of(n + 1)[0];
    assert_eq!(
        (&line["method"], &line["host"]),
        (&"GET".into(), &"www.example.com".into())
    );
}

#[test]
fn a_body_above_the_limit_is_refused_announced_or_not() {
    let ec2 = Stub::start("ec2");
    let file = crate::support::File::single(&ec2).h2c();
    let kanaria = crate::support::Kanaria::start(&file.server("limits.request_body = \"10KiB\""));
    let client = crate::support::http2::Http2::connect(kanaria.public);
    let body = vec![b'x'; 11 * 1024];
    let announced = ask("POST", "/").header("content-length", body.len());
    assert_eq!(client.call(announced, &body).status, 413);
    assert_eq!(client.call(ask("POST", "/"), &body).status, 413);
    assert_eq!(
        client.call(ask("POST", "/"), &body[..10 * 1024]).status,
        200
    );
}

#[test]
fn a_body_of_another_length_than_announced_never_looks_whole() {
    for (announced, body) in [(10, "abc"), (2, "abc")] {
        let ec2 = Stub::with("ec2", |exchange| {
            exchange.body()?;
            exchange.plain()
        });
        let (kanaria, client) = start(&ec2);
        let request = ask("POST", "/").header("content-length", announced);
        let Call {
            answer,
            body: mut out,
        } = client.begin(request, false);
        let reply = client.wait(async {
            put(&mut out, Bytes::from(body)).await.unwrap();
            let _ = out.send_data(Bytes::new(), true);
            Reply::read(answer).await
        });
        assert!(!reply.is_ok_and(|reply| reply.status == 200), "{announced}");
        assert!(
            ec2.seen().iter().all(|seen| seen.body.is_empty()),
            "{announced}"
        );
        let (_, error) = &lines(&kanaria, 1)[0];
        assert_eq!(error.as_deref(), Some("bad_request"), "{announced}");
        assert_eq!(client.call(ask("GET", "/"), b"").status, 200, "{announced}");
    }
}
