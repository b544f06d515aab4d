//! The fields of a head, and the framing they add up to.

use http::uri::Authority;

use super::classes::{AUTHORITY, PLAIN, TOKEN, class_of};
use super::line::Request;
use super::{Body, Framing, Refused};
use crate::record::{Cause, Desync, Traits};

/// Most addresses in `X-Forwarded-For`, as an ALB takes.
const MOST_ADDRESSES: usize = 30;

/// What the fields said so far.
#[derive(Default)]
pub(super) struct Seen<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<&'a [u8]>,
    addresses: usize,
    traits: Traits,
    repair: bool,
}

impl<'a> Seen<'a> {
    /// Takes one field line.
    pub(super) fn field(&mut self, line: &'a [u8]) -> Result<(), Refused> {
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(match line {
                [b' ' | b'\t', ..] => Desync::MultilineHeader.into(),
                _ => Desync::MissingHeaderColon.into(),
            });
        };
        self.part(&line[..colon], trimmed(&line[colon + 1..]))
    }

    /// Takes one field by its two parts, of which the value has no space around it.
    #[inline]
    pub(super) fn part(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Refused> {
        let class = class_of(name);
        if name.is_empty() || class & TOKEN == 0 {
            return Err(bad_name(name).into());
        }
        self.traits.invalid_header |= class & PLAIN == 0;
        // Without a way out in the middle, the compiler looks at many bytes of a value at once.
        let plain = value
            .iter()
            .fold(true, |plain, byte| plain & is_plain_byte(*byte));
        if !plain {
            self.odd_value(value)?;
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if is_spelled(name, b"content-length") => self.length(name, value),
            15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => self.forwarded(value),
            17 if is_spelled(name, b"transfer-encoding") => self.coding(name, value),
            _ => Ok(()),
        }
    }

    /// What `Host` says.
    pub(super) const fn named(&self) -> Option<&'a [u8]> {
        self.host
    }

    /// What was odd so far.
    pub(super) const fn traits(&self) -> Traits {
        self.traits
    }

    /// Whether a field must not go on as it is.
    pub(super) const fn needs_repair(&self) -> bool {
        self.repair
    }

    /// What `Content-Length` says; no other framing is possible on HTTP/2.
    pub(super) fn announced(&self) -> Result<Option<u64>, Refused> {
        match self.coding {
            Some(_) => Err(Desync::BadTransferEncoding.into()),
            None => Ok(self.length),
        }
    }

    /// The framing of the request, once all fields are seen.
    pub(super) fn framing(&mut self, request: &Request<'_>) -> Result<Framing, Refused> {
        self.check_host(request)?;
        self.traits.desync = self.traits.desync.max(request.desync);
        let body = match (self.coding, self.length) {
            (None, None) => Body::Length(0),
            (None, Some(length)) => {
                if request.bodiless {
                    self.note(needless_length(length));
                }
                Body::Length(length)
            }
            (Some(coding), _) => self.chunks(coding, request)?,
        };
        Ok(Framing { body })
    }

    /// Something about the head is odd.
    pub(super) fn note(&mut self, desync: Desync) {
        self.traits.desync = self.traits.desync.max(Some(desync));
    }

    fn chunks(&mut self, coding: &[u8], request: &Request<'_>) -> Result<Body, Refused> {
        // RFC 9112 section 6.1: its framing is faulty, whatever else it says.
        if !request.http_1_1 {
            return Err(Desync::UndefinedTransferEncodingSemantics.into());
        }
        if !coding.eq_ignore_ascii_case(b"chunked") {
            let desync = Desync::BadTransferEncoding;
            return Err(Refused::of(Cause::NotImplemented, desync));
        }
        if request.bodiless {
            self.note(Desync::UndefinedTransferEncodingSemantics);
        }
        if self.length.is_some() {
            self.note(Desync::BothTeClPresent);
            self.repair = true;
        }
        Ok(Body::Chunked)
    }

    fn host(&mut self, value: &'a [u8]) -> Result<(), Refused> {
        if self.host.replace(value).is_some() {
            return Err(Desync::BadHeader.into());
        }
        Ok(())
    }

    /// Digits only. A second, equal one is left out on the way: different servers read two differently.
    fn length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refused> {
        if name.contains(&b'_') {
            return self.disguised();
        }
        if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Desync::BadContentLength.into());
        }
        let length = value
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        match self.length.replace(length) {
            None => {}
            Some(first) if first == length => {
                self.note(Desync::DuplicateContentLength);
                self.repair = true;
            }
            Some(_) => return Err(Desync::MultipleContentLength.into()),
        }
        Ok(())
    }

    fn coding(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refused> {
        if name.contains(&b'_') {
            return self.disguised();
        }
        match self.coding.replace(value) {
            None => Ok(()),
            Some(first) if first.eq_ignore_ascii_case(value) => {
                Err(Desync::MultipleTransferEncodingChunked.into())
            }
            Some(_) => Err(Desync::BadTransferEncoding.into()),
        }
    }

    /// A server that folds `_` to `-` would take it for framing, so it does not go on.
    fn disguised(&mut self) -> Result<(), Refused> {
        self.note(Desync::SuspiciousHeader);
        self.repair = true;
        Ok(())
    }

    fn forwarded(&mut self, value: &[u8]) -> Result<(), Refused> {
        let entries = value.split(|byte| *byte == b',');
        self.addresses += entries
            .filter(|entry| !entry.trim_ascii().is_empty())
            .count();
        if self.addresses > MOST_ADDRESSES {
            return Err(Cause::TooManyAddresses.into());
        }
        Ok(())
    }

    /// Bytes above ASCII go on as they are; control characters cannot.
    fn odd_value(&mut self, value: &[u8]) -> Result<(), Refused> {
        if value.iter().any(|byte| matches!(byte, b'\0' | b'\r')) {
            return Err(Desync::BadHeader.into());
        }
        if !value
            .iter()
            .all(|byte| *byte >= 0x80 || is_plain_byte(*byte))
        {
            return Err(Desync::NonCompliantHeader.into());
        }
        self.note(Desync::NonCompliantHeader);
        Ok(())
    }

    /// HTTP/1.1 names exactly one host (RFC 9112 section 3.2), and an absolute target the same one, letter by letter:
    /// pingora compares them so, and what it refuses itself has no line in the log.
    fn check_host(&self, request: &Request<'_>) -> Result<(), Refused> {
        let named = match (self.host, request.authority) {
            (None, None) if !request.http_1_1 => return Ok(()),
            (None, None) => return Err(Desync::BadHeader.into()),
            (Some(host), None) => host,
            (None, Some(authority)) if !request.http_1_1 => authority,
            (None, Some(_)) => return Err(Desync::BadHeader.into()),
            (Some(host), Some(authority)) if host == authority => host,
            (Some(_), Some(_)) => return Err(Desync::BadHeader.into()),
        };
        let readable = request
            .authority
            .is_none_or(|authority| Authority::try_from(authority).is_ok());
        if is_authority(named) && readable {
            Ok(())
        } else {
            Err(Desync::BadHeader.into())
        }
    }
}

