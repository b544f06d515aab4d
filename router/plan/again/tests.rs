//! Lines of many revisions, explained.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::access_log::line::json as line_of;
use crate::testing::{served, snapshot, structure};
use config::decision::Reason;

#[track_caller]
fn again(snapshot: &Snapshot, line: &str) -> Again {
    let request = Request::read(line.trim_end()).unwrap();
    request.again(snapshot).unwrap()
}

/// The line of a client in `bucket` at `percent` for the canary, as the log writes it.
fn written(percent: u32, bucket: u16) -> (Snapshot, String) {
    let structure = structure(&json!({}), &json!([]));
    let snapshot = snapshot(&structure, u64::from(percent) + 7, percent);
    let pool = u16::from(u32::from(bucket) < percent * 100);
    let line = line_of(&served(pool, Reason::Weight, bucket), &snapshot);
    (snapshot, String::from_utf8(line).unwrap())
}

#[test]
fn a_line_is_explained_by_the_steps_to_its_decision() {
    let (snapshot, line) = written(5, 123);
    let again = again(&snapshot, &line);
    assert!(again.agrees, "{again:?}");
    assert_eq!(
        (again.logged.revision, again.logged.bucket),
        (12, Some(123))
    );
    assert_eq!(again.explanation.decision.pool.as_deref(), Some("ecs"));
    assert!(
        again
            .explanation
            .steps
            .iter()
            .any(|step| step.name == "bucket")
    );
}

#[test]
fn what_does_not_agree_is_said_with_why() {
    let structure = structure(&json!({}), &json!([]));
    let snapshot = snapshot(&structure, 1, 5);
    let line = line_of(&served(1, Reason::Flag, 9_000), &snapshot);
    let again = again(&snapshot, &String::from_utf8(line).unwrap());
    assert!(!again.agrees);
    assert!(again.notes[0].contains("flag"), "{:?}", again.notes);
}

/// The note on `line` by a snapshot that does not agree with it.
#[track_caller]
fn note(line: &str) -> String {
    let structure = structure(&json!({}), &json!([]));
    let snapshot = snapshot(&structure, 1, 5);
    let line = line.replace("DIGEST", &structure.digest);
    let again = again(&snapshot, &line);
    assert!(!again.agrees, "{again:?}");
    again.notes.concat()
}

#[test]
fn a_reason_is_blamed_only_where_it_can_be_why() {
    let line = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut line = json!({
            "log_version": 1, "client_ip": "192.0.2.7", "method": "GET", "path": "/", "host": "a.hatenablog.com",
            "config_digest": "DIGEST", "route": "blogs", "pool": "ecs", "reason": "flag", "bucket": 9_000,
        });
        change(&mut line);
        note(&line.to_string())
    };
    assert!(line(&|_| ()).contains("had a flag"));
    // Another route: the flag is not why.
    assert!(line(&|it| it["route"] = "beta".into()).contains("the route went by a cookie"));
    assert!(line(&|it| it["config_digest"] = "0123".into()).contains("another file decided"));
    let capped = line(&|it| {
        it["switched_from"] = "ecs".into();
        it["pool"] = "ec2".into();
        it["reason"] = "cap".into();
    });
    assert!(capped.contains("the pool first chosen"), "{capped}");
    assert!(line(&|it| it["reason"] = "weight".into()).contains("placed by what no log tells"));
}

#[test]
fn a_request_that_could_not_be_read_has_no_decision() {
    let line = r#"{"log_version":1,"client_ip":"192.0.2.7","method":null}"#;
    let structure = structure(&json!({}), &json!([]));
    let request = Request::read(line).unwrap();
    assert_eq!(request.again(&snapshot(&structure, 1, 5)), None);
    assert!(Request::read("http x").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_decision_on_any_line_of_any_revision_is_had_back(percent in 1u32..=99, bucket in 0u16..10_000) {
        let (snapshot, line) = written(percent, bucket);
        let again = again(&snapshot, &line);
        prop_assert!(again.agrees, "{:?}", again);
    }
}
