//! Caps of one file and of the next, on a clock of the test's own.

use std::time::Duration;

use config::ids::{PoolId, RouteId};
use config::snapshot::Structure;
use serde_json::json;

use super::*;
use crate::control::fixture::compiled;

/// A route `web` of stable `ec2` with the canaries `ecs` and `eks`, under `cap`.
fn structure(cap: &serde_json::Value) -> Structure {
    compiled(&json!({
        "version": 1,
        "pools": { "ec2": { "targets": ["127.0.0.1:1"] }, "ecs": { "targets": ["127.0.0.1:2"] }, "eks": { "targets": ["127.0.0.1:3"] } },
        "routes": [
            { "name": "other", "stable": "ec2" },
            { "name": "web", "stable": "ec2", "weights": { "ecs": 1, "ec2": 1, "eks": 0 }, "cap": cap },
        ],
    }))
}

const WEB: RouteId = RouteId(1);
const ECS: PoolId = PoolId(1);

fn cap_of(caps: &Caps, cap: &serde_json::Value) -> Arc<Cap> {
    caps.align(&structure(cap));
    Arc::clone(caps.current().cap(WEB, ECS).unwrap())
}

#[test]
fn each_canary_has_its_own_and_stable_has_none() {
    let caps = Caps::default();
    caps.align(&structure(&json!({ "max_rps": 2 })));
    let board = caps.current();
    let named: Vec<_> = board.of(WEB).iter().map(|(pool, _)| pool.0).collect();
    assert_eq!(named, [1, 2]);
    assert!(board.cap(WEB, PoolId(0)).is_none());
    assert!(board.of(RouteId(0)).is_empty());
    let now = Instant::now();
    let _all = [(); 2].map(|()| board.cap(WEB, ECS).unwrap().enter(now).unwrap());
    assert!(board.cap(WEB, ECS).unwrap().enter(now).is_none());
    assert!(board.cap(WEB, PoolId(2)).unwrap().enter(now).is_some());
}

#[test]
fn a_place_is_free_again_when_its_request_ends() {
    let cap = cap_of(&Caps::default(), &json!({ "max_concurrent": 2 }));
    let now = Instant::now();
    let first = cap.enter(now).unwrap();
    let _second = cap.enter(now).unwrap();
    assert!(cap.enter(now).is_none());
    assert_eq!((cap.in_flight(), cap.tokens(now)), (2, None));
    drop(first);
    assert!(cap.enter(now).is_some());
}

#[test]
fn a_refusal_costs_nothing() {
    let cap = cap_of(
        &Caps::default(),
        &json!({ "max_rps": 5, "max_concurrent": 1 }),
    );
    let now = Instant::now();
    let held = cap.enter(now).unwrap();
    assert!((0..10).all(|_| cap.enter(now).is_none()));
    assert_eq!((cap.in_flight(), cap.tokens(now)), (1, Some(4)));
    drop(held);
    assert_eq!(cap.in_flight(), 0);
}

#[test]
fn further_tries_take_tokens_too() {
    let cap = cap_of(&Caps::default(), &json!({ "max_rps": 2 }));
    let now = Instant::now();
    let _held = cap.enter(now).unwrap();
    assert!(cap.again(now));
    assert!(!cap.again(now));
    assert!(cap.again(now + Duration::from_millis(500)));
}

#[test]
fn a_reload_refills_nothing() {
    let caps = Caps::default();
    let before = cap_of(&caps, &json!({ "max_rps": 4, "max_concurrent": 9 }));
    let now = Instant::now();
    let held = [(); 4].map(|()| before.enter(now).unwrap());
    let after = cap_of(&caps, &json!({ "max_rps": 100, "max_concurrent": 9 }));
    assert_eq!((after.in_flight(), after.tokens(now)), (4, Some(0)));
    drop(held);
    assert_eq!(after.in_flight(), 0);
    assert_eq!(after.tokens(now + Duration::from_millis(250)), Some(25));
}