/// What a length on a GET or HEAD is.
pub(super) const fn needless_length(length: u64) -> Desync {
    match length {
        0 => Desync::GetHeadZeroContentLength,
        _ => Desync::UndefinedContentLengthSemantics,
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
    !named.is_empty() && class_of(named) & AUTHORITY != 0
}

/// Whether a name has letters, digits and `-` alone, which is what an ALB calls valid.
pub(super) fn is_plain_name(name: &[u8]) -> bool {
    class_of(name) & PLAIN != 0
}

/// Whether a server that folds `_` to `-` takes `name` for one that frames a body.
pub(super) fn is_disguised(name: &[u8]) -> bool {
    let frames = match name.len() {
        14 => is_spelled(name, b"content-length"),
        17 => is_spelled(name, b"transfer-encoding"),
        _ => false,
    };
    frames && name.contains(&b'_')
}

/// What is wrong with a name that is no token.
fn bad_name(name: &[u8]) -> Desync {
    let letters = || {
        let letters = name.iter().filter(|byte| byte.is_ascii_alphabetic());
        letters.map(u8::to_ascii_lowercase)
    };
    match name {
        [] => Desync::EmptyHeader,
        [b' ' | b'\t', ..] => Desync::MultilineHeader,
        _ if letters().eq(*b"contentlength") || letters().eq(*b"transferencoding") => {
            Desync::SuspiciousHeader
        }
        _ => Desync::BadHeader,
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

/// RFC 9110 section 5.5 without what it calls obsolete: visible, space or tab.
const fn is_plain_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte < 0x7f)
}
