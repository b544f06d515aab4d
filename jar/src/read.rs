//! Reading a `Set-Cookie` line as browsers do (RFC 6265bis section 5.6), over its bytes and without copying any.

use crate::date;

/// Longest name and value together, in bytes, that a browser takes.
const LONGEST: usize = 4096;
/// Longest value of an attribute; a longer one is not there.
const LONGEST_ATTRIBUTE: usize = 1024;

/// What one `Set-Cookie` line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name; never empty.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// `Domain`, without a leading dot, in whatever case; `None` for a cookie of the host alone.
    pub domain: Option<&'a [u8]>,
    /// `Path`; `None` when it is that of the request.
    pub path: Option<&'a [u8]>,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`; `None` without a word that browsers know.
    pub same_site: Option<SameSite>,
    /// How long it is kept.
    pub lifetime: Lifetime,
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the browser ends.
    Session,
    /// For so many seconds from now (`Max-Age`); 0 and less delete it.
    Seconds(i64),
    /// Until then, in seconds since 1970 (`Expires`); a moment that is over deletes it.
    Until(i64),
}

/// From which sites' pages a cookie is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SameSite {
    /// The same site's, and on links from others.
    Lax,
    /// Every site's; only with `Secure`.
    None,
    /// The same site's alone.
    Strict,
}

impl SameSite {
    /// The word of the attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::None => "None",
            Self::Strict => "Strict",
        }
    }
}

impl<'a> SetCookie<'a> {
    /// Reads `line`; `None` when browsers ignore it for its form, and for a cookie without a name.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        // A control character other than a tab ends the line's credit as a whole.
        if line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            return None;
        }
        let mut parts = line.split(|byte| *byte == b';');
        let (name, value) = pair(parts.next()?);
        let value = value?;
        if name.is_empty() || name.len() + value.len() > LONGEST {
            return None;
        }
        let mut cookie = Self {
            name,
            value,
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            same_site: None,
            lifetime: Lifetime::Session,
        };
        let mut max_age = None;
        for part in parts {
            let (name, value) = pair(part);
            let value = value.unwrap_or_default();
            if value.len() <= LONGEST_ATTRIBUTE {
                cookie.attribute(name, value, &mut max_age);
            }
        }
        if let Some(seconds) = max_age {
            cookie.lifetime = Lifetime::Seconds(seconds);
        }
        Some(cookie)
    }

    /// Of an attribute that is there twice the last one counts.
    fn attribute(&mut self, name: &[u8], value: &'a [u8], max_age: &mut Option<i64>) {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("domain") {
            let domain = value.strip_prefix(b".").unwrap_or(value);
            self.domain = (!domain.is_empty()).then_some(domain);
        } else if is("path") {
            self.path = value.starts_with(b"/").then_some(value);
        } else if is("secure") {
            self.secure = true;
        } else if is("httponly") {
            self.http_only = true;
        } else if is("samesite") {
            self.same_site = same_site(value);
        } else if is("max-age") {
            *max_age = seconds(value).or(*max_age);
        } else if is("expires")
            && let Some(moment) = date::parse(value)
        {
            self.lifetime = Lifetime::Until(moment);
        }
    }

    /// Whether it makes browsers forget the cookie, at `now` in seconds since 1970.
    pub fn deletes(&self, now: i64) -> bool {
        self.seconds_left(now).is_some_and(|left| left <= 0)
    }

    /// How long it is kept from `now` on, in seconds; `None` until the browser ends.
    pub fn seconds_left(&self, now: i64) -> Option<i64> {
        match self.lifetime {
            Lifetime::Session => None,
            Lifetime::Seconds(seconds) => Some(seconds),
            Lifetime::Until(moment) => Some(moment.saturating_sub(now)),
        }
    }
}

