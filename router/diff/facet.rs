//! An answer as facets: everything that may differ, by name, as a hash and a shape. Values are not kept.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use config::fields::FRAMING;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, SET_COOKIE};

use super::body::{self, Body, Kind};
use super::endpoint::cut;

/// Bytes of the name of a facet; a longer one is cut. Names are by answers, which may have a megabyte of one key.
pub(super) const LONGEST_NAME: usize = 200;
/// Facets of an answer that are told apart; what more there is of fields, cookies or values is one facet each.
const MOST_FACETS: usize = 1000;

/// One thing of an answer that may differ from another answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facet {
    hash: u64,
    shape: Shape,
}

/// What may be said of a value that is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Bytes(u32),
    Bool(bool),
    List(u32),
    Null,
    Number,
    Status(u16),
    Text(u32),
    Values(u32),
}

/// An answer, by its facets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub(super) status: u16,
    pub(super) kind: Kind,
    pub(super) facets: BTreeMap<String, Facet>,
}

/// The facets of an answer, without those that `ignored` says.
pub fn page(
    status: u16,
    headers: &HeaderMap,
    body: &Body<'_>,
    ignored: &dyn Fn(&str) -> bool,
) -> Page {
    let mut facets = Facets {
        map: BTreeMap::new(),
        ignored,
    };
    facets.put("status".into(), Facet::status(status));
    for name in headers.keys() {
        // A body is compared as clients read it, so neither does its packing count.
        if FRAMING.contains(name) || name == CONTENT_ENCODING {
            continue;
        }
        let mut values = headers.get_all(name).iter().map(|value| value.as_bytes());
        let facet = match (values.next(), values.next()) {
            (Some(value), None) => Facet::text(value),
            _ => Facet::values(headers.get_all(name).iter().map(|value| value.as_bytes())),
        };
        facets.put(format!("header:{name}"), facet);
    }
    for line in headers.get_all(SET_COOKIE) {
        if let Some((name, scope)) = super::fields::scope(line.as_bytes()) {
            facets.put(format!("cookie:{name}"), Facet::text(scope.as_bytes()));
        }
    }
    let kind = body::facets(headers, body, &mut facets);
    Page {
        status,
        kind,
        facets: facets.map,
    }
}

/// Facets that are being collected.
pub(super) struct Facets<'a> {
    map: BTreeMap<String, Facet>,
    ignored: &'a dyn Fn(&str) -> bool,
}

impl Facets<'_> {
    pub(super) fn put(&mut self, mut name: String, facet: Facet) {
        if (self.ignored)(&name) {
            return;
        }
        cut(&mut name, LONGEST_NAME);
        if self.map.len() >= MOST_FACETS
            && !self.map.contains_key(&name)
            && let Some(colon) = name.find(':')
        {
            name.replace_range(colon + 1.., "(others)");
        }
        let all = self.map.entry(name);
        // The same name once more is a member of a list, or a cookie that is set twice.
        let known = all.and_modify(|known| known.hash = mix(known.hash, facet.hash));
        known.or_insert(facet);
    }
}

impl Page {
    /// Names of the facets in which `self` and `other` differ.
    ///
    /// An answer of another status has another body and other fields, and one of another type another body: then only
    /// that is told, not everything that follows from it.
    pub(super) fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        if self.status != other.status {
            return self
                .facets
                .contains_key("status")
                .then_some("status")
                .into_iter()
                .collect();
        }
        let same_kind = self.kind == other.kind;
        let known = self.kind != Kind::Unknown && other.kind != Kind::Unknown;
        let counts = |name: &str| (same_kind && known) || !body::is_of_body(name);
        let mine = self.facets.iter();
        let mine = mine.filter(|(name, facet)| other.facets.get(*name) != Some(*facet));
        let theirs = other.facets.keys();
        let theirs = theirs.filter(|name| !self.facets.contains_key(*name));
        let names = mine.map(|(name, _)| name).chain(theirs);
        let names = names.map(String::as_str).filter(|name| counts(name));
        let type_of_body = (known && !same_kind).then_some("body:type");
        names.chain(type_of_body).collect()
    }

    /// What `name` looks like here, in words that tell no value.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.facets.get(name) {
            Some(facet) => facet.shape.to_string(),
            None if name == "body:type" => self.kind.as_str().to_owned(),
            None => "absent".to_owned(),
        }
    }
}

impl Facet {
    fn new(value: impl Hash, shape: Shape) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            shape,
        }
    }

    fn status(status: u16) -> Self {
        Self::new(status, Shape::Status(status))
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::new(value, Shape::Bool(value))
    }

    pub(super) fn bytes(value: &[u8]) -> Self {
        Self::new(value, Shape::Bytes(size(value.len())))
    }

    pub(super) fn list(n: usize) -> Self {
        Self::new(n, Shape::List(size(n)))
    }

    pub(super) fn null() -> Self {
        Self::new((), Shape::Null)
    }

    pub(super) fn number(text: &str) -> Self {
        Self::new(text, Shape::Number)
    }

    pub(super) fn text(value: &[u8]) -> Self {
        Self::new(value, Shape::Text(size(value.len())))
    }

    fn values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let values: Vec<_> = values.collect();
        let n = size(values.len());
        Self::new(values, Shape::Values(n))
    }
}

fn size(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn mix(one: u64, other: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (one, other).hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for Shape {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(n) => write!(to, "{n} bytes"),
            Self::Bool(value) => write!(to, "{value}"),
            Self::List(n) => write!(to, "a list of {n}"),
            Self::Null => to.write_str("null"),
            Self::Number => to.write_str("a number"),
            Self::Status(status) => write!(to, "{status}"),
            Self::Text(n) => write!(to, "a text of {n}"),
            Self::Values(n) => write!(to, "{n} values"),
        }
    }
}
