//! The path of a request as conditions compare it: as a target reads it, not as it was written.
//!
//! `/./admin`, `//admin` and `/%61dmin` are `/admin` to a target, so they are to a condition (an ALB compares the
//! normalized path, too). Where targets differ in what they read, each reading is here, and `decide` refuses a request
//! that they lead to different routes. What is sent to the target stays as it came; nothing here changes it.

use std::borrow::Cow;

/// The readings of one path.
#[derive(Debug)]
pub(crate) struct Path<'a> {
    usual: Cow<'a, [u8]>,
    others: Vec<Vec<u8>>,
}

impl<'a> Path<'a> {
    /// Reads `raw`, which has no query. Allocates only for a path that is not plain.
    pub(crate) fn read(raw: &'a str) -> Self {
        if is_plain(raw.as_bytes()) {
            return Self {
                usual: raw.as_bytes().into(),
                others: Vec::new(),
            };
        }
        let decoded = decode(raw.as_bytes());
        let usual = resolve(&merge(&decoded));
        let mut others = others(&decoded);
        others.retain(|other| *other != usual);
        others.dedup();
        Self {
            usual: usual.into(),
            others,
        }
    }

    /// The reading that conditions compare: percent-decoded but for `/` and `\`, repeated slashes merged, segments `.`
    /// and `..` resolved (RFC 3986 sections 5.2.4 and 6.2.2).
    pub(crate) fn usual(&self) -> &[u8] {
        &self.usual
    }

    /// What some targets read instead; none for almost every path.
    pub(crate) fn others(&self) -> impl Iterator<Item = &[u8]> {
        self.others.iter().map(Vec::as_slice)
    }
}

/// The bytes of a condition's text, each with whether it was written as an escape, so that an escaped `*` is no wildcard.
pub(crate) fn bytes_of(text: &str) -> Result<Vec<(u8, bool)>, String> {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    if text.split('/').any(is_dots) {
        return Err(format!(
            "`{text}` has a segment `.` or `..`; paths are compared without them"
        ));
    }
    let mut bytes = Vec::with_capacity(text.len());
    for (byte, is_escaped) in escapes(text.as_bytes()) {
        match byte {
            b'/' | b'\\' if is_escaped => {
                return Err(format!(
                    "`{text}` has an encoded separator; servers differ in what it separates, so no route tells it apart"
                ));
            }
            b'/' if bytes.last() == Some(&(b'/', false)) => {}
            byte if byte.is_ascii_control() => {
                return Err(format!(
                    "`{text}` has a control character, which is never compared"
                ));
            }
            byte => bytes.push((byte, is_escaped)),
        }
    }
    Ok(bytes)
}

fn is_plain(raw: &[u8]) -> bool {
    let is_odd = |found, byte: &u8| found | matches!(byte, b'%' | b'\\');
    let is_dotted =
        |found, pair: &[u8]| found | (pair[0] == b'/' && matches!(pair[1], b'/' | b'.'));
    !raw.iter().fold(false, is_odd) && !raw.windows(2).fold(false, is_dotted)
}

/// Each byte that `text` spells, and whether it was percent-encoded. A `%` without two digits is itself.
fn escapes(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = after;
            return Some((high << 4 | low, true));
        }
        let (byte, after) = rest.split_first()?;
        rest = after;
        Some((*byte, false))
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// An encoded separator, in one spelling.
const fn kept(byte: u8) -> [u8; 3] {
    match byte {
        b'/' => *b"%2F",
        _ => *b"%5C",
    }
}

/// Servers differ in whether an encoded separator separates; the usual reading keeps it.
fn decode(raw: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(raw.len());
    for (byte, is_escaped) in escapes(raw) {
        match byte {
            b'/' | b'\\' if is_escaped => decoded.extend(kept(byte)),
            byte => decoded.push(byte),
        }
    }
    decoded
}

/// Separators that are encoded or lean the other way, empty segments that `..` removes, and an end at NUL.
fn others(decoded: &[u8]) -> Vec<Vec<u8>> {
    let mut others = vec![merge(&resolve(decoded))];
    let separated = separated(decoded);
    if separated != decoded {
        others.push(resolve(&merge(&separated)));
        others.push(merge(&resolve(&separated)));
    }
    if let Some(end) = decoded.iter().position(|byte| *byte == 0) {
        others.push(resolve(&merge(&decoded[..end])));
    }
    others
}

fn separated(decoded: &[u8]) -> Vec<u8> {
    let mut separated = Vec::with_capacity(decoded.len());
    let mut rest = decoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = match rest {
            [b'%', b'2', b'F', after @ ..]
            | [b'%', b'5', b'C', after @ ..]
            | [b'\\', after @ ..] => {
                separated.push(b'/');
                after
            }
            _ => {
                separated.push(*byte);
                after
            }
        };
    }
    separated
}

/// One slash where several follow each other.
fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|one, before| *one == b'/' && *before == b'/');
    merged
}

/// Without segments `.`, and without those that `..` takes back; there is nothing above the root.
fn resolve(path: &[u8]) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"/") else {
        return path.to_vec();
    };
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_dots = false;
    for segment in rest.split(|byte| *byte == b'/') {
        ends_in_dots = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    if ends_in_dots {
        segments.push(b"");
    }
    let mut resolved = Vec::with_capacity(path.len());
    for segment in segments {
        resolved.push(b'/');
        resolved.extend_from_slice(segment);
    }
    resolved
}

#[cfg(test)]
mod tests;
