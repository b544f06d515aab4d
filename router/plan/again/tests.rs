//! Lines of many revisions, explained.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::access_log::line::json as line_of;
use crate::testing::{served, snapshot, structure};
use config::decision::Reason;

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
    let again = again(&snapshot, line.trim_end()).unwrap();
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
    let again = again(&snapshot, String::from_utf8(line).unwrap().trim_end()).unwrap();
    assert!(!again.agrees);
    assert!(again.notes[0].contains("flag"), "{:?}", again.notes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_decision_on_any_line_of_any_revision_is_had_back(percent in 1u32..=99, bucket in 0u16..10_000) {
        let (snapshot, line) = written(percent, bucket);
        let again = again(&snapshot, line.trim_end()).unwrap();
        prop_assert!(again.agrees, "{:?}", again);
    }
}
