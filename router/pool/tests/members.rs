//! Members that come and go while the pool is in use.

use std::collections::BTreeMap;

use config::live::TargetEdits;
use config::snapshot::Target as Named;

use super::*;

impl Bench {
    /// Discovery says at `seconds` that these are the targets of `ec2`.
    fn supply(&self, seconds: f64, ports: &[u16]) {
        let named = ports.iter().map(|&port| Named {
            address: ([127, 0, 0, 1], port).into(),
            weight: 1,
        });
        let named: Vec<_> = named.collect();
        self.pools.supply_at("ec2", &named, self.at(seconds));
    }

    /// The operator has registered and deregistered these, at `seconds`.
    fn edit(&self, seconds: f64, registered: &[(u16, u32)], deregistered: &[u16]) {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let registered = registered
            .iter()
            .map(|&(port, weight)| (address(port), weight));
        let edits = TargetEdits {
            registered: registered.collect(),
            deregistered: deregistered.iter().map(|&port| address(port)).collect(),
        };
        let edits = BTreeMap::from([("ec2".to_owned(), edits)]);
        self.pools.edit_at(&edits, self.at(seconds));
    }

    fn pool(&self) -> Arc<Pool> {
        self.pools.pool("ec2").unwrap()
    }

    /// Port, state and reason of every target at `seconds`.
    fn told(&self, seconds: f64) -> Vec<(u16, &'static str, Option<&'static str>)> {
        let status = self.pool().status(self.at(seconds));
        let one = |s: &TargetStatus| (s.address.port(), s.state.as_str(), s.reason);
        status.iter().map(one).collect()
    }
}

const DRAINING: Option<&str> = Some("Target.DeregistrationInProgress");
const NOT_REGISTERED: Option<&str> = Some("Target.NotRegistered");

#[test]
fn a_pool_waits_for_its_first_targets_and_takes_them_while_in_use() {
    let (bench, pool) = bench(&[], json!({}));
    assert_eq!(pool.pick(&[], bench.at(0.0)).unwrap_err(), NoTarget::Empty);
    assert_eq!(pool.healthy(bench.at(0.0)), (0, 0));
    bench.supply(1.0, &[1, 2]);
    assert_eq!(ports(&pool, bench.at(1.0), 4), [1, 2, 1, 2]);
    bench.supply(2.0, &[]);
    assert_eq!(pool.pick(&[], bench.at(2.0)).unwrap_err(), NoTarget::Empty);
}

#[test]
fn members_are_those_of_all_sources_without_the_deregistered_ones() {
    let (bench, pool) = bench(&[(1, 1), (2, 1)], json!({}));
    bench.supply(0.0, &[3, 4]);
    bench.edit(0.0, &[(4, 3), (5, 1)], &[1]);
    let picked = ports(&pool, bench.at(0.0), 60);
    assert_eq!(
        [1, 2, 3, 4, 5].map(|port| count(&picked, port)),
        [0, 10, 10, 30, 10]
    );
}

#[test]
fn a_reload_keeps_what_discovery_and_the_operator_said() {
    let (bench, _) = bench(&[(1, 1)], json!({}));
    bench.supply(0.0, &[2, 3]);
    bench.edit(0.0, &[(4, 1)], &[3]);
    let pool = bench.shape(1.0, &[(5, 1)], &json!({}));
    let mut members = ports(&pool, bench.at(1.0), 3);
    members.sort_unstable();
    assert_eq!(members, [2, 4, 5]);
}

#[test]
fn a_target_that_leaves_drains_and_is_then_gone() {
    let (bench, pool) = bench(EQUAL, json!({ "deregistration_delay": "10s" }));
    let lease = pool
        .pick(&["127.0.0.1:1".parse().unwrap()], bench.at(0.0))
        .unwrap();
    let pool = bench.shape(
        1.0,
        &[(1, 1), (3, 1)],
        &json!({ "deregistration_delay": "1s" }),
    );
    let draining = (2, "draining", DRAINING);
    let others = [(1, "healthy", None), (3, "healthy", None)];
    assert_eq!(bench.told(1.9), [others[0], others[1], draining]);
    assert_eq!(count(&ports(&pool, bench.at(1.9), 10), 2), 0);
    assert_eq!(pool.healthy(bench.at(1.9)), (2, 2));
    assert_eq!(pool.status(bench.at(1.9))[2].in_flight, 1);
    assert_eq!(bench.told(2.0), others);
    drop(lease);
    assert_eq!(in_flight(&pool), 0);
}

