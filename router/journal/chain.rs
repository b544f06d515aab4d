//! The lines of a journal as a chain: read for replay, or checked to the end.

use super::Entry;
use super::line::{self, FIRST, Seal};

/// The intact start of a journal.
#[derive(Debug)]
pub struct Chain {
    /// Its entries, oldest first.
    pub entries: Vec<Entry>,
    /// What comes after them.
    pub end: End,
    pub(super) length: u64,
    pub(super) last: Seal,
}

/// What comes after the intact lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing.
    Whole,
    /// So many bytes of a line without an end: a write that a crash cut off.
    Torn(usize),
    /// A line that was changed, or before which one is missing.
    Broken(Broken),
}

/// One line that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Broken {
    /// Its number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What a sound journal holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Number of lines.
    pub entries: usize,
    /// The first revision in it.
    pub first_revision: u64,
    /// The last revision in it.
    pub last_revision: u64,
    /// When the last change was asked for.
    pub last_time: String,
}

/// Reads up to the first line that is not intact.
pub fn read(bytes: &[u8]) -> Chain {
    let mut chain = Chain {
        entries: Vec::new(),
        end: End::Whole,
        length: 0,
        last: FIRST,
    };
    for (position, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else {
            chain.end = End::Torn(line.len());
            break;
        };
        match next(text, &chain.last.to_string()) {
            Ok(sealed) => {
                chain.entries.push(sealed.entry);
                chain.last = sealed.seal;
                chain.length += line.len() as u64;
            }
            Err(message) => {
                chain.end = End::Broken(Broken {
                    line: position + 1,
                    message,
                });
                break;
            }
        }
    }
    chain
}

fn next(text: &[u8], before: &str) -> Result<line::Sealed, String> {
    let sealed = line::open(text)?;
    if sealed.before == before {
        return Ok(sealed);
    }
    Err("it does not follow the line before it: that line was changed, or one is missing".into())
}

/// Checks every line, also behind broken ones.
pub fn verify(bytes: &[u8]) -> Result<Summary, Vec<Broken>> {
    let mut broken = Vec::new();
    // `None` after a line that cannot be read: what follows it cannot be judged by it.
    let mut before = Some(FIRST.to_string());
    let mut entries = Vec::new();
    for (position, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = position + 1;
        match examine(line, before.as_deref()) {
            Ok(sealed) => {
                before = Some(sealed.seal.to_string());
                entries.push(sealed.entry);
            }
            Err(message) => {
                before = claimed(line);
                broken.push(Broken {
                    line: number,
                    message,
                });
            }
        }
    }
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) if broken.is_empty() => Ok(Summary {
            entries: entries.len(),
            first_revision: first.revision,
            last_revision: last.revision,
            last_time: last.time.clone(),
        }),
        _ if broken.is_empty() => Err(vec![Broken {
            line: 0,
            message: "the journal is empty".into(),
        }]),
        _ => Err(broken),
    }
}

fn examine(line: &[u8], before: Option<&str>) -> Result<line::Sealed, String> {
    let text = line.strip_suffix(b"\n").ok_or_else(|| {
        format!(
            "{} bytes without an end: the write was cut off, or the line was changed; a start of the router repairs it",
            line.len()
        )
    })?;
    match before {
        Some(before) => next(text, before),
        None => line::open(text),
    }
}

/// The hash that a broken line claims to have, so that one broken line is not reported as two.
fn claimed(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, tail) = text.rsplit_once(r#","hash":""#)?;
    tail.get(..64).map(str::to_owned)
}
