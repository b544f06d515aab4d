//! The exposition, and what moves it.

use serde_json::json;

use super::*;
use crate::record::{Record, Upstream};
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

/// Metrics in which every series has moved.
fn moved() -> Metrics {
    let structure = structure(&json!({ "health_check": { "path": "/" } }), &json!([]));
    let metrics = Metrics::new();
    let pools = Arc::new(Pools::new());
    let ecs = Arc::clone(&pools.align(&structure)[1]);
    let tried = ["127.0.0.1:4001".parse().unwrap()];
    let lease = ecs.pick(&tried, Instant::now()).unwrap();
    ecs.failed(&lease, crate::pool::Failure::Refused);
    metrics.watch(pools);
    let snapshot = snapshot(&structure, 42, 5);
    metrics.published(&snapshot, Mover::File);
    metrics.in_force(Duration::from_micros(700));
    metrics.reloaded("refused");
    metrics.rolled_back("blogs", "token:ci");
    metrics.connection_opened("public", "HTTP/1.1");
    metrics.connection_opened("public", "HTTP/1.1");
    metrics.connection_closed("public", "HTTP/1.1");
    metrics.connection_refused("public", "max_connections");
    metrics.introduction_refused("public", "untrusted");
    metrics.access_log("logs/access.json", false);
    metrics.access_log("stdout", true);
    metrics.backlogs(&[("logs/access.json".into(), 17, true)]);
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
    metrics
}

