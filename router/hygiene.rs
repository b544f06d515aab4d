//! Whether a request head says one thing only: checked on its raw bytes, before anything else reads it.
//!
//! Two readers that understand one head differently are how requests are smuggled. What cannot be read in one way is
//! refused; what can, but is known to be read differently, is written anew (`repair`) and served by itself, as far as the
//! desync mode allows. This module decides nothing about routing and touches no socket.

mod classes;
mod fields;
pub mod http2;
mod line;
mod repair;

use config::model::{InvalidHeaders, Server};

use crate::record::{Cause, Desync, Ruling, Traits};

pub use repair::repaired;

/// What the rest of the way has to know of a head that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How the body ends.
    pub framing: Framing,
    /// What was odd about it.
    pub traits: Traits,
    /// What becomes of it; never `Refuse`.
    pub ruling: Ruling,
    /// What stands here is not what may be passed on; `repaired` makes it so.
    pub repair: bool,
}

/// Why a head is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the client is answered.
    pub cause: Cause,
    /// What was odd about it.
    pub traits: Traits,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// The rule that ends it.
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

impl From<Cause> for Refused {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            traits: Traits::default(),
        }
    }
}

impl From<Desync> for Refused {
    fn from(desync: Desync) -> Self {
        Self::of(Cause::BadRequest, desync)
    }
}

impl Refused {
    /// A refusal for `cause`, of what an ALB would call `desync`.
    fn of(cause: Cause, desync: Desync) -> Self {
        let traits = Traits {
            desync: Some(desync),
            ..Traits::default()
        };
        Self { cause, traits }
    }
}

/// What becomes of a head with `traits` that can be served, under the settings of `server`.
fn ruled(traits: Traits, server: &Server) -> Result<Ruling, Refused> {
    if traits.invalid_header && server.invalid_headers == InvalidHeaders::Refuse {
        let cause = Cause::BadRequest;
        return Err(Refused { cause, traits });
    }
    match traits
        .desync
        .map(|desync| (desync, desync.ruling(server.desync_mode)))
    {
        None => Ok(Ruling::Serve),
        Some((desync, Ruling::Refuse)) => Err(desync.into()),
        Some((_, ruling)) => Ok(ruling),
    }
}

/// Checks a whole head, from the request line to the empty line.
pub fn check(head: &[u8], server: &Server) -> Result<Passed, Refused> {
    let limits = &server.limits;
    let mut lines = line::Lines::new(head);
    let request_line = lines.next().ok_or(Desync::MissingUri)??;
    if request_line.len() as u64 > limits.request_line.0 {
        return Err(Cause::UriTooLong.into());
    }
    let request = line::request(request_line)?;
    if head.len() as u64 - request_line.len() as u64 > limits.headers.0 {
        return Err(Cause::HeaderTooLarge.into());
    }
    let mut seen = fields::Seen::default();
    for (count, line) in lines.enumerate() {
        let line = line?;
        if count == MAX_FIELDS || line.len() as u64 > limits.header.0 {
            return Err(Cause::HeaderTooLarge.into());
        }
        seen.field(line)?;
    }
    let framing = seen.framing(&request)?;
    match framing.body {
        Body::Length(length) if limits.request_body.0 > 0 && length > limits.request_body.0 => {
            return Err(Cause::BodyTooLarge.into());
        }
        _ => {}
    }
    let traits = seen.traits();
    // Nearly all heads have none, and need nothing that follows.
    let ruling = if traits == Traits::default() {
        Ruling::Serve
    } else {
        ruled(traits, server)?
    };
    let drops = traits.invalid_header && server.invalid_headers == InvalidHeaders::Drop;
    Ok(Passed {
        framing,
        traits,
        ruling,
        repair: seen.needs_repair() || request.escape || drops,
    })
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
