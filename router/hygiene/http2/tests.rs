//! Heads of HTTP/2, each with what it gets.

use http::Request;

use super::*;

/// A head for `http://a/`, or for another `uri`, with `fields`.
fn head(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn check(method: &str, uri: &str, fields: &[(&str, &str)], expect: Result<(), Cause>) {
    let mut server = Server::default();
    server.limits.request_body = config::units::Size(1000);
    let mut head = head(method, uri, fields);
    let settled = settle(&mut head, false, &server);
    let settled = settled.map(drop).map_err(|refused| refused.cause);
    assert_eq!(settled, expect, "{method} {uri} {fields:?}");
}

const BAD: Result<(), Cause> = Err(Cause::BadRequest);

#[test]
fn a_head_leaves_as_http_1_would_have_sent_it() {
    let crumbs = [
        ("cookie", "a=1"),
        ("x", "y"),
        ("cookie", "b=2"),
        ("cookie", "c=3; d=4"),
    ];
    let mut head = head("GET", "https://www.example.com:8443/a?b=c", &crumbs);
    settle(&mut head, false, &Server::default()).unwrap();
    assert_eq!(head.uri, "/a?b=c");
    assert_eq!(head.headers["host"], "www.example.com:8443");
    let cookies: Vec<_> = head.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
    assert_eq!(head.headers.len(), 3);
}

#[test]
fn plain_heads_pass() {
    check("GET", "http://a/", &[], Ok(()));
    check("GET", "http://a", &[], Ok(()));
    check("GET", "http://a/", &[("host", "A")], Ok(()));
    check(
        "POST",
        "http://[::1]:80/",
        &[("content-length", "1000")],
        Ok(()),
    );
    check("MY-METHOD", "http://a/", &[("x_custom", "fine")], Ok(()));
    check("POST", "http://a/p.S/M", &[("te", "trailers")], Ok(()));
}

#[test]
fn a_host_that_is_not_one_is_refused() {
    check("GET", "http://a/", &[("host", "b")], BAD);
    check("GET", "http://a/", &[("host", "a"), ("host", "a")], BAD);
    check("GET", "http://user@a/", &[], BAD);
    check("GET", "/", &[("host", "a")], BAD);
}

#[test]
fn fields_of_a_connection_are_refused() {
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
    ] {
        check("POST", "http://a/", &[(name, value)], BAD);
    }
}

#[test]
fn a_length_is_one_number() {
    for value in ["", "+1", "0x1", "1, 1", "9999999999999999999"] {
        check("POST", "http://a/", &[("content-length", value)], BAD);
    }
    check("POST", "http://a/", &[("content_length", "1")], Ok(()));
    let twice = [("content-length", "1"), ("content-length", "1")];
    check("POST", "http://a/", &twice, Ok(()));
    let different = [("content-length", "1"), ("content-length", "2")];
    check("POST", "http://a/", &different, BAD);
    let long = [("content-length", "1001")];
    check("POST", "http://a/", &long, Err(Cause::BodyTooLarge));
}

#[test]
fn values_have_no_space_around_them() {
    for value in [" a", "a ", "\ta", "a\t", " "] {
        check("GET", "http://a/", &[("x", value)], BAD);
    }
    check("GET", "http://a/", &[("x", "a b\tc")], Ok(()));
    check("GET", "http://a/", &[("x", "")], Ok(()));
}

#[test]
fn targets_and_methods_follow_the_rules_of_http_1() {
    check("CONNECT", "http://a/", &[], Err(Cause::MethodNotAllowed));
    check("TRACE", "http://a/", &[], Err(Cause::MethodNotAllowed));
    check("get", "http://a/", &[], BAD);
    check("GET", "ftp://a/", &[], BAD);
    for target in ["/a?<", "/a?\""] {
        let uri = format!("http://a{target}");
        if Uri::try_from(&uri).is_ok() {
            check("GET", &uri, &[], BAD);
        }
    }
}

#[test]
fn what_is_too_large_is_refused_with_its_own_cause() {
    let long = "x".repeat(17 * 1024);
    let uri = format!("http://a/{long}");
    check("GET", &uri, &[], Err(Cause::UriTooLong));
    check(
        "GET",
        "http://a/",
        &[("x", &long)],
        Err(Cause::HeaderTooLarge),
    );
    let piece = "y".repeat(1000);
    let many = vec![("x", piece.as_str()); 80];
    check("GET", "http://a/", &many, Err(Cause::HeaderTooLarge));
    let crumbs = vec![("cookie", "a=1"); MAX_FIELDS + 1];
    check("GET", "http://a/", &crumbs, Err(Cause::HeaderTooLarge));
    check("GET", "http://a/", &crumbs[1..], Ok(()));
}

#[test]
fn what_some_would_read_in_another_way_does_not_go_on() {
    let fields = [("content_length", "1"), ("x_y", "z"), ("x-y", "z")];
    let mut head = head("GET", "http://a/", &fields);
    let (traits, _) = settle(&mut head, false, &Server::default()).unwrap();
    assert_eq!(traits.desync, Some(Desync::SuspiciousHeader));
    assert!(traits.invalid_header && !head.headers.contains_key("content_length"));
    assert!(head.headers.contains_key("x_y"));
}

#[test]
fn a_get_with_a_body_is_told() {
    for (fields, has_body, desync) in [
        (&[][..], false, None),
        (&[], true, Some(Desync::UndefinedTransferEncodingSemantics)),
        (
            &[("content-length", "3")],
            true,
            Some(Desync::UndefinedContentLengthSemantics),
        ),
        (
            &[("content-length", "0")],
            false,
            Some(Desync::GetHeadZeroContentLength),
        ),
    ] {
        let mut head = head("GET", "http://a/", fields);
        let (traits, _) = settle(&mut head, has_body, &Server::default()).unwrap();
        assert_eq!(traits.desync, desync, "{fields:?} {has_body}");
    }
}
