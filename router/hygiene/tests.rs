//! Heads that two readers could read differently, or that are too large, each with what it gets.

use super::*;

#[track_caller]
fn check_head(head: &str, expect: Result<Framing, Cause>) {
    check_bytes(head.replace('\n', "\r\n").as_bytes(), expect);
}

#[track_caller]
fn check_bytes(head: &[u8], expect: Result<Framing, Cause>) {
    let checked = check(head, &Server::default());
    let checked = checked.map(|passed| passed.framing);
    let checked = checked.map_err(|refused| refused.cause);
    assert_eq!(checked, expect, "{}", head.escape_ascii());
}

/// What goes on of `head`, which passes, and what is odd about it.
#[track_caller]
fn check_repair(head: &str, server: &Server, desync: Option<Desync>, expect: &str) {
    let head = head.replace('\n', "\r\n");
    let passed = check(head.as_bytes(), server).unwrap();
    assert_eq!(passed.traits.desync, desync, "{head}");
    assert_eq!(passed.repair, !expect.is_empty(), "{head}");
    if passed.repair {
        let repaired = repaired(head.as_bytes(), server);
        assert_eq!(
            String::from_utf8(repaired).unwrap().replace("\r\n", "\n"),
            expect
        );
        let again = check(expect.replace('\n', "\r\n").as_bytes(), server).unwrap();
        assert_eq!((again.framing, again.repair), (passed.framing, false));
    }
}

const fn length(length: u64) -> Result<Framing, Cause> {
    Ok(Framing {
        body: Body::Length(length),
    })
}

const BAD: Result<Framing, Cause> = Err(Cause::BadRequest);

#[test]
fn plain_requests_pass() {
    check_head("GET / HTTP/1.1\nHost: a\n\n", length(0));
    check_head("GET /a?b=c HTTP/1.0\n\n", length(0));
    check_head(
        "POST / HTTP/1.1\nHost: a.example:8080\nContent-Length: 12\n\n",
        length(12),
    );
    check_head(
        "POST / HTTP/1.1\nhost: [::1]:80\ncontent-length:0012  \n\n",
        length(12),
    );
    check_head("OPTIONS * HTTP/1.1\nHost: a\n\n", length(0));
    check_head("GET http://a/b HTTP/1.1\nHost: a\n\n", length(0));
    check_head(
        "MY-METHOD / HTTP/1.1\nHost: a\nX_Custom: fine\nX: \t tab\t\n\n",
        length(0),
    );
    check_bytes(
        b"GET /\xe3\x81\x82 HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\r\n\r\n",
        length(0),
    );
}

#[test]
fn a_chunked_body_is_seen() {
    let chunked = Ok(Framing {
        body: Body::Chunked,
    });
    check_head(
        "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n",
        chunked,
    );
}

#[test]
fn request_lines_that_are_not_one_are_refused() {
    for line in [
        "",
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET foo HTTP/1.1",
        "GET * HTTP/1.1",
        "get / HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/11",
        "GET ftp://a/ HTTP/1.1",
    ] {
        check_head(&format!("{line}\nHost: a\n\n"), BAD);
    }
}

#[test]
fn other_versions_and_methods_we_do_not_carry_are_named() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
        check_head(
            &format!("GET / {version}\nHost: a\n\n"),
            Err(Cause::VersionNotSupported),
        );
    }
    for method in ["TRACE /", "CONNECT a:443"] {
        check_head(
            &format!("{method} HTTP/1.1\nHost: a\n\n"),
            Err(Cause::MethodNotAllowed),
        );
    }
}

#[test]
fn fields_that_two_readers_could_read_differently_are_refused() {
    for field in [
        "X",
        ": x",
        "X : y",
        "X\t: y",
        " X: y",
        "\tfolded",
        "X: a\u{0}b",
        "X: a\u{7f}",
        "X\u{0}: y",
        "X(: y",
        "X: a\u{1}b",
        "Content-Length: 1\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length: -1",
        "Content-Length:",
        "Content-Length: 1 1",
        "Content-Length: 9999999999999999999",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\nTransfer-Encoding: identity",
        "Host: b",
        "Host: a",
    ] {
        check_head(&format!("POST / HTTP/1.1\nHost: a\n{field}\n\n"), BAD);
    }
}

#[test]
fn a_transfer_coding_that_would_be_lost_on_the_way_is_refused() {
    for coding in [
        "gzip, chunked",
        "identity",
        "chunked, identity",
        "xchunked",
        "chunked;q=1",
        "gzip",
        "\u{b}chunked",
        "\u{c}chunked",
        "chunked\u{c}",
    ] {
        let expect = if coding.contains(['\u{b}', '\u{c}']) {
            BAD
        } else {
            Err(Cause::NotImplemented)
        };
        check_head(
            &format!("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: {coding}\n\n"),
            expect,
        );
    }
    check_head(
        "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n",
        BAD,
    );
}

#[test]
fn a_request_names_exactly_one_host() {
    for head in [
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\nHost:\n\n",
        "GET / HTTP/1.1\nHost: a b\n\n",
        "GET / HTTP/1.1\nHost: a/b\n\n",
        "GET / HTTP/1.1\nHost: user@a\n\n",
        "GET http://a/ HTTP/1.1\nHost: b\n\n",
        "GET http://a/ HTTP/1.1\nHost: A\n\n",
        "GET http://[a/ HTTP/1.1\nHost: [a\n\n",
        "GET http:/// HTTP/1.1\nHost: a\n\n",
        "GET http://u@a/ HTTP/1.1\nHost: u@a\n\n",
        "GET http://a/ HTTP/1.1\n\n",
    ] {
        check_head(head, BAD);
    }
}

