//! From the host of a request to its partition, whatever the number of hosts.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::{HeaderName, HeaderValue};

use crate::facts::Facts;
use crate::ids::PartitionId;

/// The longest host that is looked up: longer than any DNS name (RFC 1035 section 2.3.4), short enough for the stack.
const MAX_HOST: usize = 255;

/// Named groups of hosts.
#[derive(Debug)]
pub(crate) struct Partitions {
    pub(crate) header: HeaderName,
    /// By `PartitionId`; the first is the default.
    pub(crate) names: Vec<(Arc<str>, HeaderValue)>,
    pub(crate) by_name: HashMap<Arc<str>, PartitionId>,
    pub(crate) hosts: Domains<PartitionId>,
}

impl Partitions {
    /// The partition of a request: what a trusted peer says, when we know it; else by its host, normalized.
    pub(crate) fn of(&self, facts: &Facts<'_>, host: &str) -> PartitionId {
        self.told(facts).unwrap_or_else(|| self.of_host(host))
    }

    /// The partition a trusted peer names.
    pub(crate) fn told(&self, facts: &Facts<'_>) -> Option<PartitionId> {
        if !facts.trusted {
            return None;
        }
        let mut told = None;
        facts.fields.any(&self.header, &mut |value| {
            told = std::str::from_utf8(value)
                .ok()
                .and_then(|name| self.named(name));
            told.is_some()
        });
        told
    }

    /// The partition of a normalized host: exact beats the longest suffix beats the default.
    pub(crate) fn of_host(&self, host: &str) -> PartitionId {
        let found = self.hosts.exact(host);
        let found = found.or_else(|| self.hosts.suffixes(host).next());
        found.copied().unwrap_or(PartitionId(0))
    }

    /// The entry of the file that names a normalized host.
    pub(crate) fn entry(&self, host: &str) -> Option<String> {
        if self.hosts.exact(host).is_some() {
            return Some(host.to_owned());
        }
        self.hosts.suffix(host).map(|suffix| format!("*.{suffix}"))
    }

    /// A host of the partition called `name`, the first by name; `None` when no host is.
    pub(crate) fn host_in(&self, name: &str) -> Option<String> {
        let wanted = self.named(name)?;
        self.hosts.example(|found| *found == wanted)
    }

    /// The partition called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<PartitionId> {
        self.by_name.get(name).copied()
    }
}

/// Values by exact host and by `*.suffix`, found by hashing, never by going through them.
///
/// What a client sends is looked up, never put in, so the hash need not withstand it; a fast one saves a tenth of a
/// decision (`benches/decide`).
#[derive(Debug)]
pub(crate) struct Domains<T> {
    exact: HashMap<Box<str>, T, FixedState>,
    suffixes: HashMap<Box<str>, T, FixedState>,
    /// Lengths of the shortest and the longest suffix: others are not worth a hash.
    lengths: RangeInclusive<usize>,
}

impl<T> Default for Domains<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            suffixes: HashMap::default(),
            // Empty: no length is worth a hash.
            lengths: RangeInclusive::new(usize::MAX, 0),
        }
    }
}

impl<T> Domains<T> {
    pub(crate) fn exact_mut(&mut self, host: &str, absent: impl FnOnce() -> T) -> &mut T {
        self.exact.entry(host.into()).or_insert_with(absent)
    }

    pub(crate) fn suffix_mut(&mut self, suffix: &str, absent: impl FnOnce() -> T) -> &mut T {
        let shortest = suffix.len().min(*self.lengths.start());
        self.lengths = shortest..=suffix.len().max(*self.lengths.end());
        self.suffixes.entry(suffix.into()).or_insert_with(absent)
    }

    /// A host whose value `is_wanted`: the first by name, else one below the first suffix.
    pub(crate) fn example(&self, is_wanted: impl Fn(&T) -> bool) -> Option<String> {
        let first = |hosts: &HashMap<Box<str>, T, FixedState>| {
            let found = hosts.iter().filter(|(_, value)| is_wanted(value));
            found.map(|(host, _)| host.to_string()).min()
        };
        let below = || Some(format!("www.{}", first(&self.suffixes)?));
        first(&self.exact).or_else(below)
    }

    pub(crate) fn exact(&self, host: &str) -> Option<&T> {
        if self.exact.is_empty() {
            return None;
        }
        self.exact.get(host)
    }

    /// The longest `*.suffix` that `host` ends with.
    pub(crate) fn suffix<'a>(&self, host: &'a str) -> Option<&'a str> {
        let mut suffixes = self.worth_a_hash(host);
        suffixes.find(|suffix| self.suffixes.contains_key(*suffix))
    }

    /// Values of every `*.suffix` that `host` ends with, the longest first.
    pub(crate) fn suffixes<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a T> {
        self.worth_a_hash(host)
            .filter_map(|suffix| self.suffixes.get(suffix))
    }

    fn worth_a_hash<'a>(&self, host: &'a str) -> impl Iterator<Item = &'a str> {
        let dots = host.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
        dots.map(|(dot, _)| &host[dot + 1..])
            .filter(|suffix| self.lengths.contains(&suffix.len()))
    }
}

