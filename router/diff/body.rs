//! The body of an answer, by what it is: JSON by path, HTML by its text and its tags, anything else as a whole.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::GzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use super::endpoint::fold;
use super::facet::{Facet, Facets, LONGEST_NAME};

/// Bytes of a body that are compared; of a longer one only the rest of the answer is.
pub const LONGEST_BODY: usize = 256 * 1024;
/// Bytes that a packed body may become.
const LONGEST_UNPACKED: usize = 2 * 1024 * 1024;
/// How deep a document is looked into; what is deeper is compared as a whole.
const DEEPEST: usize = 24;

/// A body, as far as it is known.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// It is longer than what is compared, or was not read to its end.
    Unknown,
    /// All of it.
    Whole(Cow<'a, [u8]>),
}

/// What a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Json,
    #[default]
    Other,
    Unknown,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Html => "HTML",
            Self::Json => "JSON",
            Self::Other => "other",
            Self::Unknown => "not read",
        }
    }
}

/// Whether a facet is one of the body.
pub(super) fn is_of_body(name: &str) -> bool {
    name.starts_with("json:") || name.starts_with("html:") || name == "body"
}

pub(super) fn facets(headers: &HeaderMap, body: &Body<'_>, facets: &mut Facets<'_>) -> Kind {
    let Body::Whole(bytes) = body else {
        return Kind::Unknown;
    };
    let Some(bytes) = unpacked(headers, bytes) else {
        return Kind::Unknown;
    };
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json");
    if is_json && let Ok(document) = serde_json::from_slice::<Value>(&bytes) {
        json(&document, "json:$", 0, facets);
        return Kind::Json;
    }
    if kind.eq_ignore_ascii_case("text/html") {
        let (text, tags) = html(&bytes);
        facets.put("html:text".into(), Facet::text(text.as_bytes()));
        facets.put("html:tags".into(), Facet::text(tags.as_bytes()));
        return Kind::Html;
    }
    facets.put("body".into(), Facet::bytes(&bytes));
    Kind::Other
}

/// What clients read; `None` when it is packed in a way that is not known here, or cannot be unpacked.
fn unpacked<'a>(headers: &HeaderMap, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let Some(coding) = headers.get(CONTENT_ENCODING) else {
        return Some(bytes.into());
    };
    match coding.as_bytes() {
        b"identity" => Some(bytes.into()),
        _ if bytes.is_empty() => Some(bytes.into()),
        b"gzip" | b"x-gzip" => {
            let mut unpacked = Vec::new();
            let most = LONGEST_UNPACKED as u64 + 1;
            let read = GzDecoder::new(bytes).take(most).read_to_end(&mut unpacked);
            read.ok().filter(|n| *n <= LONGEST_UNPACKED)?;
            Some(unpacked.into())
        }
        _ => None,
    }
}

/// Every value by its path. Members of a list share one, in order, and so do keys that name one thing among many.
fn json(value: &Value, path: &str, depth: usize, facets: &mut Facets<'_>) {
    if depth >= DEEPEST || path.len() > LONGEST_NAME {
        return facets.put(path.to_owned(), Facet::text(value.to_string().as_bytes()));
    }
    match value {
        Value::Array(members) => {
            facets.put(path.to_owned(), Facet::list(members.len()));
            let below = format!("{path}[*]");
            for member in members {
                json(member, &below, depth + 1, facets);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                json(member, &format!("{path}.{}", fold(key)), depth + 1, facets);
            }
        }
        Value::Bool(value) => facets.put(path.to_owned(), Facet::bool(*value)),
        Value::Null => facets.put(path.to_owned(), Facet::null()),
        Value::Number(number) => facets.put(path.to_owned(), Facet::number(&number.to_string())),
        Value::String(text) => facets.put(path.to_owned(), Facet::text(text.as_bytes())),
    }
}

/// The text that is read, with one space where any were, and the names of the tags in their order.
fn html(bytes: &[u8]) -> (String, String) {
    let page = String::from_utf8_lossy(bytes);
    // Of the same length, so that a place in one is a place in the other.
    let lower = page.to_ascii_lowercase();
    let (mut text, mut tags) = (String::new(), String::new());
    let mut at = 0;
    while let Some(tag) = page[at..].find('<').map(|found| at + found) {
        push_words(&mut text, &page[at..tag]);
        if page[tag..].starts_with("<!--") {
            at = after(&page, tag, "-->");
            continue;
        }
        let name = name(&lower[tag + 1..]);
        tags.push_str(name);
        tags.push(' ');
        at = after(&page, tag, ">");
        // What a script or a style sheet says is no text, and often has a nonce or a time in it.
        if matches!(name, "script" | "style") {
            let end = lower[at..].find(&format!("</{name}"));
            at = end.map_or(page.len(), |end| at + end);
        }
    }
    push_words(&mut text, &page[at..]);
    (text, tags)
}

/// The place behind the next `end`, or the end of the page.
fn after(page: &str, from: usize, end: &str) -> usize {
    let found = page[from..].find(end);
    found.map_or(page.len(), |found| from + found + end.len())
}

fn name(tag: &str) -> &str {
    let end = tag.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '/');
    &tag[..end.unwrap_or(tag.len())]
}

fn push_words(text: &mut String, part: &str) {
    for word in part.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
}
