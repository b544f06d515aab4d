//! The way of a request through two pools, on a clock of the test's own.

use serde_json::{Value, json};

use super::*;
use crate::cap::Caps;
use crate::control::fixture::compiled;
use crate::pool::{Failure, Pools};

const EC2: PoolId = PoolId(0);
const ECS: PoolId = PoolId(1);

/// Pools `ec2` and `ecs` with two targets each and keys of their own, and a route whose canary `ecs` has `cap`.
struct Site {
    pools: Arc<[Arc<Pool>]>,
    cap: Option<Arc<Cap>>,
    failover: Failover,
    now: Instant,
}

fn site(ec2: &Value, ecs: &Value, route: &Value) -> Site {
    let pool = |port: u16, keys: &Value| {
        let mut pool =
            json!({ "targets": [format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1)] });
        for (key, value) in keys.as_object().into_iter().flatten() {
            pool[key] = value.clone();
        }
        pool
    };
    let mut written = json!({ "name": "web", "stable": "ec2", "weights": { "ec2": 1, "ecs": 1 } });
    for (key, value) in route.as_object().into_iter().flatten() {
        written[key] = value.clone();
    }
    let structure = compiled(&json!({
        "version": 1,
        "pools": { "ec2": pool(3001, ec2), "ecs": pool(4001, ecs) },
        "routes": [written],
    }));
    let caps = Caps::default();
    caps.align(&structure);
    let cap = caps.current().cap(config::ids::RouteId(0), ECS).cloned();
    Site {
        pools: Pools::new().align(&structure),
        cap,
        failover: structure.routes[0].settings.failover,
        now: Instant::now(),
    }
}

impl Site {
    fn journey(&self, chosen: PoolId) -> Journey {
        let cap = self.cap.clone().filter(|_| chosen == ECS);
        Journey::new(chosen, EC2, self.failover, cap)
    }

    /// A request for `chosen` that goes on for as long as what is returned.
    fn go(&self, chosen: PoolId) -> (Journey, Result<Lease, Cause>) {
        let mut journey = self.journey(chosen);
        let lease = journey.next(&self.pools, self.now);
        (journey, lease)
    }

    /// No target of `pool` takes connections any more.
    fn kill(&self, pool: PoolId) {
        let pool = &self.pools[usize::from(pool.0)];
        while let Ok(lease) = pool.pick(&[], Instant::now()) {
            pool.failed(&lease, Failure::Refused);
        }
    }
}

fn seen(journey: &Journey) -> (u16, Option<&'static str>) {
    (journey.serving().0, journey.stood_in().map(Reason::as_str))
}

