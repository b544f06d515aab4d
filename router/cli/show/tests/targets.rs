//! Golden texts about targets.

use super::*;

fn targets() -> Value {
    json!([
        {"address": "10.0.1.5:8080", "state": "healthy", "reason": null, "weight": 1, "in_flight": 12,
         "since": "2026-11-21T09:00:00.000Z", "source": "file", "change": null},
        {"address": "10.0.1.9:8080", "state": "initial", "reason": "Elb.InitialHealthChecking", "weight": 10,
         "in_flight": 0, "since": "2026-11-21T11:59:58.000Z", "source": "registered",
         "change": {"revision": 43, "time": "2026-11-21T11:59:58Z", "actor": "token:ci", "reason": null}},
        {"address": "[2001:db8::6]:8080", "state": "draining", "reason": "Target.DeregistrationInProgress",
         "weight": 1, "in_flight": 3, "since": "2026-11-21T11:59:40.000Z", "source": "discovered",
         "change": {"revision": 42, "time": "2026-11-21T11:59:40Z", "actor": "local", "reason": "ディスク満杯"}},
        {"address": "10.0.1.7:8080", "state": "unused", "reason": "Target.NotRegistered",
         "weight": 1, "in_flight": 0, "since": null, "source": null,
         "change": {"revision": 12, "time": "2026-11-01T11:59:40Z", "actor": "local", "reason": null}},
    ])
}

fn changed(before: &Value, after: &Value, note: &str) -> Value {
    json!({
        "revision": 43, "before": {"10.0.1.9:8080": before, "[2001:db8::6]:8080": 1},
        "after": {"10.0.1.9:8080": after, "[2001:db8::6]:8080": 1},
        "in_force_ms": 1.25, "durable": true, "note": note,
    })
}

#[test]
fn the_list_tells_how_each_is_and_what_to_type() {
    insta::assert_snapshot!(told(Show::Targets, &targets(), Some("ecs")));
}

#[test]
fn one_target_is_told_as_in_the_list() {
    insta::assert_snapshot!(told(Show::Targets, &targets()[2], Some("ecs")));
}

#[test]
fn registering_tells_what_came_and_the_way_back() {
    let note = "a new target takes requests after its first good health check";
    let document = changed(&Value::Null, &json!(1), note);
    insta::assert_snapshot!(told(Show::Registered, &document, Some("ecs")));
}

#[test]
fn deregistering_tells_how_long_what_is_in_flight_may_go_on() {
    let note =
        "no new request goes there; what is in flight may finish within 30s (deregistration_delay)";
    let document = json!({
        "revision": 43, "before": {"10.0.1.9:8080": 2}, "after": {"10.0.1.9:8080": null},
        "in_force_ms": 1.25, "durable": true, "note": note,
    });
    insta::assert_snapshot!(told(Show::Deregistered, &document, Some("ecs")));
}

#[test]
fn the_same_again_says_that_there_was_nothing_to_do() {
    let note = "10.0.1.9:8080 is a target with weight 1 already";
    let document = changed(&json!(1), &json!(1), note);
    let text = told(Show::Registered, &document, Some("ecs"));
    assert!(
        text.starts_with("nothing to do: registered already at pool ecs\n"),
        "{text}"
    );
    let document = json!({
        "revision": 43, "before": {"10.0.1.9:8080": null}, "after": {"10.0.1.9:8080": null}, "dry_run": true,
    });
    let text = told(Show::Deregistered, &document, Some("ecs"));
    assert!(
        text.contains("nothing to do: deregistered already from pool ecs\n"),
        "{text}"
    );
}

#[test]
fn history_tells_who_came_and_who_went() {
    let went = json!({"before": null, "after": "deregistered"});
    let came = |weight: u32| json!({"before": null, "after": {"registered": weight}});
    let back = json!({"before": "deregistered", "after": null});
    let other = json!({"before": {"registered": 1}, "after": {"registered": 5}});
    let entry = |revision: u64, kind: &str, edits: Value| {
        json!({"revision": revision, "time": "2026-11-21T11:58:30Z", "kind": kind, "actor": "local",
               "reason": null, "routes": {}, "targets": {"ecs": edits}})
    };
    let many: serde_json::Map<_, _> = (1..8)
        .map(|n| (format!("10.0.1.{n}:80"), came(1)))
        .collect();
    let document = json!([
        entry(5, "register", many.into()),
        entry(
            4,
            "register",
            json!({"10.0.1.5:80": back, "10.0.1.6:80": other, "10.0.1.8:80": came(9)})
        ),
        entry(
            3,
            "deregister",
            json!({"10.0.1.5:80": went, "10.0.1.7:80": {"before": {"registered": 1}, "after": null}})
        ),
    ]);
    insta::assert_snapshot!(told(Show::History, &document, None));
}

#[test]
fn status_tells_that_targets_are_taken_out() {
    let mut document = status();
    document["pools"][0]["deregistered"] = 1.into();
    let text = told(Show::Status, &document, None);
    assert!(text.contains("2 of 2, 1 taken out"), "{text}");
}
