//! Signed values of flags, through decisions.

use super::*;
use crate::testing::{Sent, snapshot};

#[test]
fn a_signed_value_counts_for_its_flag_until_it_expires() {
    let snapshot = snapshot(
        "[[routes]]\nname = 'a'\nmatch = { path = '/a' }\nstable = 'ec2'\nflags = [{ name = 'f', cookie = 'k', signed = true, pool = 'ecs' }, { name = 'g', cookie = 'k', signed = true, pool = 'eks' }]\n\
         [[routes]]\nname = 'b'\nstable = 'ec2'\nflags = [{ name = 'f', header = 'X-F', signed = true, pool = 'ecs' }]\n",
    );
    let flag = |route: &str, n: usize| {
        &snapshot
            .structure
            .route_named(route)
            .unwrap()
            .forward()
            .unwrap()
            .flags[n]
    };
    let found = |request: &str, now: u64| {
        let sent = Sent::read(request);
        let facts = Facts {
            now,
            ..sent.facts()
        };
        let choice = snapshot.decide(&facts).choice.unwrap();
        (choice.flag.map(|id| id.0), choice.expired.map(|id| id.0))
    };
    let value = snapshot.flag_value(flag("a", 0), 1_000).unwrap();
    let (expiry, signature) = value.split_once('.').unwrap();
    let carried = |value: &str| format!("GET x/a\ncookie: k={value}");
    assert_eq!(found(&carried(&value), 999), (Some(0), None));
    assert_eq!(found(&carried(&value), 1_000), (None, Some(0)));
    let other = snapshot.flag_value(flag("a", 1), 1_000).unwrap();
    assert_eq!(found(&carried(&other), 999), (Some(1), None));
    assert_eq!(found(&carried(&other), 2_000), (None, Some(1)));
    for wrong in [
        "",
        ".",
        "on",
        expiry,
        signature,
        &format!("ffffff.{signature}"),
        &format!("{expiry}.{signature}x"),
    ] {
        assert_eq!(found(&carried(wrong), 0), (None, None), "{wrong}");
    }
    // What counts in one route is nothing in another, and what a header carries cannot be cleared.
    assert_eq!(found(&format!("GET x/b\nx-f: {value}"), 0), (None, None));
    let value = snapshot.flag_value(flag("b", 0), 1_000).unwrap();
    assert_eq!(found(&format!("GET x/b\nx-f: {value}"), 0), (Some(0), None));
    assert_eq!(
        found(&format!("GET x/b\nx-f: {value}"), 1_000),
        (None, None)
    );
}
