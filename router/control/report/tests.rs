//! Reports of journals and accounts that are known.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::control::fixture::{Rig, file, rig_in};
use crate::control::{Action, Order};

async fn order(rig: &Rig, action: Action, reason: &str) {
    let order = Order {
        action,
        actor: "token:ann".into(),
        reason: Some(reason.into()),
        if_revision: None,
        dry_run: false,
    };
    rig.control.order(order).await.unwrap();
}

fn weights(ec2: u32, ecs: u32) -> Action {
    Action::Weights {
        route: "blogs".into(),
        weights: Weights::from([("ec2".into(), ec2), ("ecs".into(), ecs)]),
        bounds: config::live::Bounds::Kept,
    }
}

#[tokio::test]
async fn a_report_has_stages_incidents_and_who_did_what() {
    let rig = rig_in(tempfile::tempdir().unwrap(), file(95, 5));
    order(&rig, weights(80, 20), "more").await;
    order(&rig, Action::Rollback { route: None }, "errors").await;
    let route = "blogs".to_owned();
    order(&rig, Action::Resume { route }, "mended").await;
    let report = rig.control.report("blogs").await.unwrap();
    let stages: Vec<_> = report
        .stages
        .iter()
        .map(|stage| (stage.shares["ecs"], stage.actor.as_str(), stage.verdict))
        .collect();
    assert_eq!(
        stages,
        [
            (5.0, "file", "no_data"),
            (20.0, "token:ann", "no_data"),
            (0.0, "token:ann", "no_data")
        ]
    );
    assert_eq!(report.stages[1].to.as_ref(), Some(&report.stages[2].from));
    assert_eq!(report.stages[2].to, None);
    let incidents: Vec<_> = report
        .incidents
        .iter()
        .map(|it| (it.what, it.reason.as_deref().unwrap()))
        .collect();
    assert_eq!(incidents, [("rollback", "errors"), ("resume", "mended")]);
    let kinds: Vec<_> = report.changes.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["start", "weights", "rollback", "resume"]);
    assert!(report.at.ends_with('Z') && report.stages[0].from.ends_with('Z'));
}

#[tokio::test]
async fn a_route_that_came_back_has_a_report_of_its_own() {
    let rig = rig_in(tempfile::tempdir().unwrap(), file(95, 5));
    order(&rig, weights(80, 20), "more").await;
    let whole = rig.file.lock().unwrap().clone();
    let mut without = whole.clone().unwrap();
    without["routes"].as_array_mut().unwrap().remove(0);
    for file in [Ok(without), whole] {
        *rig.file.lock().unwrap() = file;
        order(&rig, Action::Reload, "file").await;
    }
    let report = rig.control.report("blogs").await.unwrap();
    assert_eq!(report.changes.len(), 1);
    assert_eq!(report.stages[0].shares["ecs"], 5.0);
    assert!(rig.control.report("nobody").await.is_err());
}

#[test]
fn a_verdict_is_what_there_is_enough_evidence_of() {
    let harm = |log_evidence| {
        Some(HarmView {
            metric: "errors",
            log_evidence,
            threshold: 7.0,
        })
    };
    for (windows, log_evidence, no_harm, expected) in [
        (0, 0.0, 0.0, "no_data"),
        (9, 1.0, 1.0, "open"),
        (9, 1.0, 3.5, "no_harm"),
        (9, 7.5, 3.5, "harm"),
    ] {
        let sum = SumView {
            windows,
            harm: harm(log_evidence),
            no_harm,
            no_harm_threshold: 3.0,
            ..SumView::default()
        };
        assert_eq!(sum.verdict(), expected);
    }
}

#[test]
fn a_trip_that_led_to_nothing_is_an_incident_too() {
    let time = "2026-11-27T02:00:00.123456Z";
    let written = json!({
        "revision": 1, "time": time, "kind": "start", "actor": "file", "reason": null, "config_digest": "0",
        "routes": { "web": { "before": null, "after": {
            "weights": { "ec2": 90, "ecs": 10 }, "block": { "ec2": 90, "ecs": 10 }, "owner": "file", "state": "normal",
        } } },
    });
    let entries = [serde_json::from_value::<Entry>(written).unwrap()];
    let told = Told::of("web", &entries);
    let later = ms(time) + Duration::from_secs(60).as_millis() as u64;
    let account = Account {
        trips: vec![
            (5_000, "of a route before it".into()),
            (later, "errors".into()),
        ],
        ..Account::default()
    };
    let incidents = told.incidents(&account);
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        (&*incidents[0].time, incidents[0].what),
        ("2026-11-27T02:01:00Z", "trip")
    );
}
