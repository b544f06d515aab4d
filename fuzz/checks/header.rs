//! Any bytes as what a client sends: whatever hygiene passes is read the same by a strict parser and by the proxy library.
//!
//! The fields it has, or seems to have, then go through the policies that read fields.

#[path = "header/policies.rs"]
mod policies;

use std::future::Future;
use std::io::Cursor;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use config::model::{Limits, Server};
use config::units::Size;
use pingora_core::protocols::http::v1::server::HttpSession;
use router::hygiene::{self, Body, Framing};

/// A field as the client wrote it: its name, and its value without the spaces around it.
type Field<'a> = (&'a [u8], &'a [u8]);

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    policies::check(&fields(input));
    let Some(end) = end(input) else {
        assert!(hygiene::check(input, &Server::default()).is_err());
        return;
    };
    let (head, body) = input.split_at(end);
    let server = Server::default();
    let checked = hygiene::check(head, &server);
    if let Ok(passed) = hygiene::check(head, &narrow()) {
        assert_eq!(checked, Ok(passed));
    }
    let Ok(passed) = checked else { return };
    if !passed.repair {
        read_by_a_strict_parser(head, passed.framing);
        read_by_the_library(head, body, passed.framing);
        return;
    }
    // What goes on in its place says the same, and needs no further repair.
    let repaired = hygiene::repaired(head, &server);
    let again = hygiene::check(&repaired, &server).expect("a repaired head passes");
    assert_eq!((again.framing, again.repair), (passed.framing, false));
    read_by_a_strict_parser(&repaired, passed.framing);
    read_by_the_library(&repaired, body, passed.framing);
}

/// The end of the head, found in one piece and in small ones.
fn end(input: &[u8]) -> Option<usize> {
    let end = hygiene::end_of_head(input, 0);
    for step in [1, 7] {
        let mut searched = 0;
        let reads = (0..input.len()).step_by(step).chain([input.len()]);
        let found = reads.into_iter().find_map(|length| {
            let found = hygiene::end_of_head(&input[..length], searched);
            searched = length.saturating_sub(2);
            found
        });
        assert_eq!(found, end, "in steps of {step}");
    }
    end
}

/// Limits that most heads break.
fn narrow() -> Server {
    let limits = Limits {
        request_line: Size(40),
        header: Size(30),
        headers: Size(60),
        request_body: Size(10),
        ..Limits::default()
    };
    Server {
        limits,
        ..Server::default()
    }
}

fn fields(head: &[u8]) -> Vec<Field<'_>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = &line[colon + 1..];
            let start = value
                .iter()
                .position(|byte| !blank(byte))
                .unwrap_or(value.len());
            let end = value
                .iter()
                .rposition(|byte| !blank(byte))
                .map_or(start, |at| at + 1);
            Some((&line[..colon], &value[start..end]))
        })
        .collect()
}

fn read_by_a_strict_parser(head: &[u8], framing: Framing) {
    let mut space = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut space);
    let length = request.parse(head);
    assert_eq!(length, Ok(httparse::Status::Complete(head.len())));
    let parsed: Vec<Field<'_>> = request
        .headers
        .iter()
        .map(|field| (field.name.as_bytes(), field.value))
        .collect();
    assert_eq!(parsed, fields(head));
    let http_1_1 = request.version == Some(1);
    let n_hosts = values(&parsed, "host").count();
    assert!(n_hosts <= 1 && (n_hosts == 1 || !http_1_1));
    assert_eq!(framing, framed(&parsed, http_1_1));
}

/// The values of the fields called `name` by any server, also one that takes `_` for `-`.
fn values<'a>(fields: &[Field<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter_map(move |(given, value)| {
        let folded = given.to_ascii_lowercase().into_iter();
        let folded = folded.map(|byte| if byte == b'_' { b'-' } else { byte });
        folded.eq(name.bytes()).then_some(*value)
    })
}

/// The one framing that `fields` may mean.
fn framed(fields: &[Field<'_>], http_1_1: bool) -> Framing {
    let lengths: Vec<_> = values(fields, "content-length").collect();
    let codings: Vec<_> = values(fields, "transfer-encoding").collect();
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Body::Length(0),
        ([length], []) => {
            let text = std::str::from_utf8(length).expect("digits");
            assert!(text.bytes().all(|byte| byte.is_ascii_digit()));
            Body::Length(text.parse().expect("a number"))
        }
        ([], [coding]) => {
            assert!(http_1_1 && coding.eq_ignore_ascii_case(b"chunked"));
            Body::Chunked
        }
        other => panic!("more than one framing: {other:?}"),
    };
    Framing { body }
}

fn read_by_the_library(head: &[u8], body: &[u8], framing: Framing) {
    let mut session = HttpSession::new(Box::new(Cursor::new([head, body].concat())));
    let read = at_once(session.read_request());
    let read = read.unwrap_or_else(|error| panic!("the library refuses what passed: {error}"));
    assert_eq!(read, Some(head.len()));
    let request = session.req_header();
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    assert_eq!(words.next(), Some(request.method.as_str().as_bytes()));
    let target = words.next().unwrap_or_default();
    assert_eq!(request.raw_path(), target);
    if target.starts_with(b"/") {
        let read = request
            .uri
            .path_and_query()
            .map(|both| both.as_str().as_bytes());
        assert_eq!(read, Some(target));
    }
    let fields = fields(head);
    assert_eq!(request.headers.len(), fields.len());
    for (name, value) in fields {
        let name = std::str::from_utf8(name).expect("a token");
        let mut read = request.headers.get_all(name).iter();
        assert!(read.any(|read| read.as_bytes() == value), "{name}");
    }
    read_the_body(&mut session, body, framing);
}

/// The library takes exactly the bytes that the framing gives to this request.
fn read_the_body(session: &mut HttpSession, body: &[u8], framing: Framing) {
    let mut n_read = 0;
    while let Ok(Some(part)) = at_once(session.read_body_bytes()) {
        n_read += part.len() as u64;
    }
    match framing.body {
        Body::Length(length) => assert_eq!(n_read, length.min(body.len() as u64)),
        Body::Chunked => assert!(n_read <= body.len() as u64),
    }
}

/// What `future` gives; over bytes in memory there is nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("bytes in memory were waited for"),
    }
}
