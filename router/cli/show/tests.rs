//! Golden texts of canned answers.

use serde_json::{Value, json};

use super::{Show, answer};
use crate::cli::Surroundings;

mod targets;

fn plain() -> Surroundings {
    Surroundings {
        admin: None,
        token: None,
        color: false,
        width: None,
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
        called: "kanaria".into(),
    }
}

fn told(show: Show, document: &Value, route: Option<&str>) -> String {
    answer(show, document, route, &plain())
}

fn blogs() -> Value {
    json!({
        "name": "blogs", "stable": "ec2", "weights": {"ec2": 95, "ecs": 5},
        "owner": "live", "state": "normal",
        "share": {
            "asked": {"ec2": 0.95, "ecs": 0.05},
            "users": {"ec2": 0.9502, "ecs": 0.0498},
            "requests": {"ec2": 0.9611, "ecs": 0.0389},
        },
        "since": "2026-11-21T09:00:00.000000Z", "actor": "token:ci", "reason": "first step",
    })
}

fn status() -> Value {
    json!({
        "version": "0.1.0", "revision": 41, "config_digest": "0123456789ab",
        "started_at": "2026-11-18T11:00:00Z", "state": "new",
        "routes": [blogs(), {
            "name": "images", "stable": "ec2", "weights": {"ec2": 1, "ecs": 0},
            "owner": "file", "state": "rolled_back",
            "share": {"asked": {"ec2": 1.0, "ecs": 0.0}, "users": null, "requests": {"ec2": null}},
        }],
        "pools": [
            {"name": "ec2", "healthy": 2, "total": 2},
            {"name": "ecs", "healthy": 0, "total": 2, "out": [
                {"address": "10.0.0.1:80", "state": "unhealthy", "reason": "Target.ResponseCodeMismatch", "description": "503, expected 200"},
                {"address": "10.0.0.2:80", "state": "initial", "reason": "Elb.InitialHealthChecking", "description": null},
            ], "discovery": {
                "by": "dns web.ecs.internal:8080", "targets": 2, "answered": true, "age_s": 305.2,
                "failure": "the name server answers SERVFAIL", "failing_s": 300.1,
            }},
            {"name": "preview", "healthy": 0, "total": 1, "out": [
                {"address": "10.0.0.3:80", "state": "unhealthy", "reason": "Target.FailedHealthChecks", "description": "connection refused"},
            ], "discovery": {
                "by": "file preview.json", "targets": 1, "answered": true, "age_s": 0.4,
                "failure": null, "failing_s": null,
            }},
        ],
    })
}

/// `blogs` with more at its canary than was asked for.
fn drifted() -> Value {
    let cause = |moves: f64, requests: u64| json!({ "moves": moves, "requests": requests });
    let mut route = blogs();
    route["share"]["requests"] = json!({"ec2": 0.92, "ecs": 0.08});
    route["share"]["drift"] = json!({"ecs": {
        "users": { "low": 0.0461, "high": 0.0538 }, "requests": { "low": 0.071, "high": 0.0901 },
        "causes": {
            "cap": cause(-0.01, 1200), "cookieless": cause(0.00001, 17), "failover": cause(0.0, 0),
            "fallback": cause(0.0, 0), "flags": cause(0.025, 3000), "heavy_users": cause(0.0152, 9100),
            "pins": cause(0.0, 0), "users": cause(-0.0002, 9100),
        },
    }});
    route
}

#[test]
fn a_drift_is_told_with_its_causes_and_what_chance_could_do() {
    insta::assert_snapshot!(told(Show::Route, &drifted(), Some("blogs")));
}

#[test]
fn what_chance_could_do_is_no_drift() {
    let mut route = drifted();
    route["share"]["drift"]["ecs"]["requests"]["low"] = json!(0.049);
    let told = told(Show::Route, &route, Some("blogs"));
    assert!(!told.contains("flags"), "{told}");
}

fn rolled_back() -> Value {
    json!({
        "revision": 42,
        "before": {"blogs": {"ec2": 95, "ecs": 5}, "images": {"ec2": 1, "ecs": 0}},
        "after": {"blogs": {"ec2": 1, "ecs": 0}, "images": {"ec2": 1, "ecs": 0}},
        "in_force_ms": 1.25, "durable": true,
        "warnings": ["pool `ec2` has fewer healthy targets than a minute ago: 1 of 2"],
    })
}

#[test]
fn status_tells_what_is_live_and_who_set_it() {
    insta::assert_snapshot!(told(Show::Status, &status(), None));
}

#[test]
fn one_route_ends_with_what_to_type() {
    let mut document = blogs();
    document["pools"] = status()["pools"].take();
    insta::assert_snapshot!(told(Show::Route, &document, None));
}

