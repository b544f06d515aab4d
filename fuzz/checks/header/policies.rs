//! What policies make of any field values that a head may have.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::model::ForwardedMode;
use config::units::Cidr;
use http::HeaderValue;
use router::forwarded::{self, Change};
use router::stamp::{Freshness, is_shared};
use router::{identify, request_id};

use super::{Field, values};

/// Lets every policy read the fields it is for.
pub(super) fn check(fields: &[Field<'_>]) {
    let lines = |name: &str| -> Vec<&[u8]> {
        values(fields, name)
            .filter(|value| HeaderValue::from_bytes(value).is_ok())
            .collect()
    };
    clients(&lines("x-forwarded-for"));
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        told(&lines(name));
    }
    shared(&lines("cache-control"), lines("expires").first().copied());
    lines("x-request-id").into_iter().for_each(kept_id);
    lines("x-amzn-trace-id").into_iter().for_each(traced);
}

/// When the checks take place, in seconds since 1970.
const SECONDS: u64 = 1_800_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(SECONDS)
}

/// A peer that nobody trusts is the client, and what a client puts in front of a list never changes who it is.
fn clients(lines: &[&[u8]]) {
    let trusted: Vec<Cidr> = ["10.0.0.0/8", "::1", "fd00::/8"]
        .iter()
        .map(|net| net.parse().expect("a network"))
        .collect();
    let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let client = |peer, lines: &[&[u8]]| identify::client(peer, &trusted, lines.iter().copied());
    let (near, far) = (address("10.0.0.1"), address("203.0.113.9"));
    assert_eq!(client(far, lines), far);
    let found = client(near, lines);
    assert_eq!(client(near, &[&lines.join(&b", "[..])]), found);
    let longer = client(near, &[&[&b"198.51.100.77"[..]], lines].concat());
    assert!(longer == found || identify::is_trusted(found, &trusted));
    let nearer = client(near, &[lines, &[b"10.9.9.9"]].concat());
    assert!(nearer == found || (found == near && nearer == address("10.9.9.9")));
}

/// Whatever is told to a target can be told: it is a field value, and our own word is its last.
fn told(lines: &[&[u8]]) {
    let modes = [
        ForwardedMode::Append,
        ForwardedMode::Preserve,
        ForwardedMode::Remove,
        ForwardedMode::Set,
    ];
    for (mode, trusted) in modes
        .iter()
        .flat_map(|mode| [(*mode, false), (*mode, true)])
    {
        let given = || lines.iter().copied();
        for change in [
            forwarded::client(mode, trusted, given(), b"own"),
            forwarded::told(mode, trusted, given(), b"own"),
        ] {
            if let Change::List(list) = change {
                assert!(list.ends_with(b"own"));
                assert!(HeaderValue::from_bytes(&list).is_ok());
            }
        }
    }
}

/// Two lines are one list, `private` and `no-store` beat everything, and `public` takes nothing away.
fn shared(lines: &[&[u8]], expires: Option<&[u8]>) {
    let asked = |lines: Vec<&[u8]>, surrogate| {
        let freshness = Freshness {
            cache_control: lines,
            expires,
            surrogate,
        };
        is_shared(&freshness, now())
    };
    let answer = asked(lines.to_vec(), false);
    let apart = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','));
    assert_eq!(asked(apart.collect(), false), answer);
    for word in ["private", "no-store"] {
        assert!(!asked([lines, &[word.as_bytes()]].concat(), true));
    }
    let marked = asked([lines, &[b"public"]].concat(), false);
    assert!(marked || !answer);
    assert_eq!(asked(lines.to_vec(), true), marked);
}

/// An id that is kept needs no quoting anywhere.
fn kept_id(id: &[u8]) {
    if request_id::is_valid(id) {
        let text = std::str::from_utf8(id).expect("a valid id is ASCII");
        let quoted = serde_json::to_string(text).expect("a text is JSON");
        assert_eq!(quoted, format!("\"{text}\""));
        assert!((1..=128).contains(&text.len()) && !text.contains([' ', ',', ';']));
    }
}

/// A trace always has a root for the log; one that came with a root keeps its other fields.
fn traced(given: &[u8]) {
    let value = HeaderValue::from_bytes(given).ok();
    let Some(given) = value.as_ref().and_then(|value| value.to_str().ok()) else {
        return;
    };
    let names = request_id::Names::new(None, value.as_ref(), SECONDS);
    let trace = names.trace.to_str().expect("a trace is ASCII");
    let root = request_id::root(trace.as_bytes()).expect("every trace has a root");
    assert!(root.starts_with(b"1-"));
    if trace.starts_with("Self=") {
        assert_eq!(request_id::root(given.as_bytes()), Some(root));
        let given = given.split(';').map(str::trim);
        let given = given.filter(|field| !field.is_empty() && !field.starts_with("Self="));
        assert!(trace.split(';').skip(1).eq(given));
    }
}
