//! A browser's cookies: what it takes from answers, and what it sends (RFC 6265bis sections 5.7 and 5.8).

use crate::read::SetCookie;
use crate::scope::{
    Ignored, Origin, default_path, domain_match, is_trustworthy, its_domain, path_match,
};

/// The cookies of one client.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    /// In the order of their creation.
    cookies: Vec<Cookie>,
}

/// A cookie that a client keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The domain it is for, or the host.
    pub domain: String,
    /// Whether it is for that host alone.
    pub host_only: bool,
    /// The path it is for.
    pub path: String,
    /// Whether it is sent over https alone.
    pub secure: bool,
    /// When it ends, in seconds since 1970; `None` with the browser.
    pub expires: Option<i64>,
}

impl Cookie {
    /// Whether both are one cookie to a browser, so that the later replaces the earlier.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.host_only == other.host_only
            && self.path == other.path
    }

    fn is_for(&self, origin: &Origin<'_>) -> bool {
        let is_domain = if self.host_only {
            self.domain.eq_ignore_ascii_case(origin.host)
        } else {
            domain_match(origin.host, self.domain.as_bytes())
        };
        let is_safe = !self.secure || is_trustworthy(origin);
        is_domain && path_match(origin.path, &self.path) && is_safe
    }
}

impl Jar {
    /// Takes in a `Set-Cookie` line of an answer to a request to `origin`, at `now` in seconds since 1970.
    ///
    /// A line whose form browsers ignore is ignored in silence.
    ///
    /// # Errors
    /// Why a browser does not take it.
    pub fn take(&mut self, line: &[u8], origin: &Origin<'_>, now: i64) -> Result<(), Ignored> {
        let Some(read) = SetCookie::read(line) else {
            return Ok(());
        };
        if let Some(why) = Ignored::of(&read, origin) {
            return Err(why);
        }
        let cookie = cookie(&read, origin, now);
        if !is_trustworthy(origin) && self.is_shielded(&cookie) {
            return Err(Ignored::Shielded);
        }
        let place = self.cookies.iter().position(|known| known.is(&cookie));
        match (place, read.deletes(now)) {
            (Some(place), true) => drop(self.cookies.remove(place)),
            (None, true) => {}
            // It keeps its place, which is that of its creation.
            (Some(place), false) => self.cookies[place] = cookie,
            (None, false) => self.cookies.push(cookie),
        }
        Ok(())
    }

    /// Whether a secure cookie of the name would be sent where `cookie` is: clear text must not stand in front of it.
    fn is_shielded(&self, cookie: &Cookie) -> bool {
        let overlaps = |known: &Cookie| {
            domain_match(&known.domain, cookie.domain.as_bytes())
                || domain_match(&cookie.domain, known.domain.as_bytes())
        };
        self.cookies.iter().any(|known| {
            known.secure
                && known.name == cookie.name
                && overlaps(known)
                && path_match(&cookie.path, &known.path)
        })
    }

    /// The cookies for a request to `origin` at `now`, in the order in which they are sent: longer paths first, then the older ones.
    pub fn send(&self, origin: &Origin<'_>, now: i64) -> Vec<&Cookie> {
        let sent = self.cookies.iter();
        let sent = sent.filter(|cookie| cookie.expires.is_none_or(|end| end > now));
        let mut sent: Vec<_> = sent.filter(|cookie| cookie.is_for(origin)).collect();
        // Stable: among equals the order of creation stays.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        sent
    }

    /// All cookies that are kept, in the order of their creation.
    pub fn cookies(&self) -> &[Cookie] {
        &self.cookies
    }
}