#[test]
fn what_is_over_the_cap_goes_to_stable() {
    for failover in ["stable", "none"] {
        let route = json!({ "cap": { "max_rps": 2 }, "failover": failover });
        let site = site(&json!({}), &json!({}), &route);
        let all: Vec<_> = (0..3).map(|_| site.go(ECS).0).collect();
        let expected = [(1, None), (1, None), (0, Some("cap"))];
        assert_eq!(all.iter().map(seen).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_place_is_given_back_when_stable_takes_over() {
    let site = site(
        &json!({}),
        &json!({}),
        &json!({ "cap": { "max_concurrent": 1 } }),
    );
    site.kill(ECS);
    let (first, lease) = site.go(ECS);
    assert_eq!(seen(&first), (0, Some("failover")));
    assert!(lease.is_ok());
    assert_eq!(site.cap.as_ref().unwrap().in_flight(), 0);
}

#[test]
fn a_further_try_over_the_cap_is_charged_to_the_canary_that_failed() {
    let site = site(&json!({}), &json!({}), &json!({ "cap": { "max_rps": 1 } }));
    let (mut journey, lease) = site.go(ECS);
    journey.connect_failed(lease.unwrap().address(), Cause::ConnectFailed);
    assert!(journey.next(&site.pools, site.now).is_ok());
    assert_eq!(seen(&journey), (0, Some("failover")));
}

#[test]
fn a_full_canary_is_not_charged() {
    let full = json!({ "max_requests": 1 });
    let site = site(&json!({}), &full, &json!({}));
    let held = site.go(ECS);
    let (second, lease) = site.go(ECS);
    assert_eq!(seen(&second), (0, Some("cap")));
    assert!(lease.is_ok());
    drop(held);
    assert_eq!(seen(&site.go(ECS).0), (1, None));
}

#[test]
fn a_full_pool_that_nobody_stands_in_for_refuses() {
    let full = json!({ "max_requests": 1 });
    let none = site(&json!({}), &full, &json!({ "failover": "none" }));
    let _held = none.go(ECS);
    assert_eq!(none.go(ECS).1.unwrap_err(), Cause::PoolFull);
    let stable = site(&full, &json!({}), &json!({ "cap": { "max_rps": 1 } }));
    let _held = stable.go(EC2);
    assert_eq!(stable.go(EC2).1.unwrap_err(), Cause::PoolFull);
    let _first = stable.go(ECS);
    let (over, lease) = stable.go(ECS);
    assert_eq!(lease.unwrap_err(), Cause::PoolFull);
    assert_eq!(seen(&over), (0, Some("cap")));
}

#[test]
fn a_canary_without_a_target_fails_over_unless_it_must_not() {
    let takes_over = site(&json!({}), &json!({}), &json!({}));
    takes_over.kill(ECS);
    assert_eq!(seen(&takes_over.go(ECS).0), (0, Some("failover")));
    let none = site(&json!({}), &json!({}), &json!({ "failover": "none" }));
    none.kill(ECS);
    assert_eq!(none.go(ECS).1.unwrap_err(), Cause::NoTarget);
}

#[test]
fn what_is_not_there_is_asked_of_the_next_pool_once() {
    let site = site(&json!({}), &json!({}), &json!({}));
    let order = [ECS, EC2];
    for (chosen, next) in [(EC2, ECS), (ECS, EC2)] {
        let (mut journey, _) = site.go(chosen);
        assert!(journey.fall_back(&order, &site.pools, site.now));
        assert_eq!(seen(&journey), (next.0, Some("fallback")));
        assert!(journey.next(&site.pools, site.now).is_ok());
        assert!(
            !journey.fall_back(&order, &site.pools, site.now),
            "all were asked"
        );
        assert_eq!(journey.switched_from(), Some(chosen));
    }
}

#[test]
fn a_pool_without_a_healthy_target_is_not_fallen_back_to_and_has_no_stand_in() {
    let site = site(&json!({}), &json!({}), &json!({}));
    let (mut journey, _) = site.go(EC2);
    assert!(journey.fall_back(&[ECS], &site.pools, site.now));
    site.kill(ECS);
    assert_eq!(
        journey.next(&site.pools, site.now).unwrap_err(),
        Cause::NoTarget
    );
    let (mut journey, _) = site.go(EC2);
    assert!(!journey.fall_back(&[ECS], &site.pools, site.now));
    assert_eq!(seen(&journey), (EC2.0, None));
}

/// The results of `journey`'s further tries.
fn results(journey: &mut Journey) -> Vec<(u16, Cause, Retried)> {
    let retries = journey.take_retries().into_iter();
    retries.map(|r| (r.pool.0, r.cause, r.result)).collect()
}

#[test]
fn a_connect_that_failed_is_tried_at_another_target_within_the_budget() {
    let budget = json!({ "retry_budget": { "percent": 0, "min_per_second": 0 } });
    for (keys, expected) in [(json!({}), Retried::Answered), (budget, Retried::Denied)] {
        let site = site(&keys, &json!({}), &json!({}));
        let (mut journey, lease) = site.go(EC2);
        let first = lease.unwrap().address();
        journey.connect_failed(first, Cause::ConnectTimeout);
        let second = journey.next(&site.pools, site.now);
        if expected == Retried::Denied {
            assert_eq!(second.unwrap_err(), Cause::ConnectTimeout);
        } else {
            assert_ne!(second.unwrap().address(), first);
            journey.answered();
        }
        let told = [(0, Cause::ConnectTimeout, expected)];
        assert_eq!(results(&mut journey), told);
    }
}

#[test]
fn failing_over_is_no_further_try() {
    let spent = json!({ "retry_budget": { "percent": 0, "min_per_second": 0 } });
    let site = site(&spent, &spent, &json!({}));
    let (mut journey, lease) = site.go(ECS);
    journey.connect_failed(lease.unwrap().address(), Cause::ConnectFailed);
    assert!(journey.next(&site.pools, site.now).is_ok());
    journey.answered();
    assert_eq!(seen(&journey), (0, Some("failover")));
    assert_eq!(
        results(&mut journey),
        [(1, Cause::ConnectFailed, Retried::Denied)]
    );
}

#[test]
fn a_connection_that_died_is_repeated_elsewhere_if_there_is_an_elsewhere() {
    let site = site(&json!({}), &json!({}), &json!({}));
    let (mut journey, lease) = site.go(EC2);
    let first = lease.unwrap().address();
    journey.broke(first, Cause::TargetClosed);
    assert_ne!(
        journey.next(&site.pools, site.now).unwrap().address(),
        first
    );
    let (mut journey, lease) = site.go(EC2);
    let lease = lease.unwrap();
    let other = lease.address();
    let second = site.pools[0].pick(&[other], site.now).unwrap();
    site.pools[0].failed(&second, Failure::Refused);
    journey.broke(other, Cause::TargetClosed);
    let again = journey.next(&site.pools, Instant::now()).unwrap().address();
    assert_eq!(again, other, "the only one left");
}

#[test]
fn what_may_have_been_heard_does_not_fail_over() {
    let spent = json!({ "retry_budget": { "percent": 0, "min_per_second": 0 } });
    let site = site(&json!({}), &spent, &json!({}));
    let (mut journey, lease) = site.go(ECS);
    journey.broke(lease.unwrap().address(), Cause::TargetClosed);
    let end = journey.next(&site.pools, site.now).unwrap_err();
    assert_eq!(end, Cause::TargetClosed);
    assert_eq!(seen(&journey), (1, None));
}

#[test]
fn stable_without_a_healthy_target_fails_open_and_says_503_when_that_fails_too() {
    let site = site(&json!({}), &json!({}), &json!({}));
    site.kill(EC2);
    let (mut journey, lease) = site.go(EC2);
    assert!(journey.fails_open());
    journey.connect_failed(lease.unwrap().address(), Cause::ConnectFailed);
    let second = journey.next(&site.pools, Instant::now()).unwrap();
    journey.connect_failed(second.address(), Cause::ConnectFailed);
    let end = journey.next(&site.pools, Instant::now()).unwrap_err();
    assert_eq!((end, journey.attempts()), (Cause::NoTarget, 2));
}

#[test]
fn failing_open_waits_for_one_connect_at_most() {
    let site = site(&json!({}), &json!({}), &json!({}));
    site.kill(EC2);
    let (mut journey, lease) = site.go(EC2);
    journey.connect_failed(lease.unwrap().address(), Cause::ConnectTimeout);
    let end = journey.next(&site.pools, Instant::now()).unwrap_err();
    assert_eq!((end, journey.attempts()), (Cause::NoTarget, 1));
}

#[test]
fn one_target_that_does_not_answer_is_not_all_of_them() {
    let site = site(&json!({ "retries": 0 }), &json!({}), &json!({}));
    let (mut journey, lease) = site.go(EC2);
    journey.connect_failed(lease.unwrap().address(), Cause::ConnectTimeout);
    let end = journey.next(&site.pools, site.now).unwrap_err();
    assert_eq!((end, journey.fails_open()), (Cause::ConnectTimeout, false));
}
