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
        self.part(&line[..colon], trimmed(&line[colon + 1..]))
    }

    /// Takes one field by its two parts, of which the value has no space around it.
    #[inline]
    pub(super) fn part(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Cause> {
        // Without a way out in the middle, the compiler looks at many bytes of a value at once.
        let plain = value
            .iter()
            .fold(true, |plain, byte| plain & is_field_byte(*byte));
        if name.is_empty() || !all_in(&TOKEN, name) || !plain {
            return Err(Cause::BadRequest);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if is_spelled(name, b"content-length") => self.length(name, value),
            17 if is_spelled(name, b"transfer-encoding") => self.coding(name, value),
            _ => Ok(()),
        }
    }

    /// What `Host` says.
    pub(super) const fn named(&self) -> Option<&'a [u8]> {
        self.host
    }

    /// What `Content-Length` says; no other framing is possible on HTTP/2.
    pub(super) fn announced(&self) -> Result<Option<u64>, Cause> {
        match self.coding {
            Some(_) => Err(Cause::BadRequest),
            None => Ok(self.length),
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
        if self.host.replace(value).is_some() {
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
        let readable = request
            .authority
            .is_none_or(|authority| Authority::try_from(authority).is_ok());
        if is_authority(named) && readable {
            Ok(())
        } else {
            Err(Cause::BadRequest)
        }
    }
}

/// A value without the spaces and tabs around it (RFC 9110 section 5.6.3); a carriage return there is not one of them.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether `named` can be the host of a request: a name or an address, perhaps a port, no user information.
pub(super) fn is_authority(named: &[u8]) -> bool {
    !named.is_empty() && all_in(&AUTHORITY, named)
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

/// Which bytes a rule admits, by their number: a third of the instructions of a check went into comparing each byte.
type Class = [bool; 256];

/// RFC 9110 section 5.6.2.
static TOKEN: Class = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A name, an IPv4 or IPv6 address, and a port; no user information.
static AUTHORITY: Class = letters_digits_and(b"-._~:[]%!$&'()*+,;=");

const fn letters_digits_and(others: &[u8]) -> Class {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < class.len() {
        class[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut position = 0;
    while position < others.len() {
        class[others[position] as usize] = true;
        position += 1;
    }
    class
}

fn all_in(class: &Class, bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| class[usize::from(*byte)])
}

/// RFC 9110 section 5.5: visible, space, tab, or above ASCII.
const fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}
