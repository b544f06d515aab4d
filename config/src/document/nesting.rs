//! A bound on how deep a TOML text nests, found before it is parsed.
//!
//! Crate `toml` bounds lists in lists and the length of a dotted key, each by 80, but not both together: 6,400 levels
//! are read, and dropping the tree then exhausts the stack of a thread, which would end the whole router.
//! This only has to see brackets as that crate's lexer sees them; what it sees wrong must be too deep, never too shallow.

/// Offset of the bracket that opens one level more than `allowed`.
pub(super) fn too_deep(text: &str, allowed: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at += length_until(&bytes[at..], |byte| matches!(byte, b'\r' | b'\n')),
            b'"' | b'\'' => {
                at += string(&bytes[at..]);
                continue;
            }
            b'[' | b'{' => {
                if open.len() == allowed {
                    return Some(at);
                }
                // The byte that closes it: both pairs lie two apart in ASCII.
                open.push(byte + 2);
            }
            // A bracket that closes nothing is an error for the parser to report.
            b']' | b'}' if open.last() == Some(byte) => {
                open.pop();
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn length_until(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> usize {
    let end = bytes.iter().position(|byte| is_end(*byte));
    end.unwrap_or(bytes.len())
}

/// Length of the string at the start of `bytes`, with its quotes; one that is not closed ends with its line, or with the text.
fn string(bytes: &[u8]) -> usize {
    let quote = bytes[0];
    let is_long = bytes.len() >= 3 && bytes[1] == quote && bytes[2] == quote;
    let mut at = if is_long { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => {
                let is_escaped = matches!(bytes.get(at + 1), Some(b'\\' | b'"'));
                at += usize::from(is_escaped);
            }
            b'\n' if !is_long => return at,
            _ if *byte != quote => {}
            _ if !is_long => return at + 1,
            _ if bytes[at..].starts_with(&[quote; 3]) => {
                // Up to two quotes before the closing three belong to the string.
                let quotes = length_until(&bytes[at..], |byte| byte != quote);
                return at + quotes.min(5);
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_strings_and_comments_only() {
        assert_eq!(too_deep("a = [[{}]]", 3), None);
        assert_eq!(too_deep("a = [[{}]]", 2), Some(6));
        assert_eq!(too_deep("[a]\n[b]\n[[c]]\n", 2), None);
        assert_eq!(too_deep("# [[[\na = '[[[' # [\nb = \"\\\"[[[\"", 0), None);
        assert_eq!(
            too_deep("a = '''[\n''[\n''''' b = \"\"\"[\\\"\"\"\" c = \"\"", 0),
            None
        );
    }

    #[test]
    fn text_that_is_not_toml_counts_too_deep_rather_than_too_shallow() {
        assert_eq!(too_deep("{ ] { ] {", 2), Some(8));
        assert_eq!(too_deep("{ a = \"}\" { a = '}' {", 2), Some(20));
        assert_eq!(too_deep("a = \"open\n[", 0), Some(10));
        assert_eq!(too_deep("a = 'open\n[", 0), Some(10));
        assert_eq!(too_deep("a = '''[", 0), None);
    }
}
