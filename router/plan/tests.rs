//! Replays of small logs.

use std::sync::Arc;

use config::bucket::Secret;
use config::live::{Live, Routes, fresh};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::snapshot as at;

fn compiled(routes: &Value) -> Snapshot {
    let config = json!({
        "version": 1,
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": { "ec2": { "targets": ["127.0.0.1:1"] }, "ecs": { "targets": ["127.0.0.1:2"] } },
        "routes": routes,
    });
    let config: config::model::Config = serde_json::from_value(config).unwrap();
    let structure = Arc::new(Structure::compile(&config).unwrap());
    let live: Live = fresh(&Routes::of_structure(&structure));
    Snapshot::compile(structure, &live, &Secret::new([3; 32])).unwrap()
}

fn web(ec2: u32, ecs: u32) -> Snapshot {
    compiled(&json!([{ "name": "web", "stable": "ec2", "weights": { "ec2": ec2, "ecs": ecs } }]))
}

fn line(bucket: u16, pool: &str) -> Value {
    json!({
        "log_version": 1, "client_ip": "192.0.2.7", "method": "GET", "host": "www.example.com", "path": "/a",
        "query": null, "user_agent": "probe", "referer": null, "listener": "public", "route": "web", "pool": pool,
        "reason": "weight", "switched_from": null, "bucket": bucket,
    })
}

fn run(live: &Snapshot, planned: &Snapshot, lines: &[Value]) -> Report {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    replay(live, planned, &mut text.as_bytes(), &mut |_, _| {}).unwrap()
}

/// A request in each bucket, as `web(95, 5)` served it.
fn each_bucket() -> Vec<Value> {
    let pool = |bucket| if bucket < 500 { "ecs" } else { "ec2" };
    (0..10_000)
        .map(|bucket| line(bucket, pool(bucket)))
        .collect()
}

#[test]
fn the_same_file_moves_nobody() {
    let report = run(&web(95, 5), &web(95, 5), &each_bucket());
    assert_eq!((report.requests, report.skipped.total()), (10_000, 0));
    assert_eq!((report.moves, report.users_moved), (Vec::new(), 0));
    let ecs = &report.shares[1];
    assert_eq!(
        (ecs.users_before, ecs.users_after),
        (Some(0.05), Some(0.05))
    );
}

#[test]
fn a_raise_moves_exactly_the_buckets_in_between() {
    let report = run(&web(95, 5), &web(80, 20), &each_bucket());
    assert_eq!((report.users_seen, report.users_moved), (10_000, 1_500));
    let [moved] = &*report.moves else {
        panic!("{:?}", report.moves);
    };
    assert_eq!((moved.requests, moved.users), (1_500, 1_500));
    assert_eq!(moved.to.pool.as_deref(), Some("ecs"));
    assert_eq!(moved.examples, ["GET www.example.com/a"]);
    assert_eq!(report.shares[1].share_after, Some(0.2));
}

#[test]
fn what_no_log_tells_is_counted_apart() {
    let live = compiled(&json!([
        { "name": "beta", "match": { "cookie": { "beta": "1" } }, "stable": "ecs" },
        { "name": "web", "stable": "ec2", "weights": { "ec2": 95, "ecs": 5 } },
    ]));
    let with = |key: &str, value: Value| {
        let mut line = line(1, "ecs");
        line[key] = value;
        line
    };
    let lines = [
        line(1, "ecs"),
        with("reason", "flag".into()),
        with("route", "beta".into()),
        with("method", Value::Null),
    ];
    let report = run(&live, &web(95, 5), &lines);
    let skipped = report.skipped;
    assert_eq!((report.requests, skipped.flag), (1, 1));
    assert_eq!((skipped.other_route, skipped.unreadable), (1, 1));
    let text = format!("{}\n{{\"torn\n", line(1, "ecs"));
    let report = replay(&live, &live, &mut text.as_bytes(), &mut |_, _| {}).unwrap();
    assert_eq!(report.skipped.not_lines, 1);
    assert!(replay(&live, &live, &mut &b"no log\n"[..], &mut |_, _| {}).is_err());
}

