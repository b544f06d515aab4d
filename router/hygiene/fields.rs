//! The fields of a head, and the framing they add up to.

use http::uri::Authority;

use super::line::Request;
use super::{Body, Framing};
use crate::record::Cause;

/// What the fields said so far.
#[derive(Default)]
pub(super) struct Seen<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<&'a [u8]>,
}

impl<'a> Seen<'a> {
    /// Takes one field line.
    pub(super) fn field(&mut self, line: &'a [u8]) -> Result<(), Cause> {
        let colon = memchr::memchr(b':', line).ok_or(Cause::BadRequest)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty()
            || !name.iter().copied().all(is_token)
            || !value.iter().copied().all(is_field_byte)
        {
            return Err(Cause::BadRequest);
        }
        // Only now: a form feed is white space to `trim_ascii`, and a fault in a field.
        let value = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if is_spelled(name, b"content-length") => self.length(name, value),
            17 if is_spelled(name, b"transfer-encoding") => self.coding(name, value),
            _ => Ok(()),
        }
    }

    /// The framing of the request, once all fields are seen.
    pub(super) fn framing(&self, request: &Request<'_>) -> Result<Framing, Cause> {
        self.check_host(request)?;
        let body = match (self.coding, self.length) {
            (Some(_), Some(_)) => return Err(Cause::BadRequest),
            (Some(_), None) if !request.http_1_1 => return Err(Cause::BadRequest),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Body::Chunked,
            (Some(_), None) => return Err(Cause::NotImplemented),
            (None, length) => Body::Length(length.unwrap_or(0)),
        };
        Ok(Framing { body })
    }

    fn host(&mut self, value: &'a [u8]) -> Result<(), Cause> {
        if self.host.replace(value).is_some() || !value.iter().copied().all(is_authority_byte) {
            return Err(Cause::BadRequest);
        }
        Ok(())
    }

    /// Digits only, once: a second one, even an equal one, is read differently by different servers.
    fn length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
        if self.length.is_some() || !digits || name.contains(&b'_') {
            return Err(Cause::BadRequest);
        }
        self.length = Some(
            value
                .iter()
                .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')),
        );
        Ok(())
    }

    fn coding(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Cause> {
        if self.coding.replace(value).is_some() || name.contains(&b'_') {
            return Err(Cause::BadRequest);
        }
        Ok(())
    }

    /// HTTP/1.1 names exactly one host (RFC 9112 section 3.2), and an absolute target the same one, letter by letter:
    /// pingora compares them so, and what it refuses itself has no line in the log.
    fn check_host(&self, request: &Request<'_>) -> Result<(), Cause> {
        let named = match (self.host, request.authority) {
            (None, None) => {
                return if request.http_1_1 {
                    Err(Cause::BadRequest)
                } else {
                    Ok(())
                };
            }
            (Some(host), None) => host,
            (None, Some(authority)) if !request.http_1_1 => authority,
            (None, Some(_)) => return Err(Cause::BadRequest),
            (Some(host), Some(authority)) if host == authority => host,
            (Some(_), Some(_)) => return Err(Cause::BadRequest),
        };
        let valid = !named.is_empty() && named.iter().copied().all(is_authority_byte);
        let readable = request
            .authority
            .is_none_or(|authority| Authority::try_from(authority).is_ok());
        if valid && readable {
            Ok(())
        } else {
            Err(Cause::BadRequest)
        }
    }
}

/// `name` is `wanted` in any case, or would be for a server that folds `_` to `-`.
fn is_spelled(name: &[u8], wanted: &[u8]) -> bool {
    name.iter().zip(wanted).all(|(given, want)| {
        let folded = if *given == b'_' {
            b'-'
        } else {
            given.to_ascii_lowercase()
        };
        folded == *want
    })
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// RFC 9110 section 5.5: visible, space, tab, or above ASCII.
const fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// A name, an IPv4 or IPv6 address, and a port; no user information.
const fn is_authority_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'-' | b'.'
            | b'_'
            | b'~'
            | b':'
            | b'['
            | b']'
            | b'%'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
    ) || byte.is_ascii_alphanumeric()
}