/// Room for the lower-case form of a host that was not sent in it.
pub(crate) type Room = [u8; MAX_HOST];

/// `host` without port and without one final dot, in lower case; borrowed when it is so already.
/// Control characters are left out, as everywhere in matching, and what is too long to be a DNS name counts as no host.
pub(crate) fn normalize<'a>(host: &'a str, room: &'a mut Room) -> &'a str {
    let host = without_port(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.len() > MAX_HOST {
        return "";
    }
    let is_normal = |byte: u8| !byte.is_ascii_uppercase() && !byte.is_ascii_control();
    if host.bytes().all(is_normal) {
        return host;
    }
    let mut length = 0;
    for byte in host.bytes().filter(|byte| !byte.is_ascii_control()) {
        room[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(&room[..length]).expect("no part of a multi-byte character is ASCII")
}

/// Whether `host` can be a key of `partitions.hosts`: a plain host, or `*.` and a plain host.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let plain = host.strip_prefix("*.").unwrap_or(host);
    if plain.contains(['*', '?']) {
        return Err(format!(
            "`{host}` is not a host or `*.` before a host; no other wildcard is allowed"
        ));
    }
    if plain.is_empty() {
        return Err(format!("`{host}` names no host"));
    }
    check_host_pattern(host)
}

/// Whether `text` can match a normalized host.
pub(crate) fn check_host_pattern(text: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*?".contains(&byte);
    if text.len() > MAX_HOST {
        return Err(format!("a host has at most {MAX_HOST} characters"));
    }
    if text.starts_with('[') {
        let literal = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let is_literal = literal.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        return match is_literal {
            true => Ok(()),
            false => Err(format!(
                "`{text}` is not an IPv6 address in brackets, without port"
            )),
        };
    }
    if text.contains(':') {
        return Err(format!(
            "`{text}` names a port; hosts are compared without it"
        ));
    }
    if text.ends_with('.') {
        return Err(format!(
            "`{text}` ends with a dot; hosts are compared without it"
        ));
    }
    match text.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` is not a host; allowed are letters, digits, `-`, `.`, `_`, `*` and `?`; other names in their `xn--` form"
        )),
    }
}

/// Read from the end, where most hosts need a look at one byte (`decide/cookie_by_host` of `benches/decide`).
fn without_port(host: &str) -> &str {
    let before_digits = host.trim_end_matches(|c: char| c.is_ascii_digit());
    let Some(name) = before_digits.strip_suffix(':') else {
        return host;
    };
    // The colons of an IPv6 literal stand in brackets (RFC 3986 section 3.2.2).
    let literal = name.rfind(']').map_or(0, |end| end + 1);
    if name[literal..].contains(':') {
        host
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_in_lower_case_without_port_and_final_dot() {
        #[track_caller]
        fn check(host: &str, expect: &str) {
            assert_eq!(normalize(host, &mut [0; MAX_HOST]), expect);
        }
        check("a.example", "a.example");
        check("A.Example:8080", "a.example");
        check("a.example.:80", "a.example");
        check("a.example..", "a.example.");
        check("a.example:", "a.example");
        check("a.example:http", "a.example:http");
        check("", "");
        check(".", "");
        check(":80", "");
        check("[::1]", "[::1]");
        check("[2001:DB8::1]:443", "[2001:db8::1]");
        check("127.0.0.1:1", "127.0.0.1");
        check("Bücher.Example", "bücher.example");
        check(&"A".repeat(255), &"a".repeat(255));
        check(&"A".repeat(256), "");
        check("a\t.Example", "a.example");
    }

    #[test]
    fn a_host_that_is_normal_already_is_borrowed() {
        let host = "a.example:80";
        let mut room = [0; MAX_HOST];
        assert_eq!(normalize(host, &mut room).as_ptr(), host.as_ptr());
    }

    fn domains() -> Domains<PartitionId> {
        let mut domains = Domains::default();
        domains.exact_mut("www.a.example", || PartitionId(1));
        domains.suffix_mut("a.example", || PartitionId(2));
        domains.suffix_mut("b.a.example", || PartitionId(3));
        domains
    }

    #[test]
    fn exact_beats_the_longest_suffix_beats_default() {
        let partitions = Partitions {
            header: HeaderName::from_static("x-partition"),
            names: Vec::new(),
            by_name: HashMap::new(),
            hosts: domains(),
        };
        for (host, expect) in [
            ("www.a.example", 1),
            ("x.a.example", 2),
            ("x.www.a.example", 2),
            ("b.a.example", 2),
            ("x.b.a.example", 3),
            ("x.y.z.b.a.example", 3),
            ("xb.a.example", 2),
            ("a.example", 0),
            ("xa.example", 0),
            ("a.example.org", 0),
            ("", 0),
            (".", 0),
            ("...", 0),
        ] {
            assert_eq!(partitions.of_host(host), PartitionId(expect), "{host}");
        }
    }

    #[test]
    fn a_million_random_subdomains_map_by_suffix() {
        let domains = domains();
        let mut state = 1u64;
        for _ in 0..1_000_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let host = format!("{:x}.b.a.example", state >> 24);
            assert_eq!(domains.suffixes(&host).next(), Some(&PartitionId(3)));
        }
    }
}
