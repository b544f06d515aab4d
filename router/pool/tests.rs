//! Picking, ejection and slow start, on a clock of the test's own.

use serde_json::{Value, json};

use super::*;
use crate::testing::lone;

mod members;
mod outliers;
mod turns;

struct Bench {
    pools: Pools,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            pools: Pools::at(start, std::time::SystemTime::UNIX_EPOCH),
            start,
        }
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// The pool `ec2` with `targets` and `extra` keys, from `seconds` on.
    fn shape(&self, seconds: f64, targets: &[(u16, u32)], extra: &Value) -> Arc<Pool> {
        let structure = lone(targets, extra);
        Arc::clone(&self.pools.align_at(&structure, self.at(seconds))[0])
    }
}

fn bench(targets: &[(u16, u32)], extra: Value) -> (Bench, Arc<Pool>) {
    let bench = Bench::new();
    let pool = bench.shape(0.0, targets, &extra);
    (bench, pool)
}

/// Ports of the next `n` picks, each request over before the next.
fn ports(pool: &Arc<Pool>, now: Instant, n: usize) -> Vec<u16> {
    (0..n)
        .map(|_| pool.pick(&[], now).unwrap().address().port())
        .collect()
}

fn count(ports: &[u16], port: u16) -> usize {
    ports.iter().filter(|&&picked| picked == port).count()
}

/// Fails at the target with this port until it is ejected or `times` are over.
fn fail(pool: &Arc<Pool>, port: u16, failure: Failure, now: Instant, times: usize) {
    let mut others = addresses(pool);
    others.retain(|address| address.port() != port);
    for _ in 0..times {
        let lease = pool.pick_any(&others, now).unwrap();
        pool.failed_at(&lease, failure, now);
    }
}

fn addresses(pool: &Pool) -> Vec<SocketAddr> {
    let members = pool.members.load();
    members.targets().map(|target| target.address).collect()
}

/// Requests in flight at all targets.
fn in_flight(pool: &Pool) -> u32 {
    pool.members
        .load()
        .known()
        .map(|target| target.in_flight())
        .sum()
}

fn target(pool: &Pool, port: u16) -> Handle {
    let members = pool.members.load();
    let found = members
        .targets()
        .find(|target| target.address.port() == port);
    found.unwrap().clone()
}

const EQUAL: &[(u16, u32)] = &[(1, 1), (2, 1), (3, 1)];

