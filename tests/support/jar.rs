//! A browser's cookies, as far as the tests need them: name and value, replaced by name, gone at `Max-Age=0`.

use cookie::Cookie;

use super::client::{Answer, Client, get};

/// The cookies of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<(String, String)>,
}

impl Jar {
    /// One that holds `name` already.
    pub(crate) fn holding(name: &str, value: &str) -> Self {
        Self {
            cookies: vec![(name.into(), value.into())],
        }
    }

    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.cookies
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
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
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("Cookie: {}\r\n", pairs.join("; "))
    }

    /// Takes in what `answer` sets.
    pub(crate) fn take(&mut self, answer: &Answer) {
        for line in answer.head.all("set-cookie") {
            let cookie = Cookie::parse(line).expect("a Set-Cookie line that browsers read");
            self.cookies.retain(|(name, _)| name != cookie.name());
            if cookie.max_age().is_none_or(|age| age.is_positive()) {
                self.cookies
                    .push((cookie.name().into(), cookie.value().into()));
            }
        }
    }
}
