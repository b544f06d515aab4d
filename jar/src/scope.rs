//! To which requests a cookie belongs, and which cookies a browser does not take (RFC 6265bis sections 5.1 and 5.7).

use std::net::IpAddr;

use crate::read::{SameSite, SetCookie};

/// The request that an answer belongs to, or that cookies are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Host, in whatever case, without port and without a final dot.
    pub host: &'a str,
    /// Path, without the query.
    pub path: &'a str,
    /// Whether the client speaks https.
    pub secure: bool,
}

/// Why a browser does not take a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// `Domain` is not that of the host or of a part above it.
    ForeignDomain,
    /// `Domain` is that of many sites: it has no dot.
    PublicSuffix,
    /// `Secure` on an answer in clear text.
    SecureInClear,
    /// `SameSite=None` without `Secure`.
    NoneWithoutSecure,
    /// The name begins with `__Secure-` or `__Host-`, which needs `Secure`, and the latter `Path=/` and no `Domain`.
    Prefix,
    /// A cookie of the name with `Secure` is there, which an answer in clear text must not replace.
    Shielded,
}

impl Ignored {
    /// Why, as the end of a sentence about the cookie.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForeignDomain => "its Domain does not cover the host",
            Self::PublicSuffix => "its Domain is that of many sites",
            Self::SecureInClear => "it has Secure, and the client speaks http",
            Self::NoneWithoutSecure => "it has SameSite=None without Secure",
            Self::Prefix => {
                "its name begins with __Secure- or __Host-, and its attributes are not those that this needs"
            }
            Self::Shielded => "a cookie of the name with Secure is there",
        }
    }

    /// Why `cookie` is not taken from an answer to a request to `origin`; `None` when it is, as far as the cookie alone tells.
    pub fn of(cookie: &SetCookie<'_>, origin: &Origin<'_>) -> Option<Self> {
        if let Some(domain) = cookie.domain {
            let is_host = domain.eq_ignore_ascii_case(origin.host.as_bytes());
            if !is_host && !domain.contains(&b'.') {
                return Some(Self::PublicSuffix);
            }
            if !domain_match(origin.host, domain) {
                return Some(Self::ForeignDomain);
            }
        }
        if !has_its_prefix(cookie) {
            return Some(Self::Prefix);
        }
        if cookie.secure && !is_trustworthy(origin) {
            return Some(Self::SecureInClear);
        }
        if cookie.same_site == Some(SameSite::None) && !cookie.secure {
            return Some(Self::NoneWithoutSecure);
        }
        None
    }
}

/// `Domain` of `cookie`, but for one without a dot that is the host itself: to browsers it says nothing then.
pub(crate) fn its_domain<'a>(cookie: &SetCookie<'a>, origin: &Origin<'_>) -> Option<&'a [u8]> {
    let host = origin.host.as_bytes();
    let says = |domain: &&[u8]| domain.contains(&b'.') || !domain.eq_ignore_ascii_case(host);
    cookie.domain.filter(says)
}

/// Browsers count their own machine as secure.
pub(crate) fn is_trustworthy(origin: &Origin<'_>) -> bool {
    let address = origin.host.trim_start_matches('[').trim_end_matches(']');
    origin.secure
        || origin.host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn has_its_prefix(cookie: &SetCookie<'_>) -> bool {
    let begins = |prefix: &str| {
        let start = cookie.name.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let is_hosts = || cookie.domain.is_none() && cookie.path == Some(b"/");
    if begins("__Host-") {
        return cookie.secure && is_hosts();
    }
    !begins("__Secure-") || cookie.secure
}

/// Whether a cookie for `domain` is sent to `host`: it is that one, or above it.
pub fn domain_match(host: &str, domain: &[u8]) -> bool {
    let host = host.as_bytes();
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let Some(start) = host.len().checked_sub(domain.len() + 1) else {
        return false;
    };
    let is_below = host[start] == b'.' && host[start + 1..].eq_ignore_ascii_case(domain);
    is_below && std::str::from_utf8(host).is_ok_and(|host| host.parse::<IpAddr>().is_err())
}

/// Whether a cookie for `path` is sent with a request for `requested`.
pub fn path_match(requested: &str, path: &str) -> bool {
    let rest = requested.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// The path of a cookie that was set without one, on an answer to a request for `requested`.
pub fn default_path(requested: &str) -> &str {
    match requested.rfind('/') {
        Some(last) if last > 0 && requested.starts_with('/') => &requested[..last],
        _ => "/",
    }
}

/// The host in a `Host` field, without port and without a final dot.
pub fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_covers_itself_and_what_is_below() {
        for (host, domain, expected) in [
            ("example.com", "example.com", true),
            ("WWW.example.com", "Example.com", true),
            ("a.b.example.com", "example.com", true),
            ("example.com", "www.example.com", false),
            ("badexample.com", "example.com", false),
            ("127.0.0.1", "0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("", "example.com", false),
        ] {
            assert_eq!(
                domain_match(host, domain.as_bytes()),
                expected,
                "{host} {domain}"
            );
        }
    }

    #[test]
    fn a_path_covers_itself_and_what_is_below() {
        for (requested, path, expected) in [
            ("/", "/", true),
            ("/a/b", "/", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/a", "/a/", false),
            ("/ab", "/a", false),
        ] {
            assert_eq!(path_match(requested, path), expected, "{requested} {path}");
        }
        for (requested, expected) in [
            ("/", "/"),
            ("/a", "/"),
            ("/a/b", "/a"),
            ("/a/", "/a"),
            ("*", "/"),
        ] {
            assert_eq!(default_path(requested), expected, "{requested}");
        }
    }

    #[track_caller]
    fn check(line: &str, host: &str, secure: bool, expected: Option<Ignored>) {
        let cookie = SetCookie::read(line.as_bytes()).expect("a cookie");
        let origin = Origin {
            host,
            path: "/",
            secure,
        };
        assert_eq!(
            Ignored::of(&cookie, &origin),
            expected,
            "{line} from {host}"
        );
    }

    #[test]
    fn what_browsers_do_not_take_has_a_reason() {
        let www = "www.example.com";
        check("a=b", www, false, None);
        check("a=b; Domain=example.com", www, false, None);
        check("a=b; Domain=www.example.com", www, false, None);
        check(
            "a=b; Domain=example.org",
            www,
            false,
            Some(Ignored::ForeignDomain),
        );
        check(
            "a=b; Domain=a.www.example.com",
            www,
            false,
            Some(Ignored::ForeignDomain),
        );
        check("a=b; Domain=com", www, false, Some(Ignored::PublicSuffix));
        check("a=b; Domain=localhost", "localhost", false, None);
        check("a=b; Secure", www, false, Some(Ignored::SecureInClear));
        check("a=b; Secure", "127.0.0.1", false, None);
        check("a=b; Secure", www, true, None);
        check(
            "a=b; SameSite=None",
            www,
            true,
            Some(Ignored::NoneWithoutSecure),
        );
        check("__Host-a=b; Secure; Path=/", www, true, None);
        check("__Host-a=b; Secure", www, true, Some(Ignored::Prefix));
        check(
            "__host-a=b; Secure; Path=/; Domain=example.com",
            www,
            true,
            Some(Ignored::Prefix),
        );
        check("__Secure-a=b", www, true, Some(Ignored::Prefix));
    }

    #[test]
    fn a_port_is_no_part_of_a_host() {
        for (host, expected) in [
            ("a.test:80", "a.test"),
            ("a.test.", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }
}
