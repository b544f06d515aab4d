//! Heads of HTTP/2: the same rules as for HTTP/1.1, and those that only HTTP/2 has (RFC 9113 sections 8.2 and 8.3).
//!
//! A head that passes is brought into the one form that the rest of the way knows, which is HTTP/1.1's: a path, a `Host`,
//! one line of cookies. So nothing behind here has to ask what a client speaks.

use config::model::{InvalidHeaders, Limits, Server};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::{MAX_FIELDS, Refused, fields, line, repair, ruled};
use crate::record::{Cause, Desync, Ruling, Traits};

/// Fields of one connection of HTTP/1.1 (RFC 9113 section 8.2.2). `h2` refuses them before us.
const OF_A_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Checks a head, with a body behind it or none, and brings it into the form of HTTP/1.1; one that is refused stays as it
/// was. What was odd about it, and what becomes of it.
pub fn settle(
    head: &mut Parts,
    has_body: bool,
    server: &Server,
) -> Result<(Traits, Ruling), Refused> {
    let target = target(head, &server.limits)?.clone();
    let checked = check_fields(head, has_body, &server.limits)?;
    let ruling = ruled(checked.traits, server)?;
    let drops = checked.traits.invalid_header && server.invalid_headers == InvalidHeaders::Drop;
    if checked.repair || drops {
        drop_fields(&mut head.headers, server);
    }
    head.uri = Uri::from(target);
    head.headers.insert(header::HOST, checked.host);
    join_cookies(&mut head.headers)?;
    Ok((checked.traits, ruling))
}

/// What the fields of a head say.
struct Checked {
    host: HeaderValue,
    traits: Traits,
    repair: bool,
}

/// The path and query, after method and scheme were checked too.
fn target<'a>(head: &'a Parts, limits: &Limits) -> Result<&'a PathAndQuery, Refused> {
    let method = head.method.as_str().as_bytes();
    line::check_method(method)?;
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(Desync::BadUri.into());
    }
    let target = head.uri.path_and_query().ok_or(Desync::MissingUri)?;
    let bytes = target.as_str().as_bytes();
    if (method.len() + bytes.len()) as u64 > limits.request_line.0 {
        return Err(Cause::UriTooLong.into());
    }
    line::check_target(bytes)?;
    if line::is_origin_form(bytes, method) {
        Ok(target)
    } else {
        Err(Desync::BadUri.into())
    }
}

/// Checks all fields.
fn check_fields(head: &Parts, has_body: bool, limits: &Limits) -> Result<Checked, Refused> {
    let mut seen = fields::Seen::default();
    let mut all = 0;
    for (count, (name, value)) in head.headers.iter().enumerate() {
        let size = (name.as_str().len() + value.len()) as u64;
        all += size;
        if count == MAX_FIELDS || size > limits.header.0 || all > limits.headers.0 {
            return Err(Cause::HeaderTooLarge.into());
        }
        if !is_of_http_2(name, value.as_bytes()) {
            return Err(Desync::BadHeader.into());
        }
        seen.part(name.as_str().as_bytes(), value.as_bytes())?;
    }
    let (most, announced) = (limits.request_body.0, seen.announced()?);
    if announced.is_some_and(|body| most > 0 && body > most) {
        return Err(Cause::BodyTooLarge.into());
    }
    if line::is_bodiless(head.method.as_str().as_bytes()) {
        // Frames say where it ends; a target of HTTP/1.1 is told by one of these.
        match announced {
            Some(length) => seen.note(fields::needless_length(length)),
            None if has_body => seen.note(Desync::UndefinedTransferEncodingSemantics),
            None => {}
        }
    }
    Ok(Checked {
        host: host(head, seen.named())?,
        traits: seen.traits(),
        repair: seen.needs_repair(),
    })
}

/// Leaves out what must not go on, and a length said twice.
fn drop_fields(headers: &mut HeaderMap, server: &Server) {
    let names = headers.keys().cloned();
    let dropped: Vec<HeaderName> = names
        .filter(|name| repair::is_dropped(name.as_str().as_bytes(), server))
        .collect();
    for name in dropped {
        headers.remove(name);
    }
    if let Some(length) = headers.get(header::CONTENT_LENGTH).cloned() {
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

/// No field of a connection, and no space around a value (RFC 9113 section 8.2.1).
fn is_of_http_2(name: &HeaderName, value: &[u8]) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !OF_A_CONNECTION.contains(name)
        && (name != header::TE || value.eq_ignore_ascii_case(b"trailers"))
        && !space(value.first())
        && !space(value.last())
}

/// One host, by `:authority`, by `Host`, or by both alike (RFC 9113 section 8.3.1).
fn host(head: &Parts, named: Option<&[u8]>) -> Result<HeaderValue, Refused> {
    let authority = head.uri.authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let host = match (authority, named) {
        (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => None,
        (Some(host), _) | (None, Some(host)) => Some(host),
        (None, None) => None,
    };
    let host = host.filter(|host| fields::is_authority(host));
    host.and_then(|host| HeaderValue::from_bytes(host).ok())
        .ok_or_else(|| Desync::BadHeader.into())
}

/// A client may send its cookies in crumbs, for HPACK's sake; servers of HTTP/1.1 read one line (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refused> {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return Ok(());
    };
    let mut line = first.as_bytes().to_vec();
    for crumb in [second].into_iter().chain(crumbs) {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(crumb.as_bytes());
    }
    let line = HeaderValue::try_from(line).map_err(|_| Desync::BadHeader)?;
    headers.insert(header::COOKIE, line);
    Ok(())
}

#[cfg(test)]
mod tests;
