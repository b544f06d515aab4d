//! Reading an HTTP/1 answer to a check: a function of the bytes that have come so far, so it does not matter how they came.
//!
//! Made for one small answer on a connection of its own; it knows no pipelining, and no trailers.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, Status};

use super::outcome::Failed;

/// A longer head is no answer.
const HEAD: usize = 32 * 1024;
/// So much of a body is looked at; of a longer one the rest is not waited for.
pub(super) const BODY: usize = 64 * 1024;
/// More fields are no answer.
const FIELDS: usize = 128;

/// A whole answer, as far as it is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: Cow<'a, [u8]>,
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
enum Framing {
    Chunked,
    Close,
    Length(usize),
}

/// The answer in `bytes`, which is all that came after a request that was a HEAD or was not; `None` when more must
/// come. `ended` says that no more will.
pub(super) fn read(
    mut bytes: &[u8],
    ended: bool,
    to_head: bool,
) -> Result<Option<Answer<'_>>, Failed> {
    loop {
        let Some((status, framing, n_head)) = head(bytes, to_head)? else {
            return match bytes.len() {
                _ if ended => Err(Failed::Closed),
                n_bytes if n_bytes > HEAD => Err(Failed::NotAnAnswer("the head is too long")),
                _ => Ok(None),
            };
        };
        bytes = &bytes[n_head..];
        // 101 ends HTTP/1; the other interim answers come before the one that counts.
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        return match body(bytes, framing, ended)? {
            Some(body) => Ok(Some(Answer { status, body })),
            None if ended => Err(Failed::Closed),
            None => Ok(None),
        };
    }
}

fn head(bytes: &[u8], to_head: bool) -> Result<Option<(u16, Framing, usize)>, Failed> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Err(httparse::Error::TooManyHeaders) => {
            Err(Failed::NotAnAnswer("the head has too many fields"))
        }
        Err(_) => Err(Failed::NotAnAnswer("the answer is not HTTP/1")),
        Ok(Status::Partial) => Ok(None),
        Ok(Status::Complete(n_head)) => {
            let status = response.code.unwrap_or_default();
            let framing = match status {
                _ if to_head => Framing::Length(0),
                100..=199 | 204 | 304 => Framing::Length(0),
                _ => framing(response.headers)?,
            };
            Ok(Some((status, framing, n_head)))
        }
    }
}

/// RFC 9112, section 6.3.
fn framing(fields: &[Header<'_>]) -> Result<Framing, Failed> {
    let all = |name: &'static str| {
        let named = move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name);
        fields.iter().filter(named).map(|field| field.value)
    };
    if let Some(codings) = all("transfer-encoding").next_back() {
        let last = codings.rsplit(|&byte| byte == b',').next();
        let is_chunked =
            last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        return Ok(if is_chunked {
            Framing::Chunked
        } else {
            Framing::Close
        });
    }
    match all("content-length").next() {
        None => Ok(Framing::Close),
        Some(length) => std::str::from_utf8(length.trim_ascii())
            .ok()
            .and_then(|length| length.parse().ok())
            .map(Framing::Length)
            .ok_or(Failed::NotAnAnswer("the content-length is no number")),
    }
}

/// The body once it is whole, or long enough.
fn body(bytes: &[u8], framing: Framing, ended: bool) -> Result<Option<Cow<'_, [u8]>>, Failed> {
    let wanted = match framing {
        Framing::Chunked => return chunks(bytes),
        Framing::Length(length) => length.min(BODY),
        Framing::Close if ended => bytes.len().min(BODY),
        Framing::Close => BODY,
    };
    Ok(bytes.get(..wanted).map(Cow::Borrowed))
}

fn chunks(mut bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Failed> {
    let mut body = Vec::new();
    loop {
        let wrong = |_| Failed::NotAnAnswer("a chunk of the body has no size");
        let (n_line, size) = match httparse::parse_chunk_size(bytes).map_err(wrong)? {
            Status::Partial => return Ok(None),
            Status::Complete((_, 0)) => return Ok(Some(body.into())),
            Status::Complete((n_line, size)) => (n_line, usize::try_from(size).unwrap_or(BODY)),
        };
        bytes = &bytes[n_line..];
        let left = BODY - body.len();
        if size >= left {
            let last = bytes.get(..left);
            return Ok(last.map(|last| [&body, last].concat().into()));
        }
        // The line end after the data belongs to the chunk.
        let Some((data, rest)) = bytes.split_at_checked(size + 2) else {
            return Ok(None);
        };
        body.extend_from_slice(&data[..size]);
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn whole(text: &str, ended: bool) -> (u16, String) {
        let answer = read(text.as_bytes(), ended, false).unwrap();
        let answer = answer.expect("the answer is whole");
        (answer.status, String::from_utf8_lossy(&answer.body).into())
    }

    /// Whether no part of `text` is whole, but all of it is.
    #[track_caller]
    fn check_parts(text: &str) {
        for end in 0..text.len() {
            let part = &text.as_bytes()[..end];
            assert_eq!(read(part, false, false).unwrap(), None, "{end}");
            assert!(
                matches!(read(part, true, false), Err(Failed::Closed)),
                "{end}"
            );
        }
        assert!(read(text.as_bytes(), false, false).unwrap().is_some());
    }

    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &str = "HTTP/1.1 503 Busy\r\ntransfer-encoding: gzip, Chunked\r\n\r\n3;x=y\r\nbus\r\n1\r\ny\r\n0\r\n";

    #[test]
    fn an_answer_is_whole_when_its_framing_says_so() {
        assert_eq!(whole(LENGTH, false), (200, "ok".into()));
        assert_eq!(whole(CHUNKED, false), (503, "busy".into()));
        check_parts(LENGTH);
        check_parts(CHUNKED);
    }

    #[test]
    fn an_answer_without_framing_ends_with_its_connection() {
        let text = "HTTP/1.0 200 OK\r\n\r\nok";
        assert_eq!(read(text.as_bytes(), false, false).unwrap(), None);
        assert_eq!(whole(text, true), (200, "ok".into()));
    }

    #[test]
    fn some_answers_have_no_body() {
        assert_eq!(
            whole("HTTP/1.1 204 No Content\r\n\r\n", false),
            (204, "".into())
        );
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
        assert!(read(head, false, true).unwrap().is_some());
    }

    #[test]
    fn interim_answers_are_skipped() {
        let text = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{LENGTH}");
        assert_eq!(whole(&text, false), (200, "ok".into()));
        check_parts(&text);
    }

    #[test]
    fn of_a_long_body_the_rest_is_not_waited_for() {
        let long = "x".repeat(BODY + 1);
        for head in ["Content-Length: 9999999", "X: y"] {
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{long}");
            assert_eq!(whole(&text, false).1.len(), BODY, "{head}");
        }
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let small = "2\r\nok\r\n".repeat(10);
        for size in ["11171", "ffffffffffffffff"] {
            let text = format!("{chunk}{small}{size}\r\n{long}");
            let body = whole(&text, false).1;
            assert_eq!((body.len(), &body[..4]), (BODY, "okok"), "{size}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_as_such() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(FIELDS + 1));
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &long,
            &many,
        ] {
            let seen = read(text.as_bytes(), false, false);
            assert!(matches!(seen, Err(Failed::NotAnAnswer(_))), "{seen:?}");
        }
    }
}