#[test]
fn weights_tell_before_after_and_who_moves() {
    let document = json!({
        "revision": 42, "before": {"ec2": 95, "ecs": 5}, "after": {"ec2": 70, "ecs": 30},
        "in_force_ms": 12.4, "durable": true,
    });
    insta::assert_snapshot!(told(Show::Weights, &document, Some("blogs")));
}

#[test]
fn rollback_of_everything_names_each_route() {
    insta::assert_snapshot!(told(Show::Rollback, &rolled_back(), None));
}

#[test]
fn rollback_that_could_not_be_written_is_loud() {
    let mut document = rolled_back();
    document["durable"] = false.into();
    document["warnings"] = json!([]);
    insta::assert_snapshot!(told(Show::Rollback, &document, None));
}

#[test]
fn rollback_again_says_that_there_was_nothing_to_do() {
    let document = json!({
        "revision": 42, "before": {"ec2": 1, "ecs": 0}, "after": {"ec2": 1, "ecs": 0},
        "in_force_ms": 0.2, "durable": true,
    });
    insta::assert_snapshot!(told(Show::Rollback, &document, Some("blogs")));
}

#[test]
fn a_dry_run_says_that_nothing_is_changed() {
    let document = json!({
        "revision": 41, "before": {"ec2": 70, "ecs": 20, "eks": 10},
        "after": {"ec2": 40, "ecs": 40, "eks": 20}, "dry_run": true, "durable": true,
    });
    insta::assert_snapshot!(told(Show::Weights, &document, Some("blogs")));
}

#[test]
fn history_reads_newest_first_and_shows_the_operators_language() {
    let document = json!([
        {"revision": 42, "time": "2026-11-21T11:58:30.123456Z", "kind": "rollback", "actor": "local",
         "reason": "ECS で 5xx が増えた", "routes": {"blogs": {
            "before": {"weights": {"ec2": 95, "ecs": 5}, "state": "normal"},
            "after": {"weights": {"ec2": 1, "ecs": 0}, "state": "rolled_back"}}}},
        {"revision": 41, "time": "2026-11-21T09:00:00Z", "kind": "weights", "actor": "token:ci",
         "reason": null, "routes": {"blogs": {
            "before": {"weights": {"ec2": 1, "ecs": 0}, "state": "normal"},
            "after": {"weights": {"ec2": 95, "ecs": 5}, "state": "normal"}}}},
        {"revision": 40, "time": "2026-11-21T08:59:00Z", "kind": "reshuffle", "actor": "local",
         "reason": null, "routes": {}, "epochs": {"default": {"before": null, "after": 1}}},
        {"revision": 1, "time": "2026-11-20T09:00:00Z", "kind": "start", "actor": "file",
         "reason": null, "routes": {"blogs": {
            "before": null, "after": {"weights": {"ec2": 1, "ecs": 0}, "state": "normal"}}}},
    ]);
    insta::assert_snapshot!(told(Show::History, &document, None));
}

#[test]
fn explanation_ends_with_the_decision() {
    let document = json!({
        "steps": [
            {"name": "partition", "text": "host blog.example.com is in partition blogs"},
            {"name": "route", "text": "route blogs matches"},
            {"name": "weight", "text": "bucket 123 is below 500, the upper edge of ecs"},
        ],
        "decision": {"route": "blogs", "pool": "ecs", "reason": "weight", "bucket": 123, "flag": null},
    });
    insta::assert_snapshot!(told(Show::Explanation, &document, None));
}

#[test]
fn no_line_of_a_table_is_wider_than_the_terminal() {
    let mut document = status();
    document["routes"][0]["reason"] = "理由 ".repeat(100).into();
    let surroundings = Surroundings {
        width: Some(60),
        ..plain()
    };
    let text = answer(Show::Status, &document, None, &surroundings);
    let wide = |line: &&str| line.starts_with("  ") && crate::cli::words::columns(line) > 60;
    assert_eq!(text.lines().find(wide), None);
}

#[test]
fn color_comes_only_when_it_is_asked_for() {
    let surroundings = Surroundings {
        color: true,
        ..plain()
    };
    for show in [Show::Status, Show::Rollback] {
        let document = if show == Show::Status {
            status()
        } else {
            rolled_back()
        };
        assert!(answer(show, &document, None, &surroundings).contains("\u{1b}["));
        assert!(!told(show, &document, None).contains('\u{1b}'));
    }
}

#[test]
fn an_answer_of_an_unknown_shape_is_printed_as_it_is() {
    let document = json!({"routes": 1});
    assert_eq!(
        told(Show::Status, &document, None),
        "{\n  \"routes\": 1\n}\n"
    );
}
