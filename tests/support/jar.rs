//! A browser's cookies for one host, as far as the tests need them (RFC 6265 section 5.3): replaced by name and
//! `Domain`, so that two of one name can stand beside each other; gone at `Max-Age=0`.

use cookie::Cookie;

use super::client::{Answer, Client, get};

/// The cookies of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    /// Name, `Domain` (empty for a cookie of the host alone), value.
    cookies: Vec<(String, String, String)>,
}

impl Jar {
    /// One that holds `name` already.
    pub(crate) fn holding(name: &str, value: &str) -> Self {
        Self {
            cookies: vec![(name.into(), String::new(), value.into())],
        }
    }

    /// Takes in a cookie of the host alone.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.cookies
            .push((name.into(), String::new(), value.into()));
    }

    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.cookies
            .iter()
            .find(|(own, ..)| own == name)
            .map(|(.., value)| value.as_str())
    }

    /// How many cookies are called `name`.
    pub(crate) fn count(&self, name: &str) -> usize {
        let named = self.cookies.iter().filter(|(own, ..)| own == name);
        named.count()
    }

    /// A GET with these cookies; the answer's cookies are taken in.
    #[track_caller]
    pub(crate) fn visit(&mut self, client: &mut Client, path: &str) -> Answer {
        let answer = client.call(get(path, &self.line()));
        self.take(&answer);
        answer
    }

    /// The header line, empty without cookies.
    pub(crate) fn line(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, _, value)| format!("{name}={value}"))
            .collect();
        format!("Cookie: {}\r\n", pairs.join("; "))
    }

    /// Takes in what `answer` sets.
    pub(crate) fn take(&mut self, answer: &Answer) {
        for line in answer.head.all("set-cookie") {
            let cookie = Cookie::parse(line).expect("a Set-Cookie line that browsers read");
            let domain = cookie.domain().unwrap_or_default().to_ascii_lowercase();
            self.cookies
                .retain(|(name, own, _)| name != cookie.name() || *own != domain);
            if cookie.max_age().is_none_or(|age| age.is_positive()) {
                self.cookies
                    .push((cookie.name().into(), domain, cookie.value().into()));
            }
        }
    }
}
