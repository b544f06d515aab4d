//! The laws of weights, on users: who moves when, and who never does.

use super::*;
use crate::testing::{Sent, live, snapshot};

const TWO_POOLS: &str = r#"
[[routes]]
name = "web"
stable = "ec2"
weights = { ec2 = 90, ecs = 10 }
"#;

/// Each of `n` clients' pool under live weights of the route `web`.
fn placed(snapshot: &Snapshot, weights: &[(&str, u32)], n: u128) -> Vec<String> {
    let snapshot = snapshot.with_live(&live("web", weights)).unwrap();
    let pools = (0..n).map(|client| {
        let text = id::encode(&client.to_be_bytes());
        let cookie = String::from_utf8_lossy(&text).into_owned();
        let sent = Sent::read(&format!("GET a/\ncookie: kanaria={cookie}"));
        let choice = snapshot.decide(&sent.facts()).choice.unwrap();
        snapshot.pool(choice.pool).name.to_string()
    });
    pools.collect()
}

fn moved(before: &[String], after: &[String]) -> Vec<(String, String)> {
    let pairs = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after);
    pairs
        .map(|(before, after)| (before.clone(), after.clone()))
        .collect()
}

#[test]
fn nobody_moves_at_constant_weights_and_zero_evicts_everybody() {
    let snapshot = snapshot(TWO_POOLS);
    let at = |ecs| placed(&snapshot, &[("ec2", 100 - ecs), ("ecs", ecs)], 5_000);
    assert_eq!(at(10), at(10));
    // Other numbers of the same proportion are the same weights.
    assert_eq!(
        at(10),
        placed(&snapshot, &[("ec2", 900), ("ecs", 100)], 5_000)
    );
    assert!(at(0).iter().all(|pool| pool == "ec2"));
    assert!(at(100).iter().all(|pool| pool == "ecs"));
}

#[test]
fn a_raise_moves_one_way_and_a_lowering_takes_back_the_last_added() {
    let snapshot = snapshot(TWO_POOLS);
    let at = |ecs| placed(&snapshot, &[("ec2", 100 - ecs), ("ecs", ecs)], 5_000);
    let one_way = |moved: &[(String, String)], to: &str| moved.iter().all(|(_, new)| new == to);
    for (low, high) in [(1, 2), (1, 10), (10, 50), (50, 99)] {
        let raised = moved(&at(low), &at(high));
        assert!(
            !raised.is_empty() && one_way(&raised, "ecs"),
            "{low} to {high}"
        );
        let lowered = moved(&at(high), &at(low));
        assert!(one_way(&lowered, "ec2"), "{high} to {low}");
        assert_eq!(raised.len(), lowered.len());
        let share = at(high).iter().filter(|pool| *pool == "ecs").count() as f64 / 50.0;
        assert!((share - f64::from(high)).abs() < 2.5, "{share} at {high}");
    }
    assert_eq!(at(1), at(1));
}

#[test]
fn of_three_pools_users_move_towards_earlier_ones_when_edges_rise() {
    let snapshot =
        snapshot(&TWO_POOLS.replace("ec2 = 90, ecs = 10", "ecs = 10, eks = 10, ec2 = 80"));
    let at = |ecs, eks| {
        placed(
            &snapshot,
            &[("ecs", ecs), ("eks", eks), ("ec2", 100 - ecs - eks)],
            5_000,
        )
    };
    let order = |pool: &String| ["ecs", "eks", "ec2"].iter().position(|name| name == pool);
    let before = at(10, 10);
    for after in [at(20, 10), at(10, 20), at(20, 5), at(15, 15)] {
        let moved = moved(&before, &after);
        assert!(!moved.is_empty());
        assert!(moved.iter().all(|(old, new)| order(new) < order(old)));
    }
    assert!(at(0, 0).iter().all(|pool| pool == "ec2"));
    assert!(at(0, 10).iter().all(|pool| pool != "ecs"));
}

#[test]
fn routes_of_a_cohort_place_a_client_alike_and_others_apart() {
    let route = |name: &str, path: &str, cohort: &str| {
        format!(
            "[[routes]]\nname = '{name}'\nmatch = {{ path = '{path}' }}\nstable = 'ec2'\ncohort = '{cohort}'\nweights = {{ ec2 = 1, ecs = 1 }}\n"
        )
    };
    let config = [
        route("a", "/a", "x"),
        route("b", "/b", "x"),
        route("c", "/c", "y"),
    ]
    .concat();
    let snapshot = snapshot(&config);
    let bucket = |path: &str| {
        let sent = Sent::read(&format!(
            "GET h{path}\ncookie: kanaria=AAAAAAAAAAAAAAAAAAAAAA"
        ));
        snapshot.decide(&sent.facts()).choice.unwrap().bucket
    };
    assert_eq!(bucket("/a"), bucket("/b"));
    assert_ne!(bucket("/a"), bucket("/c"));
}

#[test]
fn another_epoch_places_everybody_anew() {
    let old = snapshot(TWO_POOLS);
    let mut live = crate::live::Live::default();
    live.epochs.insert("default".into(), 1);
    let new = old.with_live(&live).unwrap();
    let cohort = crate::ids::CohortId(0);
    let same = (0..1_000u128).filter(|id| {
        let place = |snapshot: &Snapshot| snapshot.bucket_key(cohort).place(&id.to_be_bytes());
        place(&old) == place(&new)
    });
    assert_eq!(same.count(), 0);
}
