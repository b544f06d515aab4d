//! Which requests of a route are copied for its shadow pool, and what changes in the copies.

mod redaction;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::fields::{FRAMING, Fields};
use crate::ids::PoolId;
use crate::model::{self, Compare};
use crate::path::Path;
use crate::pattern::{Pattern, Wildcard};
use crate::split::BUCKETS;

pub use redaction::Redaction;

/// The field that tells a target that it answers nobody. A client's own copy is removed from every request.
pub const MARK: HeaderName = HeaderName::from_static("x-kanaria-shadow");

/// Methods that change nothing (RFC 9110 section 9.2.1), as far as we carry them.
pub(crate) const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// `[routes.shadow]`, compiled.
#[derive(Debug)]
pub struct Shadow {
    /// The pool that gets the copies.
    pub pool: PoolId,
    /// All keys as written, with defaults.
    pub settings: model::Shadow,
    /// How many buckets have their requests copied, from the high end.
    pub(crate) share: u16,
    pub(crate) methods: Box<[Box<str>]>,
    pub(crate) paths: Box<[Pattern]>,
    pub(crate) denied: Box<[Pattern]>,
    pub(crate) drops: Box<[HeaderName]>,
    pub(crate) headers: Fields,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) ignored: Box<[Wildcard]>,
    /// What is left out of copies that are written down.
    pub redaction: Redaction,
}

impl Shadow {
    /// Whether a request of `method` for `path`, both as sent, which targets get as one for `target`, may be copied. Where
    /// targets differ in how they read a path, each reading must be allowed, and none denied.
    pub fn takes(&self, method: &str, path: &str, target: &str) -> bool {
        if !self.methods.iter().any(|own| **own == *method) {
            return false;
        }
        let is_allowed = |path: &[u8]| any(&self.paths, path) && !any(&self.denied, path);
        let is_harmless = |path: &[u8]| !any(&self.denied, path);
        all_readings(path, is_allowed) && (path == target || all_readings(target, is_harmless))
    }

    /// Whether the requests of who has `bucket` are copied.
    pub const fn samples(&self, bucket: u16) -> bool {
        bucket >= BUCKETS - self.share
    }

    /// Whether the `turn`th request of clients without a bucket is copied: of any 10,000 in a row as many as buckets would be,
    /// evenly spread.
    pub const fn takes_turn(&self, turn: u32) -> bool {
        let (share, all) = (self.share as u64, BUCKETS as u64);
        (turn as u64 + 1) * share / all > turn as u64 * share / all
    }

    /// Whether answers are compared.
    pub fn compares(&self) -> bool {
        self.settings.compare != Compare::Plain(false)
    }

    /// Whether the serving pool is asked once more.
    pub fn noise(&self) -> bool {
        self.settings.compare == Compare::Noise { noise: true }
    }

    /// Whether it is asked a request of `method` once more: not what may change something.
    pub fn has_control(&self, method: &str) -> bool {
        self.noise() && SAFE.contains(&method)
    }

    /// Whether answers may differ in `facet`.
    pub fn ignores(&self, facet: &str) -> bool {
        let mut ignored = self.ignored.iter();
        ignored.any(|ignored| ignored.matches(facet.as_bytes()))
    }

    /// Makes the fields of a copy out of those that the serving target got.
    pub fn edit(&self, headers: &mut HeaderMap) {
        self.edit_for_control(headers);
        self.headers.apply(headers);
        if let Some(host) = &self.host {
            headers.insert(header::HOST, host.clone());
        }
    }

    /// As `edit`, for the serving pool, which is asked once more: without what is meant for the shadow pool alone.
    pub fn edit_for_control(&self, headers: &mut HeaderMap) {
        // A copy travels by itself, and has fields of its own for that.
        for name in FRAMING.iter().chain(&self.drops) {
            headers.remove(name);
        }
        headers.insert(MARK, HeaderValue::from_static("1"));
    }
}

fn any(patterns: &[Pattern], path: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(path))
}

fn all_readings(path: &str, holds: impl Fn(&[u8]) -> bool) -> bool {
    let path = Path::read(path);
    std::iter::once(path.usual())
        .chain(path.others())
        .all(holds)
}

#[cfg(test)]
mod tests;
