//! Lines of a head, and its first one.

use crate::record::Cause;

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
    type Item = Result<&'a [u8], Cause>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(feed) = memchr::memchr(b'\n', self.rest) else {
            return Some(Err(Cause::BadRequest));
        };
        let (line, rest) = (&self.rest[..feed], &self.rest[feed + 1..]);
        self.rest = rest;
        match line {
            [b'\r'] => None,
            [line @ .., b'\r'] => Some(Ok(line)),
            _ => Some(Err(Cause::BadRequest)),
        }
    }
}

/// What a request line says, as far as the rest of the head depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) http_1_1: bool,
    /// The authority of an absolute-form target (RFC 9112 section 3.2.2).
    pub(super) authority: Option<&'a [u8]>,
}

/// Reads `METHOD SP target SP HTTP/1.x`, with exactly one space at each place.
pub(super) fn request(line: &[u8]) -> Result<Request<'_>, Cause> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Cause::BadRequest);
    };
    let http_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Cause::VersionNotSupported);
        }
        _ => return Err(Cause::BadRequest),
    };
    check_method(method)?;
    let authority = authority(target, method)?;
    Ok(Request {
        http_1_1,
        authority,
    })
}

/// Methods are in capitals, as an ALB wants them; TRACE shows credentials to scripts and CONNECT changes the framing.
pub(super) fn check_method(method: &[u8]) -> Result<(), Cause> {
    let plain = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    match method {
        b"CONNECT" | b"TRACE" => Err(Cause::MethodNotAllowed),
        _ if method.is_empty() || method.len() > 40 || !method.iter().all(plain) => {
            Err(Cause::BadRequest)
        }
        _ => Ok(()),
    }
}

/// Checks the target's form (RFC 9112 section 3.2) and gives the authority of an absolute one.
fn authority<'a>(target: &'a [u8], method: &[u8]) -> Result<Option<&'a [u8]>, Cause> {
    check_target(target)?;
    if is_origin_form(target, method) {
        return Ok(None);
    }
    absolute(target).map(Some)
}

/// A path, or the whole server for OPTIONS (RFC 9112 sections 3.2.1 and 3.2.4).
pub(super) fn is_origin_form(target: &[u8], method: &[u8]) -> bool {
    target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS")
}

/// Checks the bytes of a target, whatever its form.
pub(super) fn check_target(target: &[u8]) -> Result<(), Cause> {
    let visible = |byte: &u8| (0x21..=0x7e).contains(byte) || *byte >= 0x80;
    // A fragment never belongs in a request, and servers disagree on where it ends.
    if target.iter().all(visible)
        && !target.contains(&b'#')
        && std::str::from_utf8(target).is_ok()
        && is_carried(target)
    {
        Ok(())
    } else {
        Err(Cause::BadRequest)
    }
}

/// Whether pingora can carry the target as it is: it refuses these marks, which RFC 3986 wants percent-encoded, before
/// anyone can log the request.
fn is_carried(target: &[u8]) -> bool {
    let query = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(query);
    !path.iter().any(|byte| matches!(byte, b'<' | b'>' | b'`'))
        && !query.iter().any(|byte| matches!(byte, b'<' | b'>' | b'"'))
}

fn absolute(target: &[u8]) -> Result<&[u8], Cause> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start
                .eq_ignore_ascii_case(scheme.as_bytes())
                .then_some(rest)
        })
        .ok_or(Cause::BadRequest)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    Ok(&rest[..end])
}
