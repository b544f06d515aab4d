//! Any bytes as `Cookie` lines: our cookie is found and taken out, all others stay byte for byte, a claim is total.
//!
//! The first line of the input is the cookie's name, each further one a line of the header.

use config::cookie;
use config::facts::Fields;
use config::id::{self, Claim};
use http::HeaderName;

/// Header lines as they are, also with bytes that no parser would let through.
struct Lines<'a>(Vec<&'a [u8]>);

impl Fields for Lines<'_> {
    fn any(&self, _name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|line| visit(line))
    }
}

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let name = lines.next().and_then(name).unwrap_or("kanaria");
    let lines = Lines(lines.collect());
    claims(&lines, name);
    for line in &lines.0 {
        one_is_taken_out(line, name);
    }
    let left: Vec<Vec<u8>> = lines.0.iter().map(|line| left(line, name)).collect();
    let left = Lines(left.iter().map(Vec::as_slice).collect());
    assert_eq!(id::claim(&left, name), Claim::Absent);
}

/// A name that a file may give our cookie.
fn name(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    (!text.is_empty() && text.chars().all(plain)).then_some(text)
}

/// The value of a part between two `;`, when it is a cookie called `name`.
fn value<'a>(part: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut halves = part.splitn(2, |byte| *byte == b'=');
    let ours = halves.next()?.trim_ascii() == name.as_bytes();
    let value = halves.next()?;
    ours.then(|| value.trim_ascii())
}

fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

fn left(line: &[u8], name: &str) -> Vec<u8> {
    cookie::without(line, name).unwrap_or_else(|| line.to_vec())
}

/// What 22 characters of the alphabet spell is an id when no bit of the last one is lost: 128 bits end within it.
fn is_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == 22 && text.iter().all(plain) && b"AQgw".contains(&text[21])
}

fn claims(lines: &Lines<'_>, name: &str) {
    let values = || {
        let parts = lines.0.iter().flat_map(|line| parts(line));
        parts.filter_map(|part| value(part, name))
    };
    let claim = id::claim(lines, name);
    match claim {
        Claim::Valid(found) => {
            let first = values().find(|value| is_id(value));
            assert_eq!(first, Some(&id::encode(&found)[..]));
        }
        Claim::Invalid => assert!(values().count() > 0 && !values().any(is_id)),
        Claim::Absent => assert_eq!(values().count(), 0),
    }
    let mut seen = Vec::new();
    assert!(!cookie::any(lines, name, |value| {
        seen.push(value.to_vec());
        false
    }));
    assert!(values().eq(seen.iter().map(Vec::as_slice)));
    one_more_is_heard(lines, name, claim);
}

/// A valid id behind all others decides only when no other did.
fn one_more_is_heard(lines: &Lines<'_>, name: &str, claim: Claim) {
    let id = std::array::from_fn(|n| lines.0.get(n).map_or(n as u8, |line| line.len() as u8));
    let text = id::encode(&id);
    let more = [name.as_bytes(), b"=", &text].concat();
    let longer = Lines([&lines.0[..], &[&more]].concat());
    let expected = match claim {
        Claim::Valid(_) => claim,
        Claim::Absent | Claim::Invalid => Claim::Valid(id),
    };
    assert_eq!(id::claim(&longer, name), expected);
}

fn one_is_taken_out(line: &[u8], name: &str) {
    let others: Vec<&[u8]> = parts(line)
        .filter(|part| value(part, name).is_none())
        .collect();
    let Some(kept) = cookie::without(line, name) else {
        assert_eq!(others.len(), parts(line).count());
        return;
    };
    assert!(others.len() < parts(line).count());
    assert_eq!(cookie::without(&kept, name), None);
    let blank = |part: &&[u8]| part.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    if others.iter().all(blank) || others.iter().all(|part| part.trim_ascii().is_empty()) {
        // Nothing was left that a server could read.
        assert_eq!(
            parts(&kept).find(|part| !part.trim_ascii().is_empty()),
            None
        );
        return;
    }
    let mut expected = others;
    expected[0] = expected[0].trim_ascii_start();
    assert!(parts(&kept).eq(expected));
    assert!(
        cookie::pairs(&kept).eq(cookie::pairs(line).filter(|(found, _)| *found != name.as_bytes()))
    );
}
