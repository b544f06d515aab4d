//! Reading the `Cookie` header over its bytes, and taking one cookie out of it.
//!
//! Pairs are separated by `;` alone, as RFC 6265 section 5.4 sends them; quotes mean nothing. Values are never decoded.

pub mod rules;

use std::iter;

use http::header::COOKIE;
use memchr::memchr;

use crate::facts::Fields;

/// Name and value of each cookie of one header line, in order, without the spaces around them. What has no `=` has no name and is left out.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    parts(line).filter_map(pair)
}

/// Shows `visit` the value of each cookie called `name`, in order over all lines, until it answers true; says whether it did.
pub fn any(fields: &dyn Fields, name: &str, mut visit: impl FnMut(&[u8]) -> bool) -> bool {
    fields.any(&COOKIE, &mut |line| {
        parts(line)
            .filter_map(|part| value(part, name))
            .any(&mut visit)
    })
}

/// The first name that a client sends more than once in the `Cookie` lines of a request; of many cookies, 64 are compared.
pub fn sent_twice<'a, I>(lines: impl Fn() -> I) -> Option<&'a [u8]>
where
    I: Iterator<Item = &'a [u8]>,
{
    const MOST: usize = 64;
    let is_alone = |line: &[u8]| memchr(b';', line).is_none();
    let mut all = lines();
    if all.next().is_none_or(is_alone) && all.next().is_none() {
        return None;
    }
    let names = || {
        let names = lines().flat_map(pairs).map(|(name, _)| name);
        names.filter(|name| !name.is_empty()).take(MOST)
    };
    // A bit for each length and first letter: most requests have no two cookies that share one.
    let mut seen = 0_u64;
    for (position, name) in names().enumerate() {
        let bit = 1_u64 << ((name.len() + 7 * usize::from(name[0])) % 64);
        if seen & bit != 0 && names().take(position).any(|other| other == name) {
            return Some(name);
        }
        seen |= bit;
    }
    None
}

/// The line without the cookies called `name`, all others byte for byte; empty when nothing is left of it.
/// `None` when there is none to take out.
pub fn without(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut parts = parts(line);
    let mut start = 0;
    loop {
        let part = parts.next()?;
        if value(part, name).is_some() {
            break;
        }
        start += part.len() + 1;
    }
    // What stands in front of the first of ours stays as it is, without its last `;`.
    let mut kept = Vec::with_capacity(line.len());
    kept.extend_from_slice(line[..start.saturating_sub(1)].trim_ascii_start());
    let mut is_first = start == 0;
    for part in parts.filter(|part| value(part, name).is_none()) {
        if is_first {
            // What follows a cookie taken out of the front must not begin with the space that stood between them.
            kept.extend_from_slice(part.trim_ascii_start());
        } else {
            kept.push(b';');
            kept.extend_from_slice(part);
        }
        is_first = false;
    }
    if kept.iter().all(|byte| matches!(byte, b';' | b' ' | b'\t')) {
        kept.clear();
    }
    Some(kept)
}

/// What stands between the `;` of `line`.
fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    iter::from_fn(move || {
        let line = rest?;
        let end = memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

/// The value of `part` when it is the cookie called `name`, without going through the others' names.
fn value<'a>(part: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = part.trim_ascii_start().strip_prefix(name.as_bytes())?;
    let value = rest.trim_ascii_start().strip_prefix(b"=")?;
    Some(value.trim_ascii())
}

fn pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr(b'=', part)?;
    Some((part[..equals].trim_ascii(), part[equals + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expect: Option<&str>) {
        let left = without(line.as_bytes(), "kanaria");
        let left = left.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(left.as_deref(), expect, "{line}");
    }

    #[test]
    fn taking_our_cookie_out_leaves_the_others_byte_for_byte() {
        check("", None);
        check("a=b", None);
        check("kanaria", None);
        check("xkanaria=1; kanaria2=2; Kanaria=3", None);
        check("a=kanaria=1", None);
        check("kanaria=1", Some(""));
        check("kanaria=1;", Some(""));
        check("kanaria=1; kanaria=2", Some(""));
        check("kanaria=1; a=b", Some("a=b"));
        check("a=b; kanaria=1", Some("a=b"));
        check("a=b; kanaria=1;", Some("a=b;"));
        check("a=b; kanaria=1; c=d", Some("a=b; c=d"));
        check("a=b;kanaria=1;c=d", Some("a=b;c=d"));
        check(
            "a=b;  c = \"d;kanaria = 1 ; e\"",
            Some("a=b;  c = \"d; e\""),
        );
        check("kanaria=1; a=b; a=b; kanaria=2;; =c", Some("a=b; a=b;; =c"));
    }

    #[test]
    fn a_name_that_is_sent_twice_is_seen() {
        let check = |lines: &[&str], expected: Option<&str>| {
            let lines = || lines.iter().map(|line| line.as_bytes());
            let name = sent_twice(lines).map(|name| std::str::from_utf8(name).unwrap());
            assert_eq!(name, expected);
        };
        check(&[], None);
        check(&["a=1"], None);
        check(&["a=1; b=2; ab=3; A=4; a"], None);
        check(&["a=1; b=2; b =3; a=4"], Some("b"));
        check(&["sess=1", "sess=2"], Some("sess"));
        check(&["sess=1; x=2", "y=3;sess=4"], Some("sess"));
        check(&["=1; =2;;"], None);
        let many: Vec<_> = (0..100).map(|n| format!("c{n}=1")).collect();
        check(&[&many.join("; ")], None);
    }

    proptest! {
        #[test]
        fn all_other_cookies_stay_in_order(
            parts in prop::collection::vec("(kanaria|a|b)[ ]?=[ -:<-~]{0,4}", 0..8),
        ) {
            let line = parts.join("; ");
            let left = without(line.as_bytes(), "kanaria").unwrap_or_else(|| line.clone().into());
            let others = |line: &[u8]| -> Vec<_> {
                pairs(line)
                    .filter(|(name, _)| name != b"kanaria")
                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                    .collect()
            };
            prop_assert_eq!(others(&left), others(line.as_bytes()));
            prop_assert_eq!(without(&left, "kanaria"), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(line: Vec<u8>) {
            pairs(&line).count();
            without(&line, "kanaria");
        }
    }
}