#[test]
fn only_cr_lf_ends_a_line() {
    check_bytes(b"GET / HTTP/1.1\nHost: a\n\n", BAD);
    check_bytes(b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD);
    check_bytes(b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", BAD);
    check_bytes(b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD);
}

#[test]
fn each_limit_has_its_status() {
    let long = "a".repeat(17 * 1024);
    check_head(
        &format!("GET /{long} HTTP/1.1\nHost: a\n\n"),
        Err(Cause::UriTooLong),
    );
    check_head(
        &format!("GET / HTTP/1.1\nHost: a\nX: {long}\n\n"),
        Err(Cause::HeaderTooLarge),
    );
    let most = format!("X: {}\n", "a".repeat(15 * 1024)).repeat(5);
    check_head(
        &format!("GET / HTTP/1.1\nHost: a\n{most}\n"),
        Err(Cause::HeaderTooLarge),
    );
    let many = "X: y\n".repeat(257);
    check_head(
        &format!("GET / HTTP/1.1\nHost: a\n{many}\n"),
        Err(Cause::HeaderTooLarge),
    );
    let mut small = Server::default();
    small.limits.request_body = config::units::Size(10);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(check(head, &small), Err(Cause::BodyTooLarge.into()));
}

#[test]
fn what_some_would_read_in_another_way_does_not_go_on() {
    let server = Server::default();
    let both = "POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked\nX: y\n\n";
    let one = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nX: y\n\n";
    check_repair(both, &server, Some(Desync::BothTeClPresent), one);
    let twice = "POST / HTTP/1.1\ncontent-length: 3\nHost: a\nContent-Length: 03\n\n";
    let once = "POST / HTTP/1.1\ncontent-length: 3\nHost: a\n\n";
    check_repair(twice, &server, Some(Desync::DuplicateContentLength), once);
    let folded = "POST / HTTP/1.1\nHost: a\nTransfer_Encoding: chunked\ncontent_length: 3\n\n";
    let bare = "POST / HTTP/1.1\nHost: a\n\n";
    check_repair(folded, &server, Some(Desync::SuspiciousHeader), bare);
    let space = "GET /a b?<c> HTTP/1.1\nHost: a\n\n";
    let escaped = "GET /a%20b?%3Cc%3E HTTP/1.1\nHost: a\n\n";
    check_repair(space, &server, Some(Desync::SpaceInUri), escaped);
    check_repair(
        "GET /\u{3042} HTTP/1.1\nHost: a\nX_Y: z\n\n",
        &server,
        None,
        "",
    );
}

#[test]
fn headers_that_an_alb_calls_invalid_are_left_out_where_that_is_asked_for() {
    let server = Server {
        invalid_headers: InvalidHeaders::Drop,
        ..Server::default()
    };
    let head = "GET / HTTP/1.1\nHost: a\nX_Y: z\nX.Y: z\nX-Y: z\n\n";
    check_repair(head, &server, None, "GET / HTTP/1.1\nHost: a\nX-Y: z\n\n");
}

#[test]
fn no_more_than_thirty_addresses_pass() {
    let chain = |n: usize| vec!["1.1.1.1"; n].join(",");
    for (fields, expect) in [
        (chain(30), length(0)),
        (chain(31), Err(Cause::TooManyAddresses)),
        (
            format!("{}\nx-forwarded-for: {}", chain(16), chain(14)),
            length(0),
        ),
        (
            format!("{}\nx-forwarded-for: {}", chain(16), chain(15)),
            Err(Cause::TooManyAddresses),
        ),
        (format!("{},,, ", chain(30)), length(0)),
    ] {
        check_head(
            &format!("GET / HTTP/1.1\nHost: a\nX-Forwarded-For: {fields}\n\n"),
            expect,
        );
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_the_reads_were_cut() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n";
    let end = head.len() - 8;
    for cut in 0..end {
        assert_eq!(end_of_head(&head[..cut], 0), None);
        assert_eq!(
            end_of_head(head, cut.saturating_sub(2)),
            Some(end),
            "cut at {cut}"
        );
    }
    assert_eq!(end_of_head(b"GET / HTTP/1.1\nHost: a\n\nx", 0), Some(24));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = check(&bytes, &Server::default());
        let _ = end_of_head(&bytes, 0);
    }

    #[test]
    fn what_passes_is_read_the_same_by_a_second_parser(line in "[A-Z]{1,8} [/a-z]{1,10}", fields in proptest::collection::vec("[A-Za-z-]{1,12}: ?[ -~]{0,12}", 0..6)) {
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{}\r\n", fields.iter().map(|field| format!("{field}\r\n")).collect::<String>());
        if check(head.as_bytes(), &Server::default()).is_ok() {
            let mut space = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut space);
            let parsed = request.parse(head.as_bytes()).unwrap();
            proptest::prop_assert_eq!(parsed, httparse::Status::Complete(head.len()));
            proptest::prop_assert_eq!(request.headers.len(), fields.len() + 1);
        }
    }
}
