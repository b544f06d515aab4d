//! Paths that differ in an id alone are one path.

/// Bytes of a folded path that are kept.
pub(super) const LONGEST: usize = 96;
/// A part at least so long that has a digit is an id, whatever else it has: no word of a route is.
const LONG: usize = 20;
/// A part at least so long that is of hex digits alone, one of them from 0 to 9, is an id.
const HEX: usize = 8;

/// A path whose ids are `*`, cut where it is long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Folded {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    fn push(&mut self, part: &[u8]) {
        for byte in part {
            let Some(place) = self.bytes.get_mut(usize::from(self.len)) else {
                return;
            };
            // What a client sent is shown to people.
            *place = if byte.is_ascii_graphic() { *byte } else { b'?' };
            self.len += 1;
        }
    }
}

impl PartialEq for Folded {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// `path` with each part that is an id as `*`.
pub(crate) fn fold(path: &[u8]) -> Folded {
    let mut folded = Folded {
        bytes: [0; LONGEST],
        len: 0,
    };
    for (position, part) in path.split(|byte| *byte == b'/').enumerate() {
        if position > 0 {
            folded.push(b"/");
        }
        folded.push(if is_id(part) { b"*" } else { part });
        if usize::from(folded.len) == LONGEST {
            break;
        }
    }
    folded
}

/// A number, a UUID, a hash, a token: what stands for one thing of many. A file's ending does not make it a word.
fn is_id(part: &[u8]) -> bool {
    let stem = part.split(|byte| *byte == b'.').next().unwrap_or_default();
    let has_digit = stem.iter().any(u8::is_ascii_digit);
    let only = |is: fn(&u8) -> bool| stem.iter().all(|byte| is(byte) || *byte == b'-');
    has_digit
        && (only(u8::is_ascii_digit)
            || (stem.len() >= HEX && only(u8::is_ascii_hexdigit))
            || stem.len() >= LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_folded_and_words_are_not() {
        for (path, folded) in [
            ("/", "/"),
            ("", ""),
            ("/entry/2026/11/27/093015", "/entry/*/*/*/*"),
            ("/api/v1/users/42", "/api/v1/users/*"),
            ("/u/0198f5c2-7d3e-7c1a-9b4e-3f2a1b0c9d8e/edit", "/u/*/edit"),
            ("/img/deadbeef01.png", "/img/*"),
            ("/static/app-4f3c2d1e.js", "/static/app-4f3c2d1e.js"),
            ("/facade/beef/decade", "/facade/beef/decade"),
            ("/t/eyJhbGciOiJIUzI1NiJ9abc", "/t/*"),
            ("/a b\u{e9}", "/a?b??"),
        ] {
            assert_eq!(fold(path.as_bytes()).as_str(), folded);
        }
        let long = format!("/{}", "word/".repeat(100));
        assert_eq!(fold(long.as_bytes()).as_str().len(), LONGEST);
    }
}
