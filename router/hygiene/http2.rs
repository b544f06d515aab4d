//! Heads of HTTP/2: the same rules as for HTTP/1.1, and those that only HTTP/2 has (RFC 9113 sections 8.2 and 8.3).
//!
//! A head that passes is brought into the one form that the rest of the way knows, which is HTTP/1.1's: a path, a `Host`,
//! one line of cookies. So nothing behind here has to ask what a client speaks.

use config::model::Limits;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::{MAX_FIELDS, fields, line};
use crate::record::Cause;

/// Fields of one connection of HTTP/1.1 (RFC 9113 section 8.2.2). `h2` refuses them before us.
const OF_A_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Checks a head and brings it into the form of HTTP/1.1; one that is refused stays as it was.
pub fn settle(head: &mut Parts, limits: &Limits) -> Result<(), Cause> {
    let target = target(head, limits)?.clone();
    let host = check_fields(head, limits)?;
    head.uri = Uri::from(target);
    head.headers.insert(header::HOST, host);
    join_cookies(&mut head.headers)
}

/// The path and query, after method and scheme were checked too.
fn target<'a>(head: &'a Parts, limits: &Limits) -> Result<&'a PathAndQuery, Cause> {
    let method = head.method.as_str().as_bytes();
    line::check_method(method)?;
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(Cause::BadRequest);
    }
    let target = head.uri.path_and_query().ok_or(Cause::BadRequest)?;
    let bytes = target.as_str().as_bytes();
    if (method.len() + bytes.len()) as u64 > limits.request_line.0 {
        return Err(Cause::UriTooLong);
    }
    line::check_target(bytes)?;
    if line::is_origin_form(bytes, method) {
        Ok(target)
    } else {
        Err(Cause::BadRequest)
    }
}

/// Checks all fields; the host that they and the authority name.
fn check_fields(head: &Parts, limits: &Limits) -> Result<HeaderValue, Cause> {
    let mut seen = fields::Seen::default();
    let mut all = 0;
    for (count, (name, value)) in head.headers.iter().enumerate() {
        let size = (name.as_str().len() + value.len()) as u64;
        all += size;
        if count == MAX_FIELDS || size > limits.header.0 || all > limits.headers.0 {
            return Err(Cause::HeaderTooLarge);
        }
        if !is_of_http_2(name, value.as_bytes()) {
            return Err(Cause::BadRequest);
        }
        seen.part(name.as_str().as_bytes(), value.as_bytes())?;
    }
    let most = limits.request_body.0;
    if seen
        .announced()?
        .is_some_and(|body| most > 0 && body > most)
    {
        return Err(Cause::BodyTooLarge);
    }
    host(head, seen.named())
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
fn host(head: &Parts, named: Option<&[u8]>) -> Result<HeaderValue, Cause> {
    let authority = head.uri.authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let host = match (authority, named) {
        (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => None,
        (Some(host), _) | (None, Some(host)) => Some(host),
        (None, None) => None,
    };
    let host = host.filter(|host| fields::is_authority(host));
    host.and_then(|host| HeaderValue::from_bytes(host).ok())
        .ok_or(Cause::BadRequest)
}

/// A client may send its cookies in crumbs, for HPACK's sake; servers of HTTP/1.1 read one line (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Cause> {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return Ok(());
    };
    let mut line = first.as_bytes().to_vec();
    for crumb in [second].into_iter().chain(crumbs) {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(crumb.as_bytes());
    }
    let line = HeaderValue::try_from(line).map_err(|_| Cause::BadRequest)?;
    headers.insert(header::COOKIE, line);
    Ok(())
}

#[cfg(test)]
mod tests;
