//! `X-Request-Id` and `X-Amzn-Trace-Id`: names a request carries through every log.

use bytes::Bytes;
use http::HeaderValue;
use rand::RngCore;

/// The names of one request, as the values of their headers.
pub struct Names {
    /// `X-Request-Id`: the client's when it is valid, else a new one.
    pub request_id: HeaderValue,
    /// `X-Amzn-Trace-Id`, as an ALB makes it: a new `Root`, or the client's fields with our `Self` in front.
    pub trace: HeaderValue,
}

/// Hex digits of a request id: 128 random bits.
const ID: usize = 32;
/// Where a new trace stands behind a new id, and where in it the part behind `Root=` does.
const TRACE: usize = ID;
const PART: usize = TRACE + ROOT.len();
const END: usize = PART + 35;

const ROOT: &str = "Root=";

impl Names {
    /// Names for a request that came with these headers, or without; `now` in seconds since 1970.
    pub fn new(
        given_id: Option<&HeaderValue>,
        given_trace: Option<&HeaderValue>,
        now: u64,
    ) -> Self {
        // Owned, so that both names share it from the start.
        let fresh = Bytes::from_owner(draw(now));
        let given_id = given_id.filter(|id| is_valid(id.as_bytes()));
        let extended = given_trace.and_then(|given| extended(given, &fresh[PART..]));
        Self {
            request_id: given_id.map_or_else(|| value(fresh.slice(..ID)), HeaderValue::clone),
            trace: extended.unwrap_or_else(|| value(fresh.slice(TRACE..))),
        }
    }

    /// Whether the trace begins here: a client's has our `Self` in front.
    pub fn is_root_ours(&self) -> bool {
        self.trace.as_bytes().starts_with(ROOT.as_bytes())
    }
}

/// A new request id: 128 random bits as 32 hex digits.
pub fn fresh() -> String {
    draw(0)[..ID].iter().copied().map(char::from).collect()
}

/// Whether a client's id may be kept: 1 to 128 characters that need no quoting in any log.
pub fn is_valid(id: &[u8]) -> bool {
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'=' | b'/' | b'+')
    };
    (1..=128).contains(&id.len()) && id.iter().all(plain)
}

/// The root of a trace header's value.
pub fn root(trace: &[u8]) -> Option<&[u8]> {
    trace
        .split(|byte| *byte == b';')
        .find_map(|field| field.trim_ascii().strip_prefix(ROOT.as_bytes()))
}

/// The trace of a client that has a root, with our part in front of its other fields.
fn extended(given: &HeaderValue, own: &[u8]) -> Option<HeaderValue> {
    let given = given.to_str().ok()?;
    let is_rooted = root(given.as_bytes()).is_some_and(|root| root.starts_with(b"1-"));
    if given.len() > 7 * 1024 || !is_rooted {
        return None;
    }
    let mut value = Vec::with_capacity(given.len() + own.len() + 6);
    value.extend_from_slice(b"Self=");
    value.extend_from_slice(own);
    let fields = given.split(';').map(str::trim);
    for field in fields.filter(|field| !field.is_empty() && !field.starts_with("Self=")) {
        value.push(b';');
        value.extend_from_slice(field.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(value)).ok()
}

/// A new id and a new trace behind it, drawn and written at once: every request pays for this.
fn draw(now: u64) -> [u8; END] {
    let mut random = [0; 28];
    rand::rng().fill_bytes(&mut random);
    let mut text = [b'-'; END];
    put_hex(&mut text[..ID], &random[..16]);
    text[TRACE..PART].copy_from_slice(ROOT.as_bytes());
    text[PART] = b'1';
    put_hex(&mut text[PART + 2..PART + 10], &(now as u32).to_be_bytes());
    put_hex(&mut text[PART + 11..], &random[16..]);
    text
}

/// Writes the hex digits of `bytes`, in lower case, into `text`, which is twice as long.
pub(crate) fn put_hex(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
}

/// Both digits of each byte, which halves what two lookups for each of 32 bytes take (`--counts` of `benches/proxy`).
static PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text)
        .expect("hex digits, letters, `=` and `-` are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 0x5759_e988;

    #[track_caller]
    fn names(id: &str, trace: &str) -> [String; 2] {
        let given = |value: &str| (!value.is_empty()).then(|| value.parse().unwrap());
        let names = Names::new(given(id).as_ref(), given(trace).as_ref(), NOW);
        [names.request_id, names.trace].map(|value| value.to_str().unwrap().to_owned())
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
        let [id, trace] = names("", "");
        assert!(
            trace.starts_with("Root=1-5759e988-") && trace.len() == 40,
            "{trace}"
        );
        let random = &trace["Root=1-5759e988-".len()..];
        assert!(random.bytes().all(|byte| byte.is_ascii_hexdigit()) && !id.contains(random));
        assert_eq!(names("", "Parent=1")[1].len(), 40);
    }

    #[test]
    fn a_valid_id_of_a_client_is_kept_and_another_replaced() {
        assert_eq!(names("order-17_a.b", "")[0], "order-17_a.b");
        let [made, _] = names("two words", "");
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(made, names("two words", "")[0]);
    }

    #[test]
    fn a_trace_with_a_root_keeps_its_fields_and_gets_a_new_self_in_front() {
        let [_, value] = names("", "Self=1-00000000-x;Root=1-67891233-abc;CalledFrom=app");
        assert!(value.starts_with("Self=1-5759e988-"), "{value}");
        assert!(
            value.ends_with(";Root=1-67891233-abc;CalledFrom=app"),
            "{value}"
        );
        assert_eq!(root(value.as_bytes()), Some(&b"1-67891233-abc"[..]));
    }

    #[test]
    fn a_trace_that_only_seems_to_have_a_root_gets_one() {
        for given in ["xRoot=1-67891233-abc", "Root=2-a;Root=1-67891233-abc", ""] {
            let [_, value] = names("", given);
            assert!(value.starts_with("Root=1-5759e988-"), "{value}");
        }
    }
}
