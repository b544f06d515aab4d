//! Lines of a head, and its first one.

use super::Refused;
use super::classes::{TARGET, class_of};
use crate::record::{Cause, Desync};

/// The lines of a head up to its empty line, each ended by CR LF and nothing else. Who reads a line refuses control
/// characters in it, and so a further CR.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(super) const fn new(head: &'a [u8]) -> Self {
        Self { rest: head }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(feed) = memchr::memchr(b'\n', self.rest) else {
            return Some(Err(Desync::NonCrLfLineTermination.into()));
        };
        let (line, rest) = (&self.rest[..feed], &self.rest[feed + 1..]);
        self.rest = rest;
        match line {
            [b'\r'] => None,
            [line @ .., b'\r'] => Some(Ok(line)),
            _ => Some(Err(Desync::NonCrLfLineTermination.into())),
        }
    }
}

/// What a request line says, as far as the rest of the head depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) http_1_1: bool,
    /// GET or HEAD, of which readers do not expect a body.
    pub(super) bodiless: bool,
    /// The authority of an absolute-form target (RFC 9112 section 3.2.2).
    pub(super) authority: Option<&'a [u8]>,
    /// The target has bytes that must be percent-encoded before it goes on.
    pub(super) escape: bool,
    /// What is odd about the target.
    pub(super) desync: Option<Desync>,
}

/// What is to be done about a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Odd {
    escape: bool,
    desync: Option<Desync>,
}

/// A request line in its three parts: between the first space and the last one is the target.
pub(super) fn split(line: &[u8]) -> Option<[&[u8]; 3]> {
    let first = memchr::memchr(b' ', line)?;
    let (method, rest) = (&line[..first], &line[first + 1..]);
    let last = memchr::memrchr(b' ', rest)?;
    Some([method, &rest[..last], &rest[last + 1..]])
}

/// Reads `METHOD SP target SP HTTP/1.x`, with exactly one space around the target.
pub(super) fn request(line: &[u8]) -> Result<Request<'_>, Refused> {
    let Some([method, target, version]) = split(line) else {
        let short = memchr::memchr(b' ', line).is_some();
        return Err(match short {
            true => Desync::NonCompliantVersion.into(),
            false => Desync::MissingUri.into(),
        });
    };
    let http_1_1 = is_http_1_1(version)?;
    check_method(method)?;
    let odd = target_of(target)?;
    let authority = match is_origin_form(target, method) {
        true => None,
        false => Some(absolute(target)?),
    };
    Ok(Request {
        http_1_1,
        bodiless: is_bodiless(method),
        authority,
        escape: odd.escape,
        desync: odd.desync,
    })
}

fn is_http_1_1(version: &[u8]) -> Result<bool, Refused> {
    let not_spoken = |desync| Err(Refused::of(Cause::VersionNotSupported, desync));
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', b'0' | b'1', b'.', minor] if minor.is_ascii_digit() => {
            not_spoken(Desync::NonCompliantVersion)
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            not_spoken(Desync::BadVersion)
        }
        _ => Err(Desync::BadVersion.into()),
    }
}

/// Whether readers expect no body with this method.
pub(super) fn is_bodiless(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD")
}

/// Methods are in capitals, as an ALB wants them; TRACE shows credentials to scripts and CONNECT changes the framing.
pub(super) fn check_method(method: &[u8]) -> Result<(), Refused> {
    let plain = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    match method {
        b"CONNECT" | b"TRACE" => Err(Cause::MethodNotAllowed.into()),
        _ if method.is_empty() || method.len() > 40 || !method.iter().all(plain) => {
            Err(Desync::BadMethod.into())
        }
        _ => Ok(()),
    }
}

/// A path, or the whole server for OPTIONS (RFC 9112 sections 3.2.1 and 3.2.4).
pub(super) fn is_origin_form(target: &[u8], method: &[u8]) -> bool {
    target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS")
}

/// Checks the bytes of a target that must be carried as they are.
pub(super) fn check_target(target: &[u8]) -> Result<(), Refused> {
    match target_of(target)? {
        Odd { escape: false, .. } => Ok(()),
        Odd { desync, .. } => Err(desync.unwrap_or(Desync::BadUri).into()),
    }
}

/// Checks the bytes of a target, whatever its form.
fn target_of(target: &[u8]) -> Result<Odd, Refused> {
    if class_of(target) & TARGET != 0 && !target.is_empty() {
        return Ok(Odd::default());
    }
    let visible = |byte: &u8| (0x21..=0x7e).contains(byte) || *byte >= 0x80;
    let plain = !target.is_empty()
        && target.iter().all(visible)
        && !target.contains(&b'#')
        && std::str::from_utf8(target).is_ok()
        && is_carried(target);
    if plain {
        Ok(Odd::default())
    } else {
        odd(target)
    }
}

/// What is odd about `target`, of which at least one byte is.
fn odd(target: &[u8]) -> Result<Odd, Refused> {
    let has = |wanted: fn(u8) -> bool| target.iter().any(|byte| wanted(*byte));
    let desync = match target {
        [] => return Err(Desync::MissingUri.into()),
        // A second space at either end: readers differ on what the target is.
        [b' ', ..] | [.., b' '] => return Err(Desync::BadUri.into()),
        // A fragment never belongs in a request, and servers disagree on where it ends.
        _ if has(|byte| matches!(byte, b'#' | b'\0' | b'\r')) => {
            return Err(Desync::BadUri.into());
        }
        _ if has(|byte| byte < b' ' || byte == 0x7f) => Some(Desync::AmbiguousUri),
        _ if std::str::from_utf8(target).is_err() => Some(Desync::AmbiguousUri),
        _ if target.contains(&b' ') => Some(Desync::SpaceInUri),
        _ => None,
    };
    Ok(Odd {
        escape: true,
        desync,
    })
}

/// Whether pingora can carry the target as it is: it refuses these marks, which RFC 3986 wants percent-encoded, before
/// anyone can log the request.
fn is_carried(target: &[u8]) -> bool {
    let query = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(query);
    !path.iter().any(|byte| is_mark_of_path(*byte))
        && !query.iter().any(|byte| is_mark_of_query(*byte))
}

const fn is_mark_of_path(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'`')
}

const fn is_mark_of_query(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'"')
}

/// `target` with what cannot be carried percent-encoded; every server reads it as the same bytes.
pub(super) fn escape(target: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let utf8 = std::str::from_utf8(target).is_ok();
    let mut in_query = false;
    for &byte in target {
        in_query |= byte == b'?';
        let mark = if in_query {
            is_mark_of_query(byte)
        } else {
            is_mark_of_path(byte)
        };
        if mark || byte <= b' ' || byte == 0x7f || (byte >= 0x80 && !utf8) {
            out.extend([
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        } else {
            out.push(byte);
        }
    }
}

fn absolute(target: &[u8]) -> Result<&[u8], Refused> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start
                .eq_ignore_ascii_case(scheme.as_bytes())
                .then_some(rest)
        })
        .ok_or(Desync::BadUri)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    Ok(&rest[..end])
}