fn cookie(read: &SetCookie<'_>, origin: &Origin<'_>, now: i64) -> Cookie {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let domain = its_domain(read, origin).map(text);
    Cookie {
        name: text(read.name),
        value: text(read.value),
        host_only: domain.is_none(),
        domain: domain
            .unwrap_or_else(|| origin.host.to_owned())
            .to_ascii_lowercase(),
        path: read
            .path
            .map_or_else(|| default_path(origin.path).to_owned(), text),
        secure: read.secure,
        expires: read.seconds_left(now).map(|left| now.saturating_add(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WWW: Origin<'_> = Origin {
        host: "www.example.com",
        path: "/a/b",
        secure: false,
    };

    fn jar(lines: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for line in lines {
            jar.take(line.as_bytes(), &WWW, 0)
                .expect("a browser takes it");
        }
        jar
    }

    #[track_caller]
    fn check(lines: &[&str], origin: Origin<'_>, now: i64, expected: &str) {
        let jar = jar(lines);
        let sent = jar.send(&origin, now).into_iter();
        let sent: Vec<_> = sent.map(|it| format!("{}={}", it.name, it.value)).collect();
        assert_eq!(sent.join("; "), expected, "{lines:?}");
    }

    #[test]
    fn one_name_with_and_without_a_domain_is_two_cookies() {
        let both = ["sess=old; Domain=example.com; Path=/", "sess=new; Path=/"];
        check(&both, WWW, 0, "sess=old; sess=new");
        let host_only = "sess=; Path=/; Max-Age=0";
        check(&[both[0], both[1], host_only], WWW, 0, "sess=old");
        let of_the_domain = "sess=; Domain=example.com; Path=/; Max-Age=0";
        check(&[both[0], both[1], of_the_domain], WWW, 0, "sess=new");
        // Domain with the host itself is still another one than none.
        check(
            &["sess=1; Path=/", "sess=2; Path=/; Domain=www.example.com"],
            WWW,
            0,
            "sess=1; sess=2",
        );
    }

    #[test]
    fn the_own_machine_is_one_host_and_as_good_as_https() {
        let own = Origin {
            host: "localhost",
            ..WWW
        };
        let mut jar = Jar::default();
        for line in ["sess=1; Secure; Domain=localhost; Path=/", "sess=2; Path=/"] {
            assert_eq!(jar.take(line.as_bytes(), &own, 0), Ok(()), "{line}");
        }
        jar.take(b"a=1; Secure; Path=/", &own, 0).unwrap();
        let sent: Vec<_> = jar.send(&own, 0).iter().map(|it| &*it.value).collect();
        assert_eq!(sent, ["2", "1"]);
    }

    #[test]
    fn a_cookie_is_replaced_in_its_place() {
        check(
            &["a=1; Path=/", "b=1; Path=/", "a=2; Path=/"],
            WWW,
            0,
            "a=2; b=1",
        );
    }

    #[test]
    fn longer_paths_are_sent_first() {
        check(
            &["a=1; Path=/", "a=2; Path=/a/b", "a=3"],
            WWW,
            0,
            "a=2; a=3; a=1",
        );
    }

    #[test]
    fn a_cookie_is_sent_where_it_belongs_and_as_long_as_it_lasts() {
        let lines = [
            "h=1; Path=/",
            "d=1; Path=/; Domain=example.com",
            "p=1; Path=/a",
            "t=1; Path=/; Max-Age=10",
        ];
        check(&lines, WWW, 9, "p=1; h=1; d=1; t=1");
        check(&lines, WWW, 10, "p=1; h=1; d=1");
        let other = Origin {
            host: "api.example.com",
            path: "/",
            ..WWW
        };
        check(&lines, other, 0, "d=1");
        let foreign = Origin {
            host: "example.org",
            ..WWW
        };
        check(&lines, foreign, 0, "");
    }

    #[test]
    fn clear_text_cannot_stand_in_front_of_a_secure_cookie() {
        let secure = Origin {
            secure: true,
            ..WWW
        };
        let mut jar = Jar::default();
        jar.take(b"sess=1; Secure; Domain=example.com; Path=/", &secure, 0)
            .unwrap();
        assert_eq!(jar.take(b"sess=2; Path=/", &WWW, 0), Err(Ignored::Shielded));
        assert_eq!(jar.take(b"sess=2; Path=/", &secure, 0), Ok(()));
        assert_eq!(jar.cookies().len(), 2);
        assert_eq!(jar.send(&WWW, 0).len(), 1);
    }
}
