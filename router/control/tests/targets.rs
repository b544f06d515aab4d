//! Targets registered and deregistered: durable before they are in force, and nobody else's business.

use std::net::SocketAddr;

use config::live::{Registration, TargetShift};

use super::*;

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn register(port: u16, weight: u64) -> Action {
    Action::Register {
        pool: "ecs".into(),
        targets: vec![Registration::new(at(port), Some(weight)).unwrap()],
    }
}

fn deregister(port: u16) -> Action {
    Action::Deregister {
        pool: "ecs".into(),
        targets: vec![at(port)],
        bounds: Bounds::Kept,
    }
}

impl Rig {
    fn observed(&self) -> Vec<String> {
        self.observed.lock().unwrap().clone()
    }

    /// Addresses and weights that operators registered at `ecs`.
    fn registered(&self) -> Vec<(SocketAddr, u32)> {
        let standing = self.control.standing();
        let edits = standing.live.targets.get("ecs").cloned();
        edits.unwrap_or_default().registered.into_iter().collect()
    }
}

#[tokio::test]
async fn a_registration_is_written_then_in_the_pool_then_in_force() {
    let rig = rig();
    let mut notices = rig.control.notices();
    let done = rig.ask(register(9, 2)).await.unwrap();
    assert_eq!((done.revision, done.durable), (2, Some(true)));
    assert!(done.in_force.is_some() && done.shifts.is_empty());
    let shift = TargetShift {
        address: at(9),
        before: None,
        after: Some(2),
    };
    assert_eq!(
        (done.pool.as_deref(), &*done.targets),
        (Some("ecs"), &[shift][..])
    );
    assert_eq!(rig.observed(), ["edited", "published 2", "in force"]);
    assert_eq!(verify(&rig.state_dir()).unwrap().last_revision, 2);
    let notice = notices.try_recv().unwrap();
    assert_eq!(
        notice.data["targets"]["ecs"]["127.0.0.1:9"]["after"],
        serde_json::json!({ "registered": 2 })
    );
    let standing = rig.control.standing();
    assert_eq!(standing.touched.targets["ecs"][&at(9)].actor, "token:ci");
}

#[tokio::test]
async fn without_a_disk_nothing_is_registered() {
    let rig = rig();
    rig.break_disk();
    for action in [register(9, 1), deregister(2)] {
        let refused = rig.ask(action).await.unwrap_err();
        assert!(matches!(refused, Rejection::Undurable(_)), "{refused}");
    }
    assert_eq!(rig.observed(), Vec::<String>::new());
    assert_eq!(rig.control.standing().revision(), 1);
}

#[tokio::test]
async fn a_dry_run_and_a_stale_order_leave_the_pool_alone() {
    let rig = rig();
    let dry = Order {
        dry_run: true,
        ..order(register(9, 1))
    };
    let done = rig.control.order(dry).await.unwrap();
    assert_eq!((done.targets[0].after, done.in_force), (Some(1), None));
    let stale = Order {
        if_revision: Some(7),
        ..order(register(9, 1))
    };
    assert!(rig.control.order(stale).await.is_err());
    assert_eq!(rig.observed(), Vec::<String>::new());
    assert_eq!(rig.registered(), []);
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_one_that_leaves_is_not_unknown() {
    let rig = rig();
    rig.ask(register(9, 1)).await.unwrap();
    let again = rig.ask(register(9, 1)).await.unwrap();
    assert_eq!((again.revision, again.durable), (2, Some(true)));
    assert_eq!(
        again.notes,
        ["127.0.0.1:9 is a target with weight 1 already"]
    );
    rig.ask(deregister(3)).await.unwrap();
    let again = rig.ask(deregister(3)).await.unwrap();
    assert_eq!(again.revision, 3);
    assert_eq!(again.notes, ["127.0.0.1:3 is deregistered already"]);
    let unknown = rig.ask(deregister(7)).await.unwrap_err();
    assert!(matches!(
        unknown,
        Rejection::Refused(Refusal::UnknownTargets { .. })
    ));
}

#[tokio::test]
async fn whoever_takes_the_last_healthy_target_is_warned() {
    let rig = rig();
    let done = rig.ask(deregister(2)).await.unwrap();
    assert_eq!(done.warnings, Vec::<String>::new());
    let forced = Action::Deregister {
        pool: "ecs".into(),
        targets: vec![at(3)],
        bounds: Bounds::Overridden,
    };
    assert!(rig.ask(deregister(3)).await.is_err());
    let done = rig.ask(forced).await.unwrap();
    assert_eq!(done.warnings, ["pool `ecs` has no target"]);
}

#[tokio::test]
async fn rollback_and_restore_leave_targets_alone_and_restore_says_so() {
    let rig = rig();
    let earlier = Live::clone(&rig.control.standing().live);
    rig.ask(register(9, 1)).await.unwrap();
    rig.ask(ROLLBACK).await.unwrap();
    rig.ask(resume()).await.unwrap();
    let restore = Action::Restore {
        earlier,
        bounds: Bounds::Kept,
    };
    let done = rig.ask(restore).await.unwrap();
    assert!(
        done.notes[0].contains("stay as they are"),
        "{:?}",
        done.notes
    );
    assert_eq!(rig.registered(), [(at(9), 1)]);
}

#[tokio::test]
async fn a_restart_and_a_reload_keep_what_was_registered_and_tell_it() {
    let mut rig = rig();
    rig.ask(register(9, 4)).await.unwrap();
    rig.control.shutdown(Duration::from_secs(5)).await;
    let folder = std::mem::replace(&mut rig.folder, tempfile::tempdir().unwrap());
    drop(rig);
    let rig = rig_in(folder, file(95, 5));
    assert_eq!(rig.registered(), [(at(9), 4)]);
    let standing = rig.control.standing();
    assert_eq!(
        standing.touched.targets["ecs"][&at(9)].reason.as_deref(),
        Some("why")
    );
    let done = rig.ask(Action::Reload).await.unwrap();
    let told = "pool `ecs`: 1 registered and 0 deregistered targets stay so".to_owned();
    assert!(done.notes.contains(&told), "{:?}", done.notes);
    assert_eq!(rig.registered(), [(at(9), 4)]);
}