/// Name and value around the first `=`, without the white space around them.
fn pair(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match part.iter().position(|byte| *byte == b'=') {
        Some(equals) => (trim(&part[..equals]), Some(trim(&part[equals + 1..]))),
        None => (trim(part), None),
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn same_site(value: &[u8]) -> Option<SameSite> {
    [SameSite::Lax, SameSite::None, SameSite::Strict]
        .into_iter()
        .find(|word| value.eq_ignore_ascii_case(word.as_str().as_bytes()))
}

/// A whole number; one that is too large for us is very large.
fn seconds(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let least = if value.starts_with(b"-") {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(text.parse().unwrap_or(least))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn read(line: &str) -> SetCookie<'_> {
        SetCookie::read(line.as_bytes()).expect("a cookie")
    }

    #[test]
    fn attributes_are_read_in_any_case_and_order_and_the_last_one_counts() {
        let cookie = read(
            "sess = a=b ; PATH=/x; HTTPONLY; domain=.Example.com;samesite=lax; secure=0; path=/; \
             Expires=Wed, 18-Nov-2026 09:07:08 GMT; Version=1",
        );
        assert_eq!((cookie.name, cookie.value), (&b"sess"[..], &b"a=b"[..]));
        assert_eq!(cookie.domain, Some(&b"Example.com"[..]));
        assert_eq!(cookie.path, Some(&b"/"[..]));
        assert!(cookie.secure && cookie.http_only);
        assert_eq!(cookie.same_site, Some(SameSite::Lax));
        assert_eq!(cookie.lifetime, Lifetime::Until(1_794_992_828));
    }

    #[test]
    fn max_age_beats_expires() {
        let past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        let lifetime = |text: &str| read(text).lifetime;
        assert_eq!(
            lifetime(&format!("a=b; Max-Age=60; {past}")),
            Lifetime::Seconds(60)
        );
        assert_eq!(
            lifetime(&format!("a=b; {past}; Max-Age=-1")),
            Lifetime::Seconds(-1)
        );
        assert_eq!(
            lifetime(&format!("a=b; {past}; Max-Age=1h")),
            Lifetime::Until(0)
        );
        assert_eq!(
            lifetime("a=b; Max-Age=99999999999999999999"),
            Lifetime::Seconds(i64::MAX)
        );
        assert!(read(&format!("a=; {past}")).deletes(1));
        assert!(!read("a=; Expires=never").deletes(1));
    }

    #[test]
    fn an_attribute_without_a_use_is_not_there() {
        let cookie = read("a=b; Domain=; Path=x; SameSite=maybe; Max-Age=; Expires");
        assert_eq!(
            (cookie.domain, cookie.path, cookie.same_site),
            (None, None, None)
        );
        assert_eq!(cookie.lifetime, Lifetime::Session);
        assert_eq!(read("a=b; Domain=example.com; Domain=").domain, None);
        assert_eq!(read("a=b; Path=/x; Path=y").path, None);
    }

    #[test]
    fn what_browsers_ignore_is_none() {
        for line in ["", "a", "=b", " ; a=b", "a=b\u{1}", "a=b; Path=/\u{7f}"] {
            assert_eq!(SetCookie::read(line.as_bytes()), None, "{line:?}");
        }
        let long = format!("a={}", "b".repeat(4096));
        assert_eq!(SetCookie::read(long.as_bytes()), None);
        assert!(SetCookie::read(&long.as_bytes()[..4096]).is_some());
    }

    proptest! {
        #[test]
        fn a_line_says_the_same_to_another_reader(
            name in "[a-zA-Z0-9_]{1,8}",
            value in "[a-zA-Z0-9=_]{0,8}",
            attributes in prop::collection::vec(
                "Secure|HttpOnly|Path=/[a-z]{0,4}|Domain=\\.?[a-z]{1,4}\\.com|SameSite=(Lax|None|Strict)|Max-Age=[0-9]{1,6}",
                0..6,
            ),
        ) {
            let line = format!("{name}={value}; {}", attributes.join("; "));
            let ours = read(&line);
            let theirs = cookie::Cookie::parse(line.as_str()).unwrap();
            prop_assert_eq!(ours.name, theirs.name().as_bytes());
            prop_assert_eq!(ours.value, theirs.value().as_bytes());
            prop_assert_eq!(ours.domain, theirs.domain().map(str::as_bytes));
            prop_assert_eq!(ours.path, theirs.path().map(str::as_bytes));
            prop_assert_eq!(ours.secure, theirs.secure().unwrap_or(false));
            prop_assert_eq!(ours.http_only, theirs.http_only().unwrap_or(false));
            prop_assert_eq!(
                ours.same_site.map(SameSite::as_str).map(str::to_owned),
                theirs.same_site().map(|word| word.to_string())
            );
            let seconds = theirs.max_age().map(|age| age.whole_seconds());
            prop_assert_eq!(ours.seconds_left(0), seconds);
        }

        #[test]
        fn any_bytes_are_read_without_panic(line: Vec<u8>) {
            SetCookie::read(&line);
        }
    }
}
