//! Crumbs: what is kept of a cookie that a pool sets. Everything but its value.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::read::{SameSite, SetCookie};
use crate::scope::{Ignored, Origin, default_path, its_domain};

/// Where and when a cookie was set.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The request it answers.
    pub origin: Origin<'a>,
    /// Seconds since 1970.
    pub now: i64,
}

/// What an answer does with a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It sets it.
    Set,
    /// It makes browsers forget it.
    Delete,
    /// It sets it to nothing, which browsers keep.
    Empty,
}

/// How long a cookie is kept, roughly: what differs by minutes is no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Until the browser ends.
    Session,
    /// For a day and a half at most.
    Day,
    /// For 45 days at most.
    Month,
    /// For longer.
    Long,
}

/// Attributes that say who gets a cookie to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags {
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: Option<SameSite>,
}

/// One kind of cookie that answers set: its first, as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// Its name, shortened to what can be read.
    pub name: String,
    /// What is done with it.
    pub act: Act,
    /// The answer sets a cookie of the name, too: this one is forgotten in favor of that.
    pub beside: bool,
    /// `Domain`, in lower case.
    pub domain: Option<String>,
    /// Labels of the host that are not in the domain.
    pub labels: u8,
    /// The path it is for.
    pub path: String,
    /// The answer names no path, so that it is each request's own.
    pub path_of_request: bool,
    /// Who gets it to see.
    pub flags: Flags,
    /// How long it is kept.
    pub span: Span,
    /// Why browsers do not take it.
    pub ignored: Option<Ignored>,
    /// The host of the request.
    pub host: String,
}

/// A number for the kind of `cookie`: equal for all that differ in value, in time, and in the hosts of many tenants only.
///
/// Neither allocates nor formats: answers ask for it.
pub fn key(cookie: &SetCookie<'_>, beside: bool, place: &Place<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    cookie.name.hash(&mut hasher);
    cookie.path.hash(&mut hasher);
    let domain = its_domain(cookie, &place.origin);
    let domain = domain.map(|domain| labels(domain, place.origin.host));
    (act(cookie, place.now), beside, domain).hash(&mut hasher);
    (flags(cookie), span(cookie, place.now)).hash(&mut hasher);
    Ignored::of(cookie, &place.origin).hash(&mut hasher);
    hasher.finish()
}

impl Crumb {
    /// What is kept of `cookie`.
    pub fn of(cookie: &SetCookie<'_>, beside: bool, place: &Place<'_>) -> Self {
        let host = place.origin.host.to_ascii_lowercase();
        let path = cookie.path.map(readable);
        let domain = its_domain(cookie, &place.origin);
        Self {
            name: readable(cookie.name),
            act: act(cookie, place.now),
            beside,
            domain: domain.map(|it| readable(it).to_ascii_lowercase()),
            labels: domain.map_or(0, |domain| labels(domain, &host)),
            path_of_request: path.is_none(),
            path: path.unwrap_or_else(|| default_path(place.origin.path).to_owned()),
            flags: flags(cookie),
            span: span(cookie, place.now),
            ignored: Ignored::of(cookie, &place.origin),
            host,
        }
    }

    /// Whether both are one cookie to a browser, on whatever hosts of the route they were seen.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same_domain = match (&self.domain, &other.domain) {
            (None, None) => true,
            (Some(own), Some(others)) => own == others || self.labels == other.labels,
            _ => false,
        };
        // Examples of two pools may come from two requests; a deletion must still be that of the very path.
        let alike = self.path_of_request && other.path_of_request && self.act == other.act;
        same_domain && (alike || self.path == other.path)
    }
}

fn act(cookie: &SetCookie<'_>, now: i64) -> Act {
    match cookie.value {
        _ if cookie.deletes(now) => Act::Delete,
        [] => Act::Empty,
        _ => Act::Set,
    }
}

fn flags(cookie: &SetCookie<'_>) -> Flags {
    Flags {
        secure: cookie.secure,
        http_only: cookie.http_only,
        same_site: cookie.same_site,
    }
}

fn span(cookie: &SetCookie<'_>, now: i64) -> Span {
    const DAY: i64 = 24 * 60 * 60;
    match cookie.seconds_left(now) {
        None | Some(..=0) => Span::Session,
        Some(left) if left <= DAY * 3 / 2 => Span::Day,
        Some(left) if left <= 45 * DAY => Span::Month,
        Some(_) => Span::Long,
    }
}

/// How many labels `host` has in front of `domain`; from some on they are one to us, because clients choose their hosts.
fn labels(domain: &[u8], host: &str) -> u8 {
    const MOST: u8 = 4;
    let rest = host.len().saturating_sub(domain.len());
    let dots = host.as_bytes()[..rest].iter().filter(|byte| **byte == b'.');
    u8::try_from(dots.count()).map_or(MOST, |dots| dots.min(MOST))
}

/// The text of bytes of an application, as far as people can read it.
fn readable(bytes: &[u8]) -> String {
    const MOST: usize = 128;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned();
    if bytes.len() > MOST {
        text + "…"
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn place(host: &str) -> Place<'_> {
        let origin = Origin {
            host,
            path: "/shop/cart",
            secure: true,
        };
        Place { origin, now: NOW }
    }

    fn number(line: &str, host: &str) -> u64 {
        key(
            &SetCookie::read(line.as_bytes()).unwrap(),
            false,
            &place(host),
        )
    }

    #[test]
    fn one_kind_has_one_key_whatever_its_value_and_time() {
        let one = "sess=1; Domain=example.com; Path=/; Expires=Fri, 15 Jan 2027 09:00:00 GMT";
        let other = "sess=2; Path=/; Expires=Fri, 15 Jan 2027 09:00:01 GMT; Domain=.EXAMPLE.com";
        assert_eq!(
            number(one, "www.example.com"),
            number(other, "www.example.com")
        );
        // Every tenant's own domain is the same to us.
        let [one, other] =
            ["a.test", "b.test"].map(|host| number(&format!("sess=1; Domain={host}"), host));
        assert_eq!(one, other);
    }

    #[test]
    fn what_browsers_tell_apart_has_keys_of_its_own() {
        let kinds = [
            "sess=1",
            "sess=",
            "sess=1; Max-Age=0",
            "sess=1; Max-Age=60",
            "sess=1; Max-Age=9999999",
            "sess=1; Path=/",
            "sess=1; Domain=example.com",
            "sess=1; Domain=www.example.com",
            "sess=1; Domain=example.org",
            "sess=1; Secure",
            "sess=1; HttpOnly",
            "sess=1; SameSite=Lax",
            "sess2=1",
        ];
        let mut keys = kinds.map(|line| number(line, "www.example.com"));
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    /// Clients choose their hosts, and a table of kinds is finite.
    #[test]
    fn hosts_however_deep_make_few_kinds() {
        let hosts = (0..60).map(|depth| "a.".repeat(depth) + "example.com");
        let keys = hosts.flat_map(|host| {
            ["example.com", "example.org"]
                .map(|domain| number(&format!("sess=1; Domain={domain}"), &host))
        });
        let keys: std::collections::HashSet<_> = keys.collect();
        assert_eq!(keys.len(), 5 + 5);
    }

    #[test]
    fn a_crumb_has_no_value() {
        let cookie = SetCookie::read(b"sess=secret; Max-Age=3600").unwrap();
        let crumb = Crumb::of(&cookie, false, &place("WWW.example.com"));
        assert!(!format!("{crumb:?}").contains("secret"));
        assert_eq!((crumb.path.as_str(), crumb.span), ("/shop", Span::Day));
        assert_eq!(crumb.host, "www.example.com");
    }
}
