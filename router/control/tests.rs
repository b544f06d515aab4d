//! Orders and their outcomes, with disks that fail and hang.

use std::sync::atomic::Ordering;
use std::time::Duration;

use config::live::{Bounds, Latch, Refusal, Weights};

use super::fixture::{Rig, file, invalid, rig, rig_in};
use super::*;
use crate::journal::{Kind, verify};

mod lend;
mod targets;

fn order(action: Action) -> Order {
    Order {
        action,
        actor: "token:ci".into(),
        reason: Some("why".into()),
        if_revision: None,
        dry_run: false,
    }
}

fn weights(ecs: u32) -> Action {
    Action::Weights {
        route: "blogs".into(),
        weights: Weights::from([("ec2".into(), 100 - ecs), ("ecs".into(), ecs)]),
        bounds: Bounds::Kept,
    }
}

const ROLLBACK: Action = Action::Rollback { route: None };

fn resume() -> Action {
    Action::Resume {
        route: "blogs".into(),
    }
}

impl Rig {
    async fn ask(&self, action: Action) -> Result<Done, Rejection> {
        self.control.order(order(action)).await
    }
}

#[tokio::test]
async fn a_change_is_written_published_and_told_before_it_is_answered() {
    let rig = rig();
    let mut notices = rig.control.notices();
    let done = rig.ask(weights(30)).await.unwrap();
    assert_eq!(done.revision, 2);
    assert_eq!(done.durable, Some(true));
    assert!(done.in_force.is_some());
    assert_eq!(
        done.shifts[0].after,
        [("ec2".into(), 70), ("ecs".into(), 30)]
    );

    assert_eq!(rig.published_ecs(), 30);
    assert_eq!(verify(&rig.state_dir()).unwrap().last_revision, 2);
    assert_eq!(
        rig.control.standing().touched.routes["blogs"].actor,
        "token:ci"
    );
    assert_eq!(notices.try_recv().unwrap().revision, Some(2));
    assert_eq!(
        *rig.observed.lock().unwrap(),
        ["published 2".to_owned(), "in force".into()]
    );
    let history = rig.control.history(10).await.unwrap();
    assert_eq!(history[0].kind, Kind::Weights);
    assert_eq!(history[0].reason.as_deref(), Some("why"));
    assert_eq!(history[1].kind, Kind::Start);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let rig = rig();
    let dry = Order {
        dry_run: true,
        ..order(weights(30))
    };
    let done = rig.control.order(dry).await.unwrap();
    assert_eq!(
        (done.revision, done.in_force, done.durable),
        (2, None, None)
    );
    assert_eq!(rig.control.standing().revision(), 1);
    assert_eq!(verify(&rig.state_dir()).unwrap().last_revision, 1);
    assert_eq!(rig.published_ecs(), 5);
}