#[test]
fn routes_that_are_new_or_gone_show_where_their_requests_go() {
    let planned = compiled(&json!([
        { "name": "a", "match": { "path": ["/a"] }, "redirect": { "host": "b.example" } },
    ]));
    let mut other = line(9_000, "ec2");
    other["path"] = "/b".into();
    let report = run(&web(95, 5), &planned, &[line(9_000, "ec2"), other]);
    assert_eq!((report.unmatched_before, report.unmatched_after), (0, 1));
    let to: Vec<_> = report
        .moves
        .iter()
        .map(|it| it.to.route.as_deref())
        .collect();
    assert_eq!(to, [None, Some("a")]);
    assert_eq!(report.users_moved, 1);
}

#[test]
fn a_client_that_stable_served_in_place_of_a_canary_counts_where_it_was_sent_first() {
    let mut line = line(1, "ec2");
    line["switched_from"] = "ecs".into();
    line["reason"] = "failover".into();
    let report = run(&web(95, 5), &web(95, 5), &[line]);
    assert_eq!((report.requests, report.moves.len()), (1, 0));
}

#[test]
fn pinned_clients_stay_while_their_pool_has_a_weight() {
    let pin = |ec2: u32, ecs: u32| {
        let sticky = json!({ "mode": "pin" });
        compiled(
            &json!([{ "name": "web", "stable": "ec2", "weights": { "ec2": ec2, "ecs": ecs }, "sticky": sticky }]),
        )
    };
    let mut line = line(9_000, "ecs");
    line["reason"] = "pin".into();
    let stays = run(&pin(95, 5), &pin(50, 50), &[line.clone()]);
    assert_eq!(stays.moves, []);
    let evicted = run(&pin(95, 5), &pin(100, 0), &[line]);
    assert_eq!(evicted.moves[0].from.pool.as_deref(), Some("ecs"));
}

#[test]
fn pinned_clients_stay_on_a_pool_that_drains() {
    let route = json!([{ "name": "web", "stable": "ec2", "weights": { "ec2": 95, "ecs": 5 },
        "sticky": { "mode": "pin" } }]);
    let file = compiled(&route);
    let mut live: Live = fresh(&Routes::of_structure(&file.structure));
    let drained = live.routes.get_mut("web").unwrap();
    Arc::make_mut(drained).weights.insert("ecs".into(), 0);
    Arc::make_mut(drained).draining.insert("ecs".into());
    let draining = file.with_live(&live).unwrap();
    let mut line = line(9_000, "ecs");
    line["reason"] = "pin".into();
    let report = run(&draining, &draining, &[line]);
    assert_eq!(report.shares[0].seat.pool.as_deref(), Some("ecs"));
}

#[test]
fn lines_of_an_alb_are_placed_by_client_and_browser() {
    let lines: String = (0..2_000)
        .map(|n| format!("http 2026-11-26T00:00:00.000000Z app/a/b 10.0.{}.{}:1 - -1 -1 -1 200 - 1 1 \"GET http://a:80/ HTTP/1.1\" \"probe\" - -\n", n / 250, n % 250))
        .collect();
    let report = replay(
        &web(100, 0),
        &web(50, 50),
        &mut lines.as_bytes(),
        &mut |_, _| {},
    )
    .unwrap();
    let share = report.shares[1].share_after.unwrap();
    assert_eq!(report.requests, 2_000);
    assert!((share - 0.5).abs() < 0.05, "{share}");
}

proptest! {
    /// What is planned is what will be: the answer of the planned snapshot to a client in the same bucket.
    #[test]
    fn prediction_and_decision_agree(before in 1u32..99, after in 1u32..99, bucket in 0u16..10_000) {
        let structure = crate::testing::structure(&json!({}), &json!([]));
        let (live, planned) = (at(&structure, 1, before), at(&structure, 2, after));
        let mut line = line(bucket, "ec2");
        line["route"] = "blogs".into();
        let report = run(&live, &planned, &[line]);
        let pool = |percent: u32| if u32::from(bucket) < percent * 100 { "ecs" } else { "ec2" };
        let moves = usize::from(pool(before) != pool(after));
        prop_assert_eq!(report.moves.len(), moves);
        prop_assert_eq!(report.users_moved, moves as u64);
    }
}