#[test]
fn trips_of_every_cause_are_counted_from_the_start() {
    let metrics = Metrics::new();
    let guarded = Guarded {
        route: "blogs",
        state: "no_data",
        evidence: vec![("errors", 0.0)],
        has_budget: true,
    };
    metrics.guarded([guarded].into_iter());
    let text = metrics.gather();
    for cause in ["errors", "hard_limit", "budget_users"] {
        let line = format!("kanaria_guard_trips_total{{metric=\"{cause}\",route=\"blogs\"}} 0\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn the_exposition() {
    insta::assert_snapshot!(text(&moved()));
}

/// First and second cell of the row of `name` in a table of docs/metrics.md.
fn row(name: &str) -> Option<(&'static str, &'static str)> {
    let start = format!("| `{name}` | ");
    let rows = include_str!("../../docs/metrics.md").lines();
    let mut cells = rows.filter_map(|line| line.strip_prefix(&*start)?.split_once(" | "));
    cells.next()
}

#[test]
fn the_page_names_every_series_with_its_labels() {
    let text = moved().gather();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = names.filter_map(|rest| rest.split(' ').next());
    for name in names.filter(|name| name.starts_with("kanaria_")) {
        let (labels, _) = row(name).unwrap_or_else(|| panic!("docs/metrics.md: no row for {name}"));
        let sample = text.lines().find(|line| line.starts_with(name)).unwrap();
        let pairs = sample.split_once('{').map_or("", |(_, rest)| rest);
        let mut expected: Vec<_> = pairs
            .split("\",")
            .filter_map(|pair| Some(pair.split_once("=\"")?.0))
            .filter(|label| *label != "le")
            .collect();
        let mut written: Vec<_> = labels
            .split(", ")
            .filter(|label| !label.is_empty())
            .collect();
        expected.sort_unstable();
        written.sort_unstable();
        assert_eq!(written, expected, "docs/metrics.md: labels of {name}");
    }
}

#[test]
fn the_page_names_every_cause_with_its_status_and_its_fault() {
    for cause in Cause::ALL {
        let name = cause.as_str();
        let (status, rest) =
            row(name).unwrap_or_else(|| panic!("docs/metrics.md: no row for {name}"));
        assert_eq!(status, cause.status().to_string(), "{name}");
        let whose = match cause.blame() {
            Blame::Client => "client",
            Blame::Router => "kanaria",
            Blame::Target => "target",
        };
        assert!(
            rest.starts_with(whose),
            "{name} is the fault of {whose}: {rest}"
        );
    }
}

#[test]
fn series_have_help_and_process_figures_are_there() {
    let text = Metrics::new().gather();
    assert!(text.contains("# HELP kanaria_build_info The version that runs.\n"));
    assert!(text.contains("\nprocess_open_fds "));
}

/// One route with all that can be counted of it, and two tokens.
fn eventful() -> Arc<Structure> {
    let token =
        |name: &str, role: &str| json!({ "name": name, "role": role, "sha256": "0".repeat(64) });
    let config = json!({
        "version": 1,
        "admin": { "tokens": [token("ci", "operator"), token("board", "viewer")] },
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": { "ec2": { "targets": ["127.0.0.1:1"] }, "ecs": { "targets": ["127.0.0.1:2"] } },
        "routes": [{
            "name": "blogs", "stable": "ec2", "weights": { "ec2": 95, "ecs": 5 },
            "guard": {}, "cap": { "max_rps": 1 }, "fallback": ["ec2"],
        }],
    });
    let config: config::model::Config = serde_json::from_value(config).unwrap();
    Arc::new(Structure::compile(&config).unwrap())
}

#[test]
fn what_an_alert_waits_for_is_there_before_its_first_event() {
    let metrics = Metrics::new();
    metrics.published(&snapshot(&eventful(), 1, 5), Mover::File);
    let text = metrics.gather();
    for series in [
        "reloads_total{result=\"refused\"}",
        "reloads_total{result=\"held\"}",
        "rollbacks_total{actor=\"guard\",route=\"blogs\"}",
        "rollbacks_total{actor=\"local\",route=\"blogs\"}",
        "rollbacks_total{actor=\"token:ci\",route=\"blogs\"}",
        "pool_switches_total{cause=\"cap\",route=\"blogs\"}",
        "pool_switches_total{cause=\"failover\",route=\"blogs\"}",
        "pool_switches_total{cause=\"fallback\",route=\"blogs\"}",
        "pool_switches_total{cause=\"unexplained\",route=\"blogs\"}",
    ] {
        assert!(
            text.contains(&format!("\nkanaria_{series} 0\n")),
            "{series}"
        );
    }
    // Who may only look rolls nothing back.
    assert!(!text.contains("token:board"));
}

#[test]
fn shares_are_of_users_that_the_weights_placed_and_of_all_requests() {
    let structure = structure(&json!({}), &json!([]));
    let metrics = Metrics::new();
    let snapshot = snapshot(&structure, 1, 25);
    metrics.published(&snapshot, Mover::File);
    check_ratio(&metrics, "ecs", "asked", Some(0.25));
    check_ratio(&metrics, "ecs", "users", None);
    for (pool, bucket, times) in [(1, 0, 6), (0, 9_999, 1), (0, 5_000, 1), (0, 7_777, 2)] {
        for _ in 0..times {
            metrics.finished(&served(pool, Reason::Weight, bucket), &snapshot);
        }
    }
    metrics.finished(&served(1, Reason::Flag, 6_000), &snapshot);
    check_ratio(&metrics, "ecs", "requests", Some(7.0 / 11.0));
    check_ratio(&metrics, "ecs", "users", Some(0.25));
    check_ratio(&metrics, "ec2", "users", Some(0.75));
    let shares = metrics.shares("blogs");
    assert_eq!(shares[1].requests, Some(7.0 / 11.0));
    let drift = shares[1].drift.as_ref().unwrap();
    let part = |cause: &str| drift.parts.iter().find(|part| part.0 == cause).unwrap().1;
    assert_eq!(
        (part("flags").requests, part("heavy_users").requests),
        (1, 6)
    );
    let sum: f64 = drift.parts.iter().map(|part| part.1.moves).sum();
    assert!((sum - (7.0 / 11.0 - 0.25)).abs() < 1e-12, "{drift:?}");
    assert!(metrics.shares("unknown").is_empty());
}

#[test]
fn shares_start_anew_when_the_weights_change_and_only_then() {
    let metrics = Metrics::new();
    let first = structure(&json!({}), &json!([]));
    let before = snapshot(&first, 1, 25);
    metrics.published(&before, Mover::File);
    metrics.finished(&served(1, Reason::Weight, 3), &before);
    let reloaded = structure(&json!({}), &json!([]));
    metrics.published(&snapshot(&reloaded, 2, 25), Mover::File);
    check_ratio(&metrics, "ecs", "requests", Some(1.0));
    metrics.published(&snapshot(&reloaded, 3, 50), Mover::File);
    check_ratio(&metrics, "ecs", "requests", None);
    metrics.finished(&served(1, Reason::Weight, 3), &snapshot(&reloaded, 2, 25));
    check_ratio(&metrics, "ecs", "requests", None);
}

#[test]
fn requests_of_a_file_no_longer_in_force_are_counted_under_its_names() {
    let metrics = Metrics::new();
    let old = structure(&json!({}), &json!([]));
    let request = snapshot(&old, 1, 5);
    metrics.published(&request, Mover::File);
    metrics.finished(&record(), &request);
    metrics.published(
        &snapshot(&structure(&json!({}), &json!([])), 2, 5),
        Mover::File,
    );
    metrics.finished(&record(), &request);
    let line = "kanaria_requests_total{code=\"200\",partition=\"blogs\",pool=\"ecs\",reason=\"weight\",route=\"blogs\"} 2\n";
    assert!(metrics.gather().contains(line));
}

#[track_caller]
fn check_switches(metrics: &Metrics, expected: &[(&str, u64)]) {
    let text = metrics.gather();
    let start = "kanaria_pool_switches_total{cause=\"";
    let counted: Vec<(&str, u64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(start)?.split_once("\",route=\"blogs\"} "))
        .map(|(cause, n)| (cause, n.parse().unwrap()))
        .filter(|(_, n)| *n > 0)
        .collect();
    assert_eq!(counted, expected);
}

#[test]
fn a_known_client_that_another_pool_serves_is_counted_by_its_cause() {
    let metrics = Metrics::new();
    let file = structure(&json!({}), &json!([]));
    let (first, second) = (snapshot(&file, 1, 5), snapshot(&file, 2, 50));
    metrics.published(&first, Mover::File);
    metrics.finished(&served(0, Reason::Weight, 2_000), &first);
    metrics.published(&second, Mover::Ramp);
    metrics.finished(&served(1, Reason::Weight, 2_000), &second);
    check_switches(&metrics, &[("ramp", 1)]);
    // What we answer ourselves comes from no pool.
    let unserved = Record {
        upstream: Some(Upstream {
            status: None,
            ..record().upstream.unwrap()
        }),
        ..served(0, Reason::Flag, 2_000)
    };
    metrics.finished(&unserved, &second);
    check_switches(&metrics, &[("ramp", 1)]);
}

#[test]
fn a_request_of_a_file_no_longer_in_force_is_a_switch_too() {
    let metrics = Metrics::new();
    let (old, new) = (
        structure(&json!({}), &json!([])),
        structure(&json!({}), &json!([])),
    );
    let (before, after) = (snapshot(&old, 1, 50), snapshot(&new, 2, 50));
    metrics.published(&before, Mover::File);
    metrics.finished(&served(1, Reason::Weight, 2_000), &before);
    metrics.published(&after, Mover::File);
    metrics.finished(&served(0, Reason::Flag, 2_000), &before);
    metrics.finished(&served(1, Reason::Weight, 2_000), &after);
    check_switches(&metrics, &[("flag", 2)]);
}

#[test]
fn upgraded_connections_do_not_count_as_slow_requests() {
    let metrics = Metrics::new();
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 1, 5);
    metrics.published(&snapshot, Mover::File);
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
