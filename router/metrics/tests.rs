//! The exposition, and what moves it.

use serde_json::json;

use super::*;
use crate::record::Record;
use crate::testing::{record, served, snapshot, structure, unreadable};
use config::decision::Reason;

/// The exposition without what differs from run to run and without buckets.
fn text(metrics: &Metrics) -> String {
    let text = metrics.gather();
    let lines = text.lines().filter(|line| {
        let noise = ["process_", "# HELP", "# TYPE"];
        !noise.iter().any(|start| line.starts_with(start)) && !line.contains("_bucket{")
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn check_ratio(metrics: &Metrics, pool: &str, kind: &str, expected: Option<f64>) {
    let start = format!("kanaria_weight_ratio{{kind=\"{kind}\",pool=\"{pool}\",route=\"blogs\"}} ");
    let text = metrics.gather();
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    assert_eq!(value.map(|value| value.parse().unwrap()), expected);
}

#[test]
fn the_exposition() {
    let structure = structure(&json!({}), &json!([]));
    let metrics = Metrics::new();
    let pools = Arc::new(Pools::new());
    let ecs = Arc::clone(&pools.align(&structure)[1]);
    let tried = ["127.0.0.1:4001".parse().unwrap()];
    let lease = ecs.pick(&tried, Instant::now()).unwrap();
    lease.failed(crate::pool::Failure::Refused);
    metrics.watch(pools);
    let snapshot = snapshot(&structure, 42, 5);
    metrics.published(&snapshot);
    metrics.in_force(Duration::from_micros(700));
    metrics.reloaded("refused");
    metrics.rolled_back("blogs", "token:ci");
    metrics.connection_opened("public");
    metrics.connection_opened("public");
    metrics.connection_closed("public");
    metrics.access_log("logs/access.json");
    metrics.finished(&record(), &snapshot);
    metrics.finished(&unreadable(), &snapshot);
    let switched = Record {
        switched_from: Some(config::ids::PoolId(1)),
        ..served(0, Reason::Failover, 7)
    };
    metrics.finished(&switched, &snapshot);
    let nothing_sent = Record {
        status: 0,
        ..served(0, Reason::Flag, 8)
    };
    metrics.finished(&nothing_sent, &snapshot);
    let odd = Record {
        status: 999,
        ..served(0, Reason::Weight, 9)
    };
    metrics.finished(&odd, &snapshot);
    insta::assert_snapshot!(text(&metrics));
}

#[test]
fn series_have_help_and_process_figures_are_there() {
    let text = Metrics::new().gather();
    assert!(text.contains("# HELP kanaria_build_info The version that runs.\n"));
    assert!(text.contains("\nprocess_open_fds "));
}

#[test]
fn shares_are_of_users_and_requests_that_the_weights_placed() {
    let structure = structure(&json!({}), &json!([]));
    let metrics = Metrics::new();
    let snapshot = snapshot(&structure, 1, 25);
    metrics.published(&snapshot);
    check_ratio(&metrics, "ecs", "asked", Some(0.25));
    check_ratio(&metrics, "ecs", "users", None);
    for (pool, bucket, times) in [(1, 0, 6), (0, 9_999, 1), (0, 5_000, 1), (0, 7_777, 2)] {
        for _ in 0..times {
            metrics.finished(&served(pool, Reason::Weight, bucket), &snapshot);
        }
    }
    metrics.finished(&served(1, Reason::Flag, 6_000), &snapshot);
    check_ratio(&metrics, "ecs", "requests", Some(0.6));
    check_ratio(&metrics, "ecs", "users", Some(0.25));
    check_ratio(&metrics, "ec2", "users", Some(0.75));
    let shares = metrics.shares("blogs");
    assert_eq!(shares[1].requests, Some(0.6));
    assert!(metrics.shares("unknown").is_empty());
}

#[test]
fn shares_start_anew_when_the_weights_change_and_only_then() {
    let metrics = Metrics::new();
    let first = structure(&json!({}), &json!([]));
    let before = snapshot(&first, 1, 25);
    metrics.published(&before);
    metrics.finished(&served(1, Reason::Weight, 3), &before);
    let reloaded = structure(&json!({}), &json!([]));
    metrics.published(&snapshot(&reloaded, 2, 25));
    check_ratio(&metrics, "ecs", "requests", Some(1.0));
    metrics.published(&snapshot(&reloaded, 3, 50));
    check_ratio(&metrics, "ecs", "requests", None);
    metrics.finished(&served(1, Reason::Weight, 3), &snapshot(&reloaded, 2, 25));
    check_ratio(&metrics, "ecs", "requests", None);
}

#[test]
fn requests_of_a_file_no_longer_in_force_are_counted_under_its_names() {
    let metrics = Metrics::new();
    let old = structure(&json!({}), &json!([]));
    let request = snapshot(&old, 1, 5);
    metrics.published(&request);
    metrics.finished(&record(), &request);
    metrics.published(&snapshot(&structure(&json!({}), &json!([])), 2, 5));
    metrics.finished(&record(), &request);
    let line = "kanaria_requests_total{code=\"200\",partition=\"blogs\",pool=\"ecs\",reason=\"weight\",route=\"blogs\"} 2\n";
    assert!(metrics.gather().contains(line));
}

#[test]
fn upgraded_connections_do_not_count_as_slow_requests() {
    let metrics = Metrics::new();
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 1, 5);
    metrics.published(&snapshot);
    metrics.finished(
        &Record {
            status: 101,
            ..record()
        },
        &snapshot,
    );
    let count = "kanaria_request_duration_seconds_count{partition=\"blogs\",pool=\"ecs\",route=\"blogs\"} 0\n";
    assert!(metrics.gather().contains(count));
}