#[test]
fn a_target_that_comes_back_while_it_drains_keeps_its_state() {
    let (bench, pool) = bench(&[], json!({}));
    bench.supply(0.0, &[1, 2]);
    let lease = pool
        .pick(&["127.0.0.1:2".parse().unwrap()], bench.at(0.0))
        .unwrap();
    fail(&pool, 1, Failure::Refused, bench.at(1.0), 1);
    bench.supply(2.0, &[2]);
    assert_eq!(bench.told(3.0)[1], (1, "draining", DRAINING));
    bench.supply(4.0, &[1, 2]);
    assert_eq!(bench.told(5.0)[0], (1, "unhealthy", Some("Target.Ejected")));
    assert_eq!(pool.status(bench.at(5.0))[0].in_flight, 1);
    drop(lease);
    assert_eq!(pool.status(bench.at(5.0))[0].in_flight, 0);
}

#[test]
fn a_target_that_comes_back_when_it_is_gone_is_a_new_one() {
    let (bench, pool) = bench(&[], json!({ "deregistration_delay": "0s" }));
    bench.supply(0.0, &[1, 2]);
    fail(&pool, 1, Failure::Refused, bench.at(1.0), 1);
    bench.supply(2.0, &[2]);
    assert_eq!(bench.told(2.0), [(2, "healthy", None)]);
    bench.supply(3.0, &[1, 2]);
    assert_eq!(bench.told(3.0)[0], (1, "healthy", None));
}

#[test]
fn a_deregistered_target_that_somebody_names_is_shown_as_unused() {
    let (bench, _) = bench(&[(1, 1)], json!({}));
    bench.supply(0.0, &[2]);
    bench.edit(0.0, &[], &[2]);
    assert_eq!(bench.told(1.0)[1], (2, "draining", DRAINING));
    assert_eq!(bench.told(30.0)[1], (2, "unused", NOT_REGISTERED));
    bench.edit(40.0, &[], &[]);
    assert_eq!(bench.told(40.0)[1], (2, "healthy", None));
}

#[test]
fn going_and_coming_back_is_told_and_what_stays_is_not() {
    let (bench, _) = bench(&[], json!({}));
    let mut changes = bench.pools.changes();
    bench.supply(0.0, &[1, 2]);
    bench.supply(1.0, &[2, 1]);
    bench.supply(2.0, &[2]);
    bench.supply(3.0, &[1, 2]);
    bench.supply(4.0, &[2]);
    bench.pools.sweep(bench.at(33.9));
    bench.pools.sweep(bench.at(34.0));
    bench.pools.sweep(bench.at(35.0));
    let mut told = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert_eq!(change.status.address.port(), 1);
        told.push((change.status.state.as_str(), change.status.reason));
    }
    let drained = ("draining", DRAINING);
    assert_eq!(
        told,
        [
            drained,
            ("healthy", None),
            drained,
            ("unused", NOT_REGISTERED)
        ]
    );
}

#[test]
fn the_same_members_again_are_no_swap() {
    let (bench, _) = bench(&[(9, 1)], json!({}));
    let swaps = bench.pools.swaps();
    let version = || *swaps.borrow();
    bench.supply(0.0, &[1, 2]);
    let before = version();
    bench.supply(1.0, &[2, 1]);
    bench.edit(1.0, &[], &[]);
    assert_eq!(version(), before);
    bench.edit(1.0, &[], &[1]);
    assert_eq!(version(), before + 1);
}

#[test]
fn what_is_said_of_an_unknown_pool_is_ignored() {
    let (bench, pool) = bench(EQUAL, json!({}));
    bench.pools.supply_at("gone", &[], bench.at(0.0));
    assert_eq!(pool.healthy(bench.at(0.0)), (3, 3));
}

#[test]
fn a_discovered_target_that_joins_others_starts_slowly() {
    let (bench, pool) = bench(&[], json!({ "slow_start": "10s" }));
    bench.supply(0.0, &[1]);
    bench.supply(5.0, &[1, 2]);
    let half = count(&ports(&pool, bench.at(10.0), 300), 2);
    assert!(half.abs_diff(100) <= 1, "{half}");
}

#[test]
fn members_may_be_swapped_while_others_pick() {
    let (bench, pool) = bench(&[(9, 1)], json!({ "deregistration_delay": "0s" }));
    let now = bench.at(0.0);
    std::thread::scope(|scope| {
        let picking: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| ports(&pool, now, 20_000)))
            .collect();
        let mut n_swaps: u16 = 0;
        while !picking
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            n_swaps = (n_swaps + 1) % 1000;
            bench.supply(0.0, &[100 + n_swaps, 101 + n_swaps, 102 + n_swaps]);
        }
        for thread in picking {
            assert!(thread.join().unwrap().contains(&9));
        }
    });
    assert_eq!(in_flight(&pool), 0);
}
