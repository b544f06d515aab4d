//! Turns when targets go out, come back or start slowly: shares stay those of the weights.

use proptest::prelude::*;

use super::*;

const MANY: u16 = 1000;

fn many(balance: &str) -> (Bench, Arc<Pool>) {
    let targets: Vec<_> = (1..=MANY).map(|port| (port, 1)).collect();
    let extra = json!({ "balance": balance, "ejection": { "base_time": "10s" } });
    bench(&targets, extra)
}

/// As a refused connect at the target with this port.
fn refuse(pool: &Pool, port: u16, now: Instant) {
    let now = pool.shared.clock.at(now);
    pool.eject(&target(pool, port), (now, now), EjectionCause::Refused);
}

#[test]
fn most_of_many_targets_may_be_out_and_the_others_share_evenly() {
    let (bench, pool) = many("round_robin");
    for port in 1..=900 {
        refuse(&pool, port, bench.at(0.0));
    }
    // At once, when the rotation still has all of them, and later, when it does not.
    let at_once = ports(&pool, bench.at(0.0), 50);
    assert!(at_once.iter().all(|&port| port > 900), "{at_once:?}");
    let picked = ports(&pool, bench.at(1.0), 1000);
    for port in 901..=MANY {
        assert_eq!(count(&picked, port), 10);
    }
    let back = ports(&pool, bench.at(10.0), 1000);
    assert!((1..=MANY).all(|port| count(&back, port) == 1));
}

#[test]
fn nobody_is_asked_while_everybody_is_out() {
    for balance in ["round_robin", "least_requests", "random"] {
        let (bench, pool) = many(balance);
        for port in 1..=MANY {
            refuse(&pool, port, bench.at(0.0));
        }
        let all_out = pool.pick(&[], bench.at(9.9)).unwrap_err();
        assert_eq!(all_out, NoTarget::Unhealthy, "{balance}");
        assert!(pool.pick(&[], bench.at(10.0)).is_ok(), "{balance}");
    }
}

#[test]
fn random_gives_a_slow_starter_its_part() {
    let extra = json!({ "balance": "random", "slow_start": "10s" });
    let (bench, _) = bench(&[(1, 1)], extra.clone());
    let pool = bench.shape(5.0, &[(1, 1), (2, 1)], &extra);
    let half = count(&ports(&pool, bench.at(10.0), 9_000), 2);
    // A half against a whole; five standard deviations.
    assert!((2_776..=3_224).contains(&half), "{half}");
}

#[test]
fn least_requests_sees_the_load_of_a_slow_starter_in_relation_to_its_part() {
    let extra = json!({ "balance": "least_requests", "slow_start": "10s" });
    let (bench, _) = bench(&[(1, 1)], extra.clone());
    let pool = bench.shape(5.0, &[(1, 1), (2, 1)], &extra);
    let leases: Vec<_> = (0..300)
        .map(|_| pool.pick(&[], bench.at(10.0)).unwrap())
        .collect();
    let half = leases.iter().filter(|l| l.address().port() == 2).count();
    assert!((95..=105).contains(&half), "{half}");
}

#[test]
fn least_requests_finds_the_other_one_beside_a_heavy_target() {
    let extra = json!({ "balance": "least_requests" });
    let (bench, pool) = bench(&[(1, 1000), (2, 1)], extra);
    let now = bench.at(0.0);
    let only_heavy = ["127.0.0.1:2".parse().unwrap()];
    let busy: Vec<_> = (0..1001)
        .map(|_| pool.pick(&only_heavy, now).unwrap())
        .collect();
    assert_eq!(ports(&pool, now, 100), [2; 100]);
    drop(busy);
}

#[test]
fn picking_allocates_nothing() {
    for balance in ["round_robin", "least_requests", "random"] {
        let (bench, pool) = many(balance);
        refuse(&pool, 7, bench.at(0.0));
        let tried = ["127.0.0.1:9".parse().unwrap()];
        let now = bench.at(1.0);
        // The first one makes the rotation anew and the thread's generator.
        drop(pool.pick(&tried, now));
        let counted = allocation_counter::measure(|| {
            for _ in 0..1000 {
                drop(pool.pick(&tried, now));
                drop(pool.pick_any(&tried, now));
            }
        });
        assert_eq!(counted.count_total, 0, "{balance}");
    }
}

proptest! {
    /// Also those that went out so recently that the rotation does not know it.
    #[test]
    fn those_that_are_in_share_by_their_weights_alone(
        weights in prop::collection::vec(1..=9u32, 2..12),
        out in prop::collection::vec(any::<bool>(), 12),
        seconds in prop::sample::select(vec![0.0, 1.0]),
    ) {
        let targets: Vec<_> = (1u16..).zip(weights).collect();
        let (bench, pool) = bench(&targets, json!({}));
        let (out, inside): (Vec<_>, Vec<_>) =
            targets.iter().zip(out).partition(|(_, out)| *out);
        prop_assume!(!inside.is_empty());
        for ((port, _), _) in out {
            refuse(&pool, *port, bench.at(0.0));
        }
        let sum: u32 = inside.iter().map(|((_, weight), _)| weight).sum();
        let picked = ports(&pool, bench.at(seconds), 20 * sum as usize);
        for ((port, weight), _) in inside {
            let turns = count(&picked, *port) as u32;
            // Twenty rounds, the first and the last of them cut.
            prop_assert!(turns.abs_diff(20 * weight) <= *weight, "{port}: {turns}");
        }
    }
}