#[tokio::test]
async fn an_order_for_another_revision_is_stale() {
    let rig = rig();
    let stale = Order {
        if_revision: Some(7),
        ..order(weights(30))
    };
    assert_eq!(
        rig.control.order(stale).await.unwrap_err(),
        Rejection::Stale {
            current: 1,
            given: 7
        }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_orders_for_one_revision_exactly_one_wins() {
    let rig = rig();
    for revision in 1..4 {
        let orders: Vec<_> = (0..100)
            .map(|n| {
                let control = rig.control.clone();
                let asked = Order {
                    if_revision: Some(revision),
                    ..order(weights(1 + (n + revision as u32) % 40))
                };
                tokio::spawn(async move { control.order(asked).await })
            })
            .collect();
        let mut n_won = 0;
        for asked in orders {
            match asked.await.unwrap() {
                Ok(done) if done.revision == revision + 1 => n_won += 1,
                Ok(done) => {
                    assert_eq!(done.revision, revision, "only a repetition changes nothing")
                }
                Err(Rejection::Stale { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(n_won, 1);
        assert_eq!(rig.control.standing().revision(), revision + 1);
    }
}

#[tokio::test]
async fn without_a_disk_changes_are_refused_and_a_rollback_is_carried_out() {
    let rig = rig();
    rig.break_disk();
    let refused = rig.ask(weights(30)).await.unwrap_err();
    assert!(matches!(refused, Rejection::Undurable(_)), "{refused}");
    assert_eq!(rig.published_ecs(), 5);

    let done = rig.ask(ROLLBACK).await.unwrap();
    assert_eq!((done.revision, done.durable), (2, Some(false)));
    assert_eq!(rig.published_ecs(), 0);
    assert_eq!(
        rig.control.history(1).await.unwrap()[0].kind,
        Kind::Rollback
    );
    let again = rig.ask(ROLLBACK).await.unwrap();
    assert_eq!((again.revision, again.durable), (2, Some(false)));

    rig.mend_disk();
    while !rig.control.standing().unwritten.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(verify(&rig.state_dir()).unwrap().last_revision, 2);
    assert_eq!(rig.ask(resume()).await.unwrap().durable, Some(true));
}

#[tokio::test]
async fn a_rollback_overtakes_a_change_that_hangs_on_the_disk() {
    let rig = rig();
    rig.stall.store(true, Ordering::Release);
    let control = rig.control.clone();
    let change = tokio::spawn(async move { control.order(order(weights(30))).await });
    tokio::task::yield_now().await;
    let done = rig.ask(ROLLBACK).await.unwrap();
    assert_eq!((done.revision, done.durable), (2, Some(false)));
    assert_eq!(rig.published_ecs(), 0);
    let refused = change.await.unwrap().unwrap_err();
    assert!(matches!(refused, Rejection::Undurable(_)), "{refused}");

    rig.stall.store(false, Ordering::Release);
    while !rig.control.standing().unwritten.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(verify(&rig.state_dir()).unwrap().entries, 2);
    let kinds: Vec<_> = rig.control.history(9).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Rollback, Kind::Start]);
}

#[tokio::test]
async fn a_rollback_that_was_written_late_is_there_after_a_restart() {
    let Rig {
        control, folder, ..
    } = {
        let rig = rig();
        rig.break_disk();
        rig.ask(ROLLBACK).await.unwrap();
        rig.mend_disk();
        rig
    };
    control.shutdown(Duration::from_secs(5)).await;
    let again = rig_in(folder, file(95, 5));
    assert_eq!(again.published_ecs(), 0);
    assert_eq!(
        again.control.standing().live.routes["blogs"].state,
        Latch::RolledBack
    );
}

#[tokio::test]
async fn a_rollback_warns_when_stable_is_weak_and_is_carried_out() {
    let rig = rig();
    rig.health.lock().unwrap().healthy = 1;
    let done = rig.ask(ROLLBACK).await.unwrap();
    assert_eq!(
        done.warnings,
        ["stable pool `ec2` has 1 of 2 targets healthy, a minute ago 2".to_owned()]
    );
    assert_eq!(rig.published_ecs(), 0);
    assert!(
        rig.observed
            .lock()
            .unwrap()
            .contains(&"rolled back blogs token:ci".into())
    );
}

#[tokio::test]
async fn a_rollback_latches_until_resume() {
    let rig = rig();
    rig.ask(ROLLBACK).await.unwrap();
    let refused = rig.ask(weights(1)).await.unwrap_err();
    assert!(
        matches!(refused, Rejection::Refused(Refusal::Latched { .. })),
        "{refused}"
    );
    rig.ask(resume()).await.unwrap();
    rig.ask(weights(1)).await.unwrap();
    assert_eq!(rig.published_ecs(), 1);
}

#[tokio::test]
async fn a_reload_of_the_same_file_keeps_the_weights() {
    let rig = rig();
    rig.ask(weights(30)).await.unwrap();
    let done = rig.ask(Action::Reload).await.unwrap();
    assert_eq!(done.revision, 2);
    assert!(done.notes.iter().any(|note| note.contains("unchanged")));
    assert_eq!(rig.published_ecs(), 30);
}

#[tokio::test]
async fn a_reload_of_a_changed_block_wins_unless_it_is_held() {
    let rig = rig();
    *rig.file.lock().unwrap() = Ok(file(90, 10));
    let done = rig.ask(Action::Reload).await.unwrap();
    assert_eq!((done.revision, rig.published_ecs()), (2, 10));

    rig.ask(ROLLBACK).await.unwrap();
    *rig.file.lock().unwrap() = Ok(file(80, 20));
    let held = rig.ask(Action::Reload).await.unwrap();
    assert_eq!(held.held[0].route, "blogs");
    assert_eq!(rig.published_ecs(), 0);
    assert_eq!(held.revision, 4, "the rest of the file is taken");
    assert_eq!(rig.control.standing().warnings().len(), 1);

    rig.ask(resume()).await.unwrap();
    rig.ask(Action::Reload).await.unwrap();
    assert_eq!(rig.published_ecs(), 20);
    assert!(rig.control.standing().warnings().is_empty());
    let observed = rig.observed.lock().unwrap().clone();
    let reloads: Vec<_> = observed
        .iter()
        .filter(|text| text.starts_with("reloaded"))
        .collect();
    assert_eq!(
        reloads,
        ["reloaded applied", "reloaded held", "reloaded applied"]
    );
}

#[tokio::test]
async fn a_refused_file_leaves_everything_and_is_told() {
    let rig = rig();
    let mut notices = rig.control.notices();
    *rig.file.lock().unwrap() = Err(invalid(
        "kanaria.toml:3:1: unknown key `weigths`\n   |\n 3 | weigths = 1\n   | ^^^^^^^\n",
    ));
    let refused = rig.ask(Action::Reload).await.unwrap_err();
    assert!(refused.to_string().contains("unknown key `weigths`"));
    assert_eq!(notices.try_recv().unwrap().event, "config_refused");
    assert_eq!(rig.control.standing().revision(), 1);
    assert_eq!(
        rig.control.standing().warnings(),
        ["the file on disk is refused: kanaria.toml:3:1: unknown key `weigths`"]
    );
    assert_eq!(rig.ask(ROLLBACK).await.unwrap().durable, Some(true));
}

#[tokio::test]
async fn a_changed_listener_needs_a_restart() {
    let old = fixture::structure();
    let mut new = fixture::structure();
    new.listeners.push(config::snapshot::Listener {
        tls: None,
        id: config::ids::ListenerId(0),
        name: "public".into(),
        bind: "127.0.0.1:1".parse().unwrap(),
        h2c: false,
        proxy_protocol: config::model::ProxyProtocol::Off,
    });
    assert!(change::needs_restart(&old, &new).is_err());
    assert!(change::needs_restart(&old, &old).is_ok());
}

#[tokio::test]
async fn restore_brings_a_revision_back_and_says_which_there_are() {
    let rig = rig();
    rig.ask(weights(30)).await.unwrap();
    rig.ask(weights(40)).await.unwrap();
    let earlier = rig.control.state_at(2).await.unwrap();
    let restore = Action::Restore {
        earlier,
        bounds: Bounds::Kept,
    };
    assert_eq!(rig.ask(restore).await.unwrap().revision, 4);
    assert_eq!(rig.published_ecs(), 30);
    assert_eq!(
        rig.control.state_at(9).await.unwrap_err(),
        Rejection::NoRevision {
            revision: 9,
            first: 1,
            last: 4
        }
    );
}

#[tokio::test]
async fn a_request_that_still_waits_is_counted_in_the_answer() {
    let rig = rig();
    let _held = rig.publisher.hold();
    let done = rig.ask(weights(30)).await.unwrap();
    assert!(done.in_force.unwrap() >= Duration::from_millis(25));
    assert!(done.notes[0].starts_with("1 requests"), "{:?}", done.notes);
}
