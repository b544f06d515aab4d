//! W3C Trace Context, level 1: what a `traceparent` says, and what we say in one. No header map, no chance.

use http::HeaderValue;

use crate::request_id::put_hex;

/// Names a trace.
pub type TraceId = [u8; 16];
/// Names a span within a trace.
pub type SpanId = [u8; 8];

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The one flag of level 1 (section 3.2.2.5.1).
const SAMPLED: u8 = 1;

/// What a request says of the span that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether its sender may have recorded it.
    pub sampled: bool,
}

/// Where a request is in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// Our span in it.
    pub span: SpanId,
    /// The span that it is a part of; `None` where the trace begins.
    pub parent: Option<SpanId>,
    /// Whether a collector gets our span.
    pub sampled: bool,
}

impl Parent {
    /// The parent that the lines of `traceparent` name; `None` when there is none, and when nothing may be read into them
    /// (section 3.2.2): another form, an id of zeros, another case than the lower, the version `ff`, several lines.
    pub fn read<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        let (known, rest) = line.split_at_checked(LENGTH)?;
        let [version] = hex(&known[..2])?;
        // A later version may have more behind what is known of it (section 4.3).
        let is_whole = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let is_divided = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        if version == 0xff || !is_whole || !is_divided {
            return None;
        }
        let [flags] = hex(&known[53..])?;
        let parent = Self {
            trace: hex(&known[3..35])?,
            span: hex(&known[36..52])?,
            sampled: flags & SAMPLED != 0,
        };
        (parent.trace != [0; 16] && parent.span != [0; 8]).then_some(parent)
    }
}

impl Context {
    /// The `traceparent` for the target, which makes our span the parent of what it does.
    pub fn value(&self) -> HeaderValue {
        let mut text = [b'-'; LENGTH];
        put_hex(&mut text[..2], &[0]);
        put_hex(&mut text[3..35], &self.trace);
        put_hex(&mut text[36..52], &self.span);
        put_hex(&mut text[53..], &[u8::from(self.sampled) * SAMPLED]);
        HeaderValue::from_bytes(&text).expect("hex digits and `-` are a header value")
    }
}

/// The trace that the root of an `X-Amzn-Trace-Id` names, `1-67891233-abcdef012345678912345678`: the same 32 digits.
pub(super) fn trace_of(root: &[u8]) -> Option<TraceId> {
    let rest = root.strip_prefix(b"1-")?;
    if rest.len() != 33 || rest[8] != b'-' {
        return None;
    }
    let [time, unique]: [&[u8]; 2] = [&rest[..8], &rest[9..]];
    let mut trace = [0; 16];
    trace[..4].copy_from_slice(&hex::<4>(time)?);
    trace[4..].copy_from_slice(&hex::<12>(unique)?);
    (trace != [0; 16]).then_some(trace)
}

/// Bytes by their digits, which must be in lower case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[track_caller]
    fn read(lines: &[&str]) -> Option<Parent> {
        Parent::read(lines.iter().map(|line| line.as_bytes()))
    }

    /// `line` with `TRACE` and `SPAN` for `T` and `S`.
    #[track_caller]
    fn check(line: &str, expect: Option<bool>) {
        let line = line.replace('T', TRACE).replace('S', SPAN);
        let parent = read(&[&line]);
        assert_eq!(parent.map(|parent| parent.sampled), expect, "{line:?}");
        if let Some(parent) = parent {
            assert_eq!(parent.trace[..3], [0x0a, 0xf7, 0x65], "{line:?}");
            assert_eq!(parent.span[..3], [0xb7, 0xad, 0x6b], "{line:?}");
        }
    }

    #[test]
    fn what_is_valid_is_read_and_nothing_else() {
        let zeros = "0".repeat(32);
        for (line, expect) in [
            ("00-T-S-01", Some(true)),
            ("00-T-S-00", Some(false)),
            // Other flags mean nothing in level 1.
            ("00-T-S-ff", Some(true)),
            ("00-T-S-fe", Some(false)),
            ("00-T-S-02", Some(false)),
            // A version that is known has nothing behind it.
            ("00-T-S-01-", None),
            ("00-T-S-01-more", None),
            ("00-T-S-01.", None),
            // A later one may.
            ("cc-T-S-01", Some(true)),
            ("cc-T-S-01-what-the-future-brings", Some(true)),
            ("01-T-S-00-", Some(false)),
            ("cc-T-S-01.what", None),
            ("cc-T-S-011", None),
            ("ff-T-S-01", None),
            ("FF-T-S-01", None),
            ("0-T-S-01", None),
            ("000-T-S-01", None),
            (".0-T-S-01", None),
            (&format!("00-{zeros}-S-01"), None),
            (&format!("00-T-{}-01", &zeros[..16]), None),
            (&format!("00-{}-S-01", TRACE.to_uppercase()), None),
            (&format!("00-T-{}-01", SPAN.to_uppercase()), None),
            ("00-T-S-0A", None),
            ("00-T-S-1", None),
            ("00-T-S-", None),
            ("00-T-S", None),
            ("00-TT-S-01", None),
            ("00-T-SS-01", None),
            ("00_T-S-01", None),
            ("00-T_S-01", None),
            ("00-T-S_01", None),
            ("00-T-S-0x", None),
            ("00-T--S-1", None),
            ("", None),
            (",", None),
        ] {
            check(line, expect);
        }
        let ill = format!("00-.{}-{SPAN}-01", &TRACE[1..]);
        assert_eq!(read(&[&ill]), None);
    }

    #[test]
    fn several_lines_are_none() {
        let line = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[]), None);
        assert!(read(&[&line]).is_some());
        assert_eq!(read(&[&line, &line]), None);
        assert_eq!(read(&[&line, ""]), None);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for sampled in [false, true] {
            let context = Context {
                trace: [0xa5; 16],
                span: [0x1f; 8],
                parent: None,
                sampled,
            };
            let value = context.value();
            let flags = u8::from(sampled);
            let expect = format!("00-{}-{}-0{flags}", "a5".repeat(16), "1f".repeat(8));
            assert_eq!(value, expect);
            let parent = read(&[value.to_str().unwrap()]).unwrap();
            assert_eq!((parent.trace, parent.span), ([0xa5; 16], [0x1f; 8]));
            assert_eq!(parent.sampled, sampled);
        }
    }

    #[test]
    fn a_root_of_a_load_balancer_names_a_trace() {
        let root = trace_of(b"1-67891233-abcdef012345678912345678");
        assert_eq!(
            root.map(|trace| trace[3..6].to_vec()),
            Some(vec![0x33, 0xab, 0xcd])
        );
        for none in [
            "1-67891233-abcdef01234567891234567",
            "1-67891233-abcdef0123456789123456789",
            "1-67891233-ABCDEF012345678912345678",
            "2-67891233-abcdef012345678912345678",
            "1-6789123-3abcdef012345678912345678",
            "1-00000000-000000000000000000000000",
            "1-abc",
            "1-",
            "",
        ] {
            assert_eq!(trace_of(none.as_bytes()), None, "{none}");
        }
    }
}
