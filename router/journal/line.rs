//! One line: an entry, the seal of the line before, and its own seal, SHA-256 over the line without it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Entry;

/// What seals a line: SHA-256 over its text without the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal([u8; 32]);

/// What the first line names as the seal before it.
pub(super) const FIRST: Seal = Seal([0; 32]);

/// Length of the text between the last value and the newline: `,"hash":"<64>"}`.
const TAIL: usize = r#","hash":""#.len() + 64 + r#""}"#.len();

/// A line that was read and is intact in itself.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) entry: Entry,
    pub(super) before: String,
    pub(super) seal: Seal,
}

impl Seal {
    fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    prev: String,
}

#[derive(Deserialize)]
struct ReadBody {
    #[serde(flatten)]
    entry: Entry,
    prev: String,
}

/// Adds the line of `entry`, which follows `before`, and returns its seal.
pub(super) fn seal(text: &mut Vec<u8>, entry: &Entry, before: Seal) -> std::io::Result<Seal> {
    let body = Body {
        entry,
        prev: before.to_string(),
    };
    let body = serde_json::to_vec(&body)?;
    let seal = Seal::of(&body);
    text.extend_from_slice(&body[..body.len() - 1]);
    text.extend_from_slice(format!(r#","hash":"{seal}"}}"#).as_bytes());
    text.push(b'\n');
    Ok(seal)
}

/// Reads a line without its newline; the error says what is wrong with it.
pub(super) fn open(line: &[u8]) -> Result<Sealed, String> {
    let (body, written) = split(line).ok_or("it does not end with its hash")?;
    let seal = Seal::of(&body);
    if written != seal.to_string().as_bytes() {
        return Err("it was changed: its text does not have its hash".into());
    }
    let body: ReadBody =
        serde_json::from_slice(&body).map_err(|error| format!("it is not an entry: {error}"))?;
    Ok(Sealed {
        entry: body.entry,
        before: body.prev,
        seal,
    })
}

/// The text that was sealed, and the seal as written.
fn split(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (text, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let written = tail.strip_prefix(br#","hash":""#)?.strip_suffix(br#""}"#)?;
    let mut body = text.to_vec();
    body.push(b'}');
    Some((body, written))
}
