//! Whether a request head says one thing only: checked on its raw bytes, before anything else reads it.
//!
//! Two readers that understand one head differently are how requests are smuggled, so whatever RFC 9112 does not
//! allow, and whatever real servers are known to read in two ways, is refused here.
//! This module decides nothing about routing and touches no socket.

mod fields;
pub mod http2;
mod line;

use config::model::Limits;

use crate::record::Cause;

/// What the rest of the connection has to know of a head that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How the body ends.
    pub body: Body,
}

/// How a request's body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After so many bytes; 0 when there is none.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

/// Most header fields of a request; a browser sends about 20.
pub const MAX_FIELDS: usize = 256;

/// Checks a whole head, from the request line to the empty line.
pub fn check(head: &[u8], limits: &Limits) -> Result<Framing, Cause> {
    let mut lines = line::Lines::new(head);
    let request_line = lines.next().ok_or(Cause::BadRequest)??;
    if request_line.len() as u64 > limits.request_line.0 {
        return Err(Cause::UriTooLong);
    }
    let request = line::request(request_line)?;
    if head.len() as u64 - request_line.len() as u64 > limits.headers.0 {
        return Err(Cause::HeaderTooLarge);
    }
    let mut seen = fields::Seen::default();
    for (count, line) in lines.enumerate() {
        let line = line?;
        if count == MAX_FIELDS || line.len() as u64 > limits.header.0 {
            return Err(Cause::HeaderTooLarge);
        }
        seen.field(line)?;
    }
    let framing = seen.framing(&request)?;
    match framing.body {
        Body::Length(length) if limits.request_body.0 > 0 && length > limits.request_body.0 => {
            Err(Cause::BodyTooLarge)
        }
        _ => Ok(framing),
    }
}

/// Where the head ends in `bytes` (behind its empty line), searching from `from`, which must not lie inside it.
///
/// A bare line feed ends a line here too, so that a head with one is found and then refused, not waited for.
pub fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
        let feed = at + found;
        match &bytes[feed + 1..] {
            [b'\n', ..] => return Some(feed + 2),
            [b'\r', b'\n', ..] => return Some(feed + 3),
            _ => at = feed + 1,
        }
    }
    None
}

#[cfg(test)]
mod tests;
