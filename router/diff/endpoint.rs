//! The endpoint of a request: its method and its path, with what names a single thing folded away.

/// A longer path is cut; nobody reads it, and its end is what differs from request to request.
const LONGEST: usize = 160;

/// `GET /users/42/orders/8f14e45f` is a request of `GET /users/:n/orders/:hex`.
pub fn endpoint(method: &str, path: &str) -> String {
    let mut folded = format!("{method} ");
    for (position, segment) in path.split('/').enumerate() {
        if position > 0 {
            folded.push('/');
        }
        folded.push_str(fold(segment));
        if folded.len() > LONGEST {
            break;
        }
    }
    cut(&mut folded, LONGEST);
    folded
}

/// Leaves the first `longest` bytes of `text`, and a mark that there were more.
pub(super) fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

/// What stands for `segment`: itself, unless it looks like the name of one thing among many.
pub(super) fn fold(segment: &str) -> &str {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if digits == 0 {
        return segment;
    }
    if digits == bytes.len() {
        ":n"
    } else if bytes.len() == 36 && bytes.iter().all(|byte| is_hex(byte) || *byte == b'-') {
        ":uuid"
    } else if bytes.len() >= 8 && bytes.iter().all(is_hex) {
        ":hex"
    } else if bytes.len() >= 16 && digits >= 3 && bytes.iter().all(is_word) {
        ":id"
    } else {
        segment
    }
}
