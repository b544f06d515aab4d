//! `X-Request-Id` and `X-Amzn-Trace-Id`: names a request carries through every log.

use std::time::{SystemTime, UNIX_EPOCH};

/// A new request id: 128 random bits as 32 hex digits.
pub fn fresh() -> String {
    let mut id = String::with_capacity(32);
    push_hex(&mut id, &rand::random::<[u8; 16]>());
    id
}

/// Whether a client's id may be kept: 1 to 128 characters that need no quoting in any log.
pub fn is_valid(id: &[u8]) -> bool {
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'=' | b'/' | b'+')
    };
    (1..=128).contains(&id.len()) && id.iter().all(plain)
}

/// The value of `X-Amzn-Trace-Id` for the target: as an ALB makes it.
///
/// A value with `Root` gets our `Self` in front and keeps its other fields; without one a new `Root` is made.
pub fn trace(given: Option<&str>, now: SystemTime) -> String {
    let mut value = String::with_capacity(128);
    let is_rooted = |given: &&str| root(given).is_some_and(|root| root.starts_with("1-"));
    let kept = given.filter(|given| given.len() <= 7 * 1024 && is_rooted(given));
    let Some(kept) = kept else {
        push_trace(&mut value, "Root", now);
        return value;
    };
    push_trace(&mut value, "Self", now);
    for field in kept
        .split(';')
        .map(str::trim)
        .filter(|field| !field.is_empty())
    {
        if !field.starts_with("Self=") {
            value.push(';');
            value.push_str(field);
        }
    }
    value
}

/// The root of a trace header's value.
pub fn root(trace: &str) -> Option<&str> {
    trace
        .split(';')
        .find_map(|field| field.trim().strip_prefix("Root="))
}

fn push_trace(value: &mut String, field: &str, now: SystemTime) {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    value.push_str(field);
    value.push_str("=1-");
    push_hex(value, &(seconds as u32).to_be_bytes());
    value.push('-');
    push_hex(value, &rand::random::<[u8; 12]>());
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(0x5759_e988)
    }

    #[test]
    fn an_id_is_32_hex_digits_and_never_the_same() {
        let (one, two) = (fresh(), fresh());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }

    #[test]
    fn ids_that_could_break_a_log_line_are_not_kept() {
        assert!(is_valid(b"1-67891233-abcdef012345678912345678"));
        for bad in [&b""[..], b"a b", b"a\"b", b"a\\b", b"\xff", &[b'a'; 129]] {
            assert!(!is_valid(bad));
        }
    }

    #[test]
    fn a_request_without_a_trace_gets_a_root() {
        let value = trace(None, now());
        assert!(
            value.starts_with("Root=1-5759e988-") && value.len() == 40,
            "{value}"
        );
    }

    #[test]
    fn a_trace_with_a_root_keeps_its_fields_and_gets_a_new_self_in_front() {
        let value = trace(
            Some("Self=1-00000000-x;Root=1-67891233-abc;CalledFrom=app"),
            now(),
        );
        assert!(value.starts_with("Self=1-5759e988-"), "{value}");
        assert!(
            value.ends_with(";Root=1-67891233-abc;CalledFrom=app"),
            "{value}"
        );
        assert_eq!(root(&value), Some("1-67891233-abc"));
    }

    #[test]
    fn a_trace_that_only_seems_to_have_a_root_gets_one() {
        for given in ["xRoot=1-67891233-abc", "Root=2-a;Root=1-67891233-abc", ""] {
            let value = trace(Some(given), now());
            assert!(value.starts_with("Root=1-5759e988-"), "{value}");
        }
    }
}
