//! Our marks on an answer: the cookie that keeps a client's place, and, for flagged clients, where the request went.

use config::id;
use config::model::{SameSite, Sticky};
use config::pin::Pinning;

/// The `Set-Cookie` line for a client's new id.
///
/// No Domain attribute, ever: a cookie of a whole domain outlives its setter (field case GREE-23).
pub fn set_cookie(sticky: &Sticky, id: [u8; 16], secure: bool) -> String {
    let value: String = id::encode(&id).map(char::from).iter().collect();
    line(
        sticky,
        &sticky.cookie,
        &value,
        sticky.max_age.0.as_secs(),
        secure,
    )
}

/// The `Set-Cookie` line for a client's pin, whose value is `value`.
pub fn set_pin(sticky: &Sticky, pinning: &Pinning, value: &str, secure: bool) -> String {
    line(sticky, &pinning.cookie, value, pinning.lasts, secure)
}

fn line(sticky: &Sticky, name: &str, value: &str, max_age: u64, secure: bool) -> String {
    let mut line = String::with_capacity(128);
    line.push_str(name);
    line.push('=');
    line.push_str(value);
    line.push_str("; Path=/; HttpOnly; SameSite=");
    line.push_str(match sticky.same_site {
        SameSite::Lax => "Lax",
        SameSite::None => "None",
        SameSite::Strict => "Strict",
    });
    line.push_str("; Max-Age=");
    line.push_str(&max_age.to_string());
    if secure || sticky.same_site == SameSite::None {
        line.push_str("; Secure");
    }
    line
}

/// The `Set-Cookie` line that clears the cookie `name` of this host.
pub fn clear_cookie(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0")
}

/// The headers of an answer that decide whether a shared cache may keep it.
#[derive(Default)]
pub struct Freshness<'a> {
    /// `Cache-Control`, every line.
    pub cache_control: Vec<&'a [u8]>,
    /// `Expires`.
    pub expires: Option<&'a [u8]>,
    /// `Surrogate-Control` or `CDN-Cache-Control` is there.
    pub surrogate: bool,
}

/// Whether an answer is marked for shared caches, which would hand one client's id to many.
pub fn is_shared(freshness: &Freshness<'_>, now: std::time::SystemTime) -> bool {
    let directives = || {
        let lines = freshness.cache_control.iter();
        lines
            .flat_map(|line| line.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
    };
    let has = |name: &str| directives().any(|directive| named(directive, name).is_some());
    if has("private") || has("no-store") {
        return false;
    }
    let max_age = directives().find_map(|directive| seconds(named(directive, "max-age")?));
    freshness.surrogate
        || has("public")
        || has("s-maxage")
        || max_age.is_some_and(|age| age > 0)
        || (max_age.is_none()
            && freshness
                .expires
                .is_some_and(|expires| is_future(expires, now)))
}

/// Whether `Cache-Control` says outright that an answer is for shared caches, whatever else there is about it.
pub fn is_public<'a>(cache_control: impl Iterator<Item = &'a [u8]>) -> bool {
    let directives = cache_control.flat_map(|line| line.split(|byte| *byte == b','));
    directives.map(<[u8]>::trim_ascii).any(|directive| {
        named(directive, "public").is_some() || named(directive, "s-maxage").is_some()
    })
}

/// What follows the directive `name`, when `directive` is that one.
fn named<'a>(directive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (start, rest) = directive.split_at_checked(name.len())?;
    let ends = matches!(rest.first(), None | Some(b'=' | b' '));
    (start.eq_ignore_ascii_case(name.as_bytes()) && ends).then_some(rest)
}

fn seconds(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    value
        .trim_start_matches(['=', ' '])
        .trim_matches('"')
        .parse()
        .ok()
}

fn is_future(expires: &[u8], now: std::time::SystemTime) -> bool {
    let text = std::str::from_utf8(expires).unwrap_or_default();
    httpdate::parse_http_date(text).is_ok_and(|time| time > now)
}

/// Whether `name` is another one than `ours` to HTTP, and the same to a server that folds `_` to `-`, as CGI and WSGI do.
pub fn is_twin(name: &str, ours: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    name.len() == ours.len()
        && name.contains('_')
        && name.bytes().map(fold).eq(ours.bytes().map(fold))
        && !name.eq_ignore_ascii_case(ours)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_cookie_is_host_only_and_lasts() {
        let line = set_cookie(&Sticky::default(), [0; 16], false);
        assert_eq!(
            line,
            "kanaria=AAAAAAAAAAAAAAAAAAAAAA; Path=/; HttpOnly; SameSite=Lax; Max-Age=34560000"
        );
        assert!(set_cookie(&Sticky::default(), [0; 16], true).ends_with("; Secure"));
        let none = Sticky {
            same_site: SameSite::None,
            ..Sticky::default()
        };
        assert!(set_cookie(&none, [0; 16], false).ends_with("; Secure"));
    }

    #[track_caller]
    fn check(cache_control: &[&str], expires: Option<&str>, surrogate: bool, expect: bool) {
        let freshness = Freshness {
            cache_control: cache_control.iter().map(|line| line.as_bytes()).collect(),
            expires: expires.map(str::as_bytes),
            surrogate,
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(
            is_shared(&freshness, now),
            expect,
            "{cache_control:?} {expires:?}"
        );
    }

    #[test]
    fn answers_marked_for_shared_caches_are_seen() {
        check(&["public"], None, false, true);
        check(&["no-transform", "S-MaxAge=10"], None, false, true);
        check(&["max-age=60"], None, false, true);
        check(&[], Some("Fri, 01 Jan 2100 00:00:00 GMT"), false, true);
        check(&[], None, true, true);
    }

    #[test]
    fn what_says_public_outright_is_seen() {
        let is = |line: &str| is_public(std::iter::once(line.as_bytes()));
        assert!(is("max-age=60, Public") && is("s-maxage=10"));
        assert!(!is("max-age=60") && !is("private") && !is("publicity") && !is(""));
    }

    #[test]
    fn answers_for_one_client_are_not() {
        check(&[], None, false, false);
        check(&["max-age=0"], None, false, false);
        check(&["private, max-age=60"], None, false, false);
        check(&["no-store, public"], None, false, false);
        check(&["publicity"], None, false, false);
        check(&[], Some("Thu, 01 Jan 1970 00:00:00 GMT"), false, false);
        check(
            &["max-age=0"],
            Some("Fri, 01 Jan 2100 00:00:00 GMT"),
            false,
            false,
        );
        check(&[], Some("0"), false, false);
    }
}
