//! What tells the lines of JSON and of LTSV apart: the bytes around a value, and how a text is written.

use super::text;

/// The bytes before a value, in each form.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) json: &'static str,
    pub(super) ltsv: &'static str,
}

/// The `Key` of a name. A macro, because only that joins the literals before the program runs; joining them for each
/// line was a seventh of its cost.
macro_rules! key {
    ($name:literal) => {
        Key {
            json: concat!(",\"", $name, "\":"),
            ltsv: concat!("\t", $name, ":"),
        }
    };
}
pub(super) use key;

/// A form of lines with labeled fields.
pub(super) trait Form {
    /// The start of a line, to the value of `time`.
    const TIME: &'static [u8];
    /// What stands around a text.
    const QUOTE: &'static [u8];
    /// A value that is not known.
    const NULL: &'static [u8];
    /// The end of a line.
    const END: &'static [u8];

    /// The bytes before a value.
    fn key(key: Key) -> &'static [u8];

    /// The inside of a text.
    fn escape(out: &mut Vec<u8>, text: &[u8]);
}

/// One flat JSON object a line.
pub(super) struct Json;

impl Form for Json {
    const TIME: &'static [u8] = b"{\"time\":\"";
    const QUOTE: &'static [u8] = b"\"";
    const NULL: &'static [u8] = b"null";
    const END: &'static [u8] = b"}\n";

    fn key(key: Key) -> &'static [u8] {
        key.json.as_bytes()
    }

    fn escape(out: &mut Vec<u8>, text: &[u8]) {
        text::escape(out, text);
    }
}

/// Labeled tab-separated values (ltsv.org).
pub(super) struct Ltsv;

impl Form for Ltsv {
    const TIME: &'static [u8] = b"time:";
    const QUOTE: &'static [u8] = b"";
    const NULL: &'static [u8] = b"-";
    const END: &'static [u8] = b"\n";

    fn key(key: Key) -> &'static [u8] {
        key.ltsv.as_bytes()
    }

    /// A text that says `-` is written otherwise than what is not known.
    fn escape(out: &mut Vec<u8>, text: &[u8]) {
        if text == b"-" {
            text::escape_hex(out, text, |_| true);
        } else {
            text::escape_hex_or_utf8(out, text);
        }
    }
}