#[test]
fn round_robin_takes_equal_targets_in_turn() {
    let (bench, pool) = bench(EQUAL, json!({}));
    assert_eq!(ports(&pool, bench.at(0.0), 7), [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn round_robin_spreads_a_heavy_target_evenly() {
    let (bench, pool) = bench(&[(1, 5), (2, 1), (3, 1)], json!({}));
    let picked = ports(&pool, bench.at(0.0), 700);
    assert_eq!([1, 2, 3].map(|port| count(&picked, port)), [500, 100, 100]);
    for window in picked.windows(7) {
        assert!((4..=6).contains(&count(window, 1)), "{window:?}");
    }
}

#[test]
fn a_target_that_was_away_does_not_catch_up() {
    let (bench, pool) = bench(EQUAL, json!({}));
    fail(&pool, 3, Failure::Refused, bench.at(0.0), 1);
    assert_eq!(count(&ports(&pool, bench.at(1.0), 100), 3), 0);
    let back = ports(&pool, bench.at(10.0), 30);
    assert!((9..=11).contains(&count(&back, 3)), "{back:?}");
}

#[test]
fn least_requests_prefers_the_less_busy_target() {
    let (bench, pool) = bench(&[(1, 1), (2, 1)], json!({ "balance": "least_requests" }));
    let now = bench.at(0.0);
    let busy: Vec<_> = (0..10)
        .map(|_| {
            pool.pick_any(&["127.0.0.1:2".parse().unwrap()], now)
                .unwrap()
        })
        .collect();
    assert_eq!(ports(&pool, now, 20), [2; 20]);
    drop(busy);
    let picked = ports(&pool, now, 200);
    assert!((50..=150).contains(&count(&picked, 1)), "{picked:?}");
}

#[test]
fn least_requests_sees_load_in_relation_to_weight() {
    let (bench, pool) = bench(&[(1, 3), (2, 1)], json!({ "balance": "least_requests" }));
    let now = bench.at(0.0);
    let leases: Vec<_> = (0..400).map(|_| pool.pick(&[], now).unwrap()).collect();
    let first = leases.iter().filter(|l| l.address().port() == 1).count();
    assert!((295..=305).contains(&first), "{first}");
}

#[test]
fn random_follows_the_weights() {
    let (bench, pool) = bench(&[(1, 3), (2, 1)], json!({ "balance": "random" }));
    let picked = ports(&pool, bench.at(0.0), 10_000);
    // Five standard deviations.
    assert!((7_280..=7_720).contains(&count(&picked, 1)));
}

#[test]
fn a_tried_target_is_not_picked_again() {
    let (bench, pool) = bench(EQUAL, json!({}));
    let tried: Vec<SocketAddr> = [1, 3].map(|port| ([127, 0, 0, 1], port).into()).into();
    let now = bench.at(0.0);
    assert_eq!(pool.pick(&tried, now).unwrap().address().port(), 2);
    let all = addresses(&pool);
    assert_eq!(pool.pick(&all, now).unwrap_err(), NoTarget::Unhealthy);
    assert_eq!(pool.pick_any(&all, now).unwrap_err(), NoTarget::Unhealthy);
}

#[test]
fn a_pool_without_targets_is_empty() {
    let (bench, pool) = bench(&[], json!({}));
    let now = bench.at(0.0);
    assert_eq!(pool.pick(&[], now).unwrap_err(), NoTarget::Empty);
    assert_eq!(pool.pick_any(&[], now).unwrap_err(), NoTarget::Empty);
}

#[test]
fn max_requests_refuses_the_next_until_one_ends() {
    let (bench, pool) = bench(EQUAL, json!({ "max_requests": 2 }));
    let now = bench.at(0.0);
    let first = pool.pick(&[], now).unwrap();
    let _second = pool.pick(&[], now).unwrap();
    assert_eq!(pool.pick(&[], now).unwrap_err(), NoTarget::Full);
    assert_eq!(pool.pick_any(&[], now).unwrap_err(), NoTarget::Full);
    drop(first);
    assert!(pool.pick(&[], now).is_ok());
    assert_eq!(in_flight(&pool), 1);
}

#[test]
fn a_target_that_has_enough_gets_no_more_and_the_pool_is_full_when_all_have() {
    for balance in ["round_robin", "least_requests", "random"] {
        let keys = json!({ "max_requests_per_target": 2, "balance": balance });
        let (bench, pool) = bench(EQUAL, keys);
        let now = bench.at(0.0);
        let mut held: Vec<_> = (0..6).map(|_| pool.pick(&[], now).unwrap()).collect();
        for port in 1..=3 {
            let has = held.iter().filter(|lease| lease.address().port() == port);
            assert_eq!(has.count(), 2, "{balance}");
        }
        assert_eq!(pool.pick(&[], now).unwrap_err(), NoTarget::Full);
        assert_eq!(pool.pick_any(&[], now).unwrap_err(), NoTarget::Full);
        assert_eq!(in_flight(&pool), 6);
        let freed = held.pop().unwrap().address();
        assert_eq!(pool.pick(&[], now).unwrap().address(), freed);
        let all: Vec<_> = (1..=3).map(|port| ([127, 0, 0, 1], port).into()).collect();
        assert_eq!(pool.pick(&all, now).unwrap_err(), NoTarget::Unhealthy);
    }
}

#[test]
fn threads_that_pick_at_once_keep_to_the_bound_of_a_target() {
    let (bench, pool) = bench(EQUAL, json!({ "max_requests_per_target": 50 }));
    let now = bench.at(0.0);
    let taken: Vec<_> = std::thread::scope(|scope| {
        let pick = || {
            (0..100)
                .filter_map(|_| pool.pick(&[], now).ok())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(pick)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(taken.len(), 150);
}

#[test]
fn a_reload_keeps_the_budget_of_further_tries() {
    let few = json!({ "retry_budget": { "percent": 0, "min_per_second": 1 } });
    let (bench, before) = bench(EQUAL, few.clone());
    assert!((0..10).all(|_| before.take_retry(bench.at(0.0))));
    let after = bench.shape(1.0, EQUAL, &few);
    assert!(!after.take_retry(bench.at(1.0)));
    assert!(after.take_retry(bench.at(11.0)));
}

#[test]
fn failures_in_a_row_eject_until_the_base_time_is_over() {
    let (bench, pool) = bench(EQUAL, json!({}));
    fail(&pool, 1, Failure::Timeout, bench.at(0.0), 4);
    assert_eq!(pool.healthy(bench.at(0.0)), (3, 3));
    fail(&pool, 1, Failure::Status(503), bench.at(0.0), 1);
    assert_eq!(pool.healthy(bench.at(9.9)), (2, 3));
    assert_eq!(count(&ports(&pool, bench.at(9.9), 30), 1), 0);
    assert_eq!(pool.healthy(bench.at(10.0)), (3, 3));
}

#[test]
fn a_success_between_failures_starts_the_count_anew() {
    let (bench, pool) = bench(&[(1, 1), (2, 1)], json!({}));
    let now = bench.at(0.0);
    for _ in 0..10 {
        fail(&pool, 1, Failure::Closed, now, 4);
        let lease = pool.pick(&["127.0.0.1:2".parse().unwrap()], now);
        pool.succeeded(&lease.unwrap(), 500);
    }
    assert_eq!(pool.healthy(now), (2, 2));
}

#[test]
fn answers_of_502_to_504_count_as_failures() {
    let (_, pool) = bench(&[(1, 1), (2, 1)], json!({}));
    // The lease itself looks at the clock here, so the pool must be asked by the same one.
    for _ in 0..5 {
        let only = ["127.0.0.1:2".parse().unwrap()];
        let lease = pool.pick_any(&only, Instant::now()).unwrap();
        pool.succeeded(&lease, 502);
    }
    assert_eq!(pool.healthy(Instant::now()), (1, 2));
}

#[test]
fn repeated_ejections_last_longer() {
    let (bench, pool) = bench(&[(1, 1), (2, 1)], json!({}));
    fail(&pool, 1, Failure::Connect, bench.at(0.0), 5);
    fail(&pool, 1, Failure::Connect, bench.at(11.0), 5);
    assert_eq!(pool.healthy(bench.at(30.9)), (1, 2));
    assert_eq!(pool.healthy(bench.at(31.0)), (2, 2));
    fail(&pool, 1, Failure::Connect, bench.at(52.0), 5);
    assert_eq!(
        pool.healthy(bench.at(62.0)),
        (2, 2),
        "a calm target starts anew"
    );
}

#[test]
fn max_percent_bounds_ejections() {
    let (bench, pool) = bench(EQUAL, json!({}));
    fail(&pool, 1, Failure::Timeout, bench.at(0.0), 5);
    fail(&pool, 2, Failure::Timeout, bench.at(0.0), 50);
    assert_eq!(pool.healthy(bench.at(1.0)), (2, 3));
}

#[test]
fn a_refused_connect_ejects_at_once_and_ignores_max_percent() {
    let (bench, pool) = bench(EQUAL, json!({}));
    let now = bench.at(0.0);
    for port in 1..=3 {
        fail(&pool, port, Failure::Refused, now, 1);
    }
    assert_eq!(pool.healthy(now), (0, 3));
    assert_eq!(pool.pick(&[], now).unwrap_err(), NoTarget::Unhealthy);
    assert!(pool.pick_any(&[], now).is_ok());
}

#[test]
fn ejection_can_be_switched_off() {
    let (bench, pool) = bench(EQUAL, json!({ "ejection": { "consecutive_failures": 0 } }));
    fail(&pool, 1, Failure::Refused, bench.at(0.0), 10);
    assert_eq!(pool.healthy(bench.at(0.0)), (3, 3));
}

#[test]
fn a_success_in_spite_of_the_ejection_ends_it() {
    let (bench, pool) = bench(&[(1, 1)], json!({}));
    let in_flight = pool.pick(&[], bench.at(0.0)).unwrap();
    fail(&pool, 1, Failure::Refused, bench.at(1.0), 1);
    pool.succeeded(&in_flight, 200);
    assert_eq!(
        pool.healthy(bench.at(2.0)),
        (0, 1),
        "it began before the ejection"
    );
    let lease = pool.pick_any(&[], bench.at(2.0)).unwrap();
    pool.succeeded(&lease, 200);
    assert_eq!(pool.healthy(bench.at(2.0)), (1, 1));
}

#[test]
fn a_target_that_joins_others_starts_slowly() {
    let slow = json!({ "slow_start": "10s" });
    let (bench, _) = bench(&[(1, 1)], slow.clone());
    let pool = bench.shape(5.0, &[(1, 1), (2, 1)], &slow);
    let shares: Vec<_> = [5.0, 10.0, 12.5, 15.0]
        .map(|seconds| count(&ports(&pool, bench.at(seconds), 1000), 2))
        .into();
    // Parts 0.01, 0.5, 0.75 and 1 against 1.
    for (share, expected) in shares.iter().zip([10, 333, 429, 500]) {
        assert!(share.abs_diff(expected) <= 2, "{shares:?}");
    }
}

#[test]
fn a_first_batch_does_not_start_slowly() {
    let (bench, pool) = bench(EQUAL, json!({ "slow_start": "10s" }));
    assert_eq!(ports(&pool, bench.at(0.0), 6), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn an_ejected_target_comes_back_slowly() {
    let (bench, pool) = bench(EQUAL, json!({ "slow_start": "10s" }));
    fail(&pool, 3, Failure::Refused, bench.at(0.0), 1);
    let picked = ports(&pool, bench.at(15.0), 500);
    assert!(
        count(&picked, 3).abs_diff(100) <= 2,
        "half a part of two and a half"
    );
}

#[test]
fn a_target_whose_ejection_ends_early_starts_slowly_from_then_on() {
    let (bench, pool) = bench(EQUAL, json!({ "slow_start": "10s" }));
    fail(&pool, 3, Failure::Refused, bench.at(0.0), 1);
    let others: [SocketAddr; 2] =
        ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
    let in_spite = pool.pick_any(&others, bench.at(2.0)).unwrap();
    pool.succeeded(&in_spite, 200);
    let picked = ports(&pool, bench.at(7.0), 500);
    assert!(
        count(&picked, 3).abs_diff(100) <= 2,
        "half a part of two and a half"
    );
}

#[test]
fn a_reload_keeps_the_state_of_targets_that_stay() {
    let (bench, before) = bench(EQUAL, json!({}));
    let lease = before.pick(&["127.0.0.1:1".parse().unwrap()], bench.at(0.0));
    fail(&before, 3, Failure::Refused, bench.at(0.0), 1);
    let after = bench.shape(1.0, &[(1, 1), (3, 2), (4, 1)], &json!({}));
    assert_eq!(after.healthy(bench.at(1.0)), (2, 3));
    assert_eq!(in_flight(&after), 1, "of the target that went");
    drop(lease);
    assert_eq!(in_flight(&after), 0);
    let heavier = count(&ports(&after, bench.at(20.0), 40), 3);
    assert!(heavier.abs_diff(20) <= 1, "{heavier}");
}

#[test]
fn the_state_of_a_target_is_told_in_the_words_of_an_alb() {
    let check = json!({ "health_check": { "path": "/" } });
    let (bench, pool) = bench(&[(1, 1), (2, 2)], json!({}));
    fail(&pool, 2, Failure::Refused, bench.at(3.0), 1);
    let of = |pool: &Pool, seconds| {
        let status = pool.status(bench.at(seconds));
        let word = |s: &TargetStatus| (s.state.as_str(), s.reason, s.since);
        status.iter().map(word).collect::<Vec<_>>()
    };
    let date = |seconds| std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let ejected = ("unhealthy", Some("Target.Ejected"), date(3));
    assert_eq!(of(&pool, 4.0), [("healthy", None, date(0)), ejected]);
    assert_eq!(of(&pool, 13.0)[1], ("healthy", None, date(13)));
    let pool = bench.shape(20.0, &[(1, 1), (5, 1)], &check);
    let initial = ("initial", Some("Elb.InitialHealthChecking"), date(20));
    let drains = Some("Target.DeregistrationInProgress");
    let draining = ("draining", drains, date(20));
    assert_eq!(
        of(&pool, 21.0),
        [("healthy", None, date(0)), initial, draining]
    );
}

#[test]
fn a_target_without_a_result_is_used_only_when_nothing_else_is() {
    let check = json!({ "health_check": { "path": "/" } });
    let (bench, pool) = bench(&[(1, 1)], check.clone());
    assert_eq!(pool.healthy(bench.at(0.0)), (0, 1));
    assert_eq!(ports(&pool, bench.at(0.0), 3), [1; 3]);
    target(&pool, 1).set_health(target::Health::Healthy, pool.shared.clock.at(bench.at(1.0)));
    let pool = bench.shape(2.0, &[(1, 1), (2, 1)], &check);
    assert_eq!(ports(&pool, bench.at(2.0), 3), [1; 3]);
}

#[test]
fn looking_back_tells_how_many_were_healthy() {
    let (bench, pool) = bench(EQUAL, json!({}));
    fail(&pool, 1, Failure::Refused, bench.at(100.0), 1);
    let minute = Duration::from_secs(60);
    let before = |seconds| pool.healthy_before(bench.at(seconds), minute);
    assert_eq!([before(101.0), before(165.0), before(170.0)], [3, 2, 3]);
}

#[test]
fn every_change_of_state_is_told_once() {
    let (bench, pool) = bench(EQUAL, json!({}));
    let mut changes = bench.pools.changes();
    fail(&pool, 1, Failure::Refused, bench.at(0.0), 3);
    let first = target(&pool, 1);
    pool.announce(&first, pool.shared.clock.at(bench.at(5.0)));
    pool.announce(&first, pool.shared.clock.at(bench.at(11.0)));
    let mut told = Vec::new();
    while let Ok(change) = changes.try_recv() {
        told.push((change.status.address.port(), change.status.state));
    }
    assert_eq!(
        told,
        [(1, TargetState::Unhealthy), (1, TargetState::Healthy)]
    );
}

#[test]
fn threads_that_pick_at_once_share_one_rotation() {
    let (bench, pool) = bench(&[(1, 2), (2, 1), (3, 1)], json!({}));
    let now = bench.at(0.0);
    let picked: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ports(&pool, now, 1000)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.flatten().collect()
    });
    assert_eq!(
        [1, 2, 3].map(|port| count(&picked, port)),
        [2000, 1000, 1000]
    );
}
