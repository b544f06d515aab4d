//! The task on a control of its own: what was left undone, and what begins anew.

use canary::guard::{Armed, Evidence, Guard, Observed, Units};
use config::live::{Latch, Weights};
use serde_json::json;

use super::*;
use crate::control::fixture::{Rig, file, rig_in};
use crate::control::{Action, Order};
use crate::guard::ACTOR;
use crate::guard::watch::tests::rules;

/// A route with a guard, at 5 %, and a task that has not looked yet.
struct Site {
    rig: Rig,
    task: Task,
}

impl Site {
    fn new() -> Self {
        Self::with(json!({}))
    }

    fn with(guard: serde_json::Value) -> Self {
        let mut written = file(95, 5);
        written["routes"][0]["guard"] = guard;
        let rig = rig_in(tempfile::tempdir().unwrap(), written);
        let folder = rig.state_dir().join(FOLDER);
        let guards = Arc::<Guards>::default();
        guards.witnesses.align(&rig.control.standing().structure);
        let task = Task {
            guards,
            control: rig.control.clone(),
            metrics: Arc::new(Metrics::new()),
            ledger: Ledger::start(folder.clone()).unwrap(),
            folder,
            watches: HashMap::new(),
            window: now_ms() / WINDOW_MS,
        };
        Self { rig, task }
    }

    async fn order(&self, action: Action) {
        let order = Order {
            action,
            actor: "local".into(),
            reason: None,
            if_revision: None,
            dry_run: false,
        };
        self.rig.control.order(order).await.unwrap();
    }

    async fn give(&self, ec2: u32, ecs: u32) {
        let action = Action::Weights {
            route: "blogs".into(),
            weights: Weights::from([("ec2".into(), ec2), ("ecs".into(), ecs)]),
            bounds: config::live::Bounds::Kept,
        };
        self.order(action).await;
    }

    /// The file has another content from now on.
    async fn reload(&self, written: serde_json::Value) {
        *self.rig.file.lock().unwrap() = Ok(written);
        self.order(Action::Reload).await;
        // What the rest of the program does with a file, as far as guards see it.
        let standing = self.rig.control.standing();
        self.task.guards.witnesses.align(&standing.structure);
    }

    async fn look(&mut self) {
        self.task.second(now_ms()).await;
    }

    fn latch(&self) -> Latch {
        self.rig.control.standing().live.routes["blogs"].state
    }

    /// So many users of the canary have a request that fails.
    fn fail(&self, n: u16) {
        let witness = self.task.guards.witnesses.of("blogs").unwrap();
        for unit in 0..n {
            witness.observe(&crate::witness::Observation {
                side: crate::witness::Side::Canary,
                unit,
                outcome: crate::witness::Outcome::Failed,
                time_us: None,
            });
        }
    }

    fn attempt(&self) -> u32 {
        let watch = &self.task.watches["blogs"].watch;
        watch.guard().evidence().attempt
    }
}

/// Writes down what a guard has seen that trips, as of `revision`, and that it has tripped.
fn trips(site: &Site, revision: u64) {
    let mut guard = Guard::new(Evidence::new(rules()));
    let write = |line: Line| ledger::append(&site.task.folder, "blogs", &line).unwrap();
    write(Line::State {
        window: 0,
        revision,
        evidence: Box::new(guard.evidence().clone()),
    });
    for window in 1.. {
        let units = |from: u16, n: u16| (from..from + n).collect::<Units>();
        let first = window as u16 * 100;
        let observed = Observed {
            start_ms: window * WINDOW_MS,
            active: [units(first, 100), units(30_000 + first, 100)],
            errors: [units(first, 50), Units::default()],
            ..Observed::default()
        };
        let verdict = guard.close(&observed, Armed::Yes);
        let taken = verdict.taken;
        write(Line::Window { window, taken });
        if verdict.trip.is_some() {
            let why = "half of it fails".into();
            return write(Line::Trip {
                window,
                revision,
                why,
            });
        }
        assert!(window < 20, "no trip");
    }
}

#[tokio::test]
async fn a_trip_that_nothing_was_done_about_is_carried_out_after_a_restart_and_once() {
    let mut site = Site::new();
    trips(&site, 1);
    site.look().await;
    assert_eq!(site.latch(), Latch::RolledBack);
    let history = site.rig.control.history(10).await.unwrap();
    assert_eq!(
        (&*history[0].actor, history[0].reason.as_deref()),
        (ACTOR, Some("half of it fails"))
    );
    site.look().await;
    assert_eq!(
        site.rig.control.history(10).await.unwrap().len(),
        history.len()
    );
}

#[tokio::test]
async fn what_tripped_before_a_mark_was_lifted_does_not_count_after_it() {
    let mut site = Site::new();
    trips(&site, 1);
    let route = || "blogs".to_owned();
    site.order(Action::Rollback {
        route: Some(route()),
    })
    .await;
    site.order(Action::Resume { route: route() }).await;
    site.give(90, 10).await;
    site.look().await;
    assert_eq!((site.latch(), site.attempt()), (Latch::Normal, 2));
    assert_eq!(site.task.watches["blogs"].why, None);
}

#[tokio::test]
async fn what_tripped_and_was_taken_back_is_not_taken_back_again() {
    let mut site = Site::new();
    trips(&site, 1);
    site.order(Action::Rollback { route: None }).await;
    let revision = site.rig.control.standing().revision();
    site.look().await;
    assert_eq!(site.rig.control.standing().revision(), revision);
    assert_eq!(
        site.task.watches["blogs"].why.as_deref(),
        Some("half of it fails"),
        "it is still said"
    );
}

#[tokio::test]
async fn a_raise_after_an_alert_begins_another_attempt() {
    let mut site = Site::with(json!({ "on_trip": "alert" }));
    trips(&site, 1);
    site.look().await;
    let told = &site.task.watches["blogs"];
    assert_eq!(
        (told.why.as_deref(), told.pending.as_ref()),
        (Some("half of it fails"), None)
    );
    site.give(90, 10).await;
    site.look().await;
    assert_eq!((site.latch(), site.attempt()), (Latch::Normal, 2));
    assert_eq!(site.task.watches["blogs"].why, None);
}

#[tokio::test]
async fn a_rollback_that_was_lifted_between_two_looks_begins_another_attempt() {
    let mut site = Site::new();
    site.look().await;
    assert_eq!(site.attempt(), 1);
    let route = || "blogs".to_owned();
    site.order(Action::Rollback {
        route: Some(route()),
    })
    .await;
    site.order(Action::Resume { route: route() }).await;
    site.look().await;
    assert_eq!(site.attempt(), 2);
    site.give(90, 10).await;
    site.give(85, 15).await;
    site.look().await;
    assert_eq!(site.attempt(), 2, "two raises are no attempt");
}

#[tokio::test]
async fn a_route_that_left_the_file_and_came_back_is_another_attempt() {
    let mut site = Site::new();
    site.look().await;
    let whole = site.rig.file.lock().unwrap().clone().unwrap();
    let mut without = whole.clone();
    without["routes"].as_array_mut().unwrap().remove(0);
    site.reload(without.clone()).await;
    site.reload(whole.clone()).await;
    site.look().await;
    assert_eq!(site.attempt(), 2, "both between two looks");
    site.reload(without).await;
    site.look().await;
    assert!(!site.task.watches.contains_key("blogs"));
    site.reload(whole).await;
    // The lines are written by a thread of their own.
    while ledger::restore(&site.task.folder, "blogs").map(|it| it.evidence.attempt) != Some(2) {
        tokio::task::yield_now().await;
    }
    site.look().await;
    assert_eq!(site.attempt(), 3);
}

#[tokio::test]
async fn requests_are_seen_also_after_two_reloads_between_two_looks() {
    let mut site = Site::new();
    site.look().await;
    let whole = site.rig.file.lock().unwrap().clone().unwrap();
    let mut blind = whole.clone();
    blind["routes"][0].as_object_mut().unwrap().remove("guard");
    site.reload(blind).await;
    site.reload(whole).await;
    site.fail(30);
    site.look().await;
    assert_eq!(site.latch(), Latch::RolledBack);
}

#[tokio::test]
async fn a_spent_budget_freezes_the_route_and_resume_brings_another_one() {
    let mut site = Site::with(json!({ "on_trip": "alert", "budget": { "extra_errors": 5 } }));
    site.look().await;
    site.fail(6);
    site.look().await;
    assert_eq!(site.latch(), Latch::Frozen);
    let history = site.rig.control.history(1).await.unwrap();
    let reason = "budget: 6 failures of the canary more than stable would have had in this attempt, 5 are allowed";
    assert_eq!(
        (&*history[0].actor, history[0].reason.as_deref()),
        (ACTOR, Some(reason))
    );
    let view = site.task.guards.view("blogs").unwrap();
    assert_eq!(view.reason, reason);
    let spent = view.budget.unwrap();
    assert_eq!(
        (spent.reached, spent.extra_errors.map(|spent| spent.used)),
        (Some("extra_errors"), Some(6))
    );
    let route = || "blogs".to_owned();
    site.order(Action::Resume { route: route() }).await;
    site.look().await;
    assert_eq!((site.latch(), site.attempt()), (Latch::Normal, 2));
    site.fail(4);
    site.look().await;
    assert_eq!(site.latch(), Latch::Normal, "another budget");
}

#[tokio::test]
async fn whoever_sees_that_a_route_is_frozen_sees_what_was_spent() {
    let mut site = Site::with(json!({ "budget": { "extra_errors": 5 } }));
    site.look().await;
    let (mut notices, guards) = (site.rig.control.notices(), Arc::clone(&site.task.guards));
    let seen = tokio::spawn(async move {
        notices.recv().await.unwrap();
        guards.view("blogs").unwrap()
    });
    site.fail(6);
    site.look().await;
    assert_eq!(site.latch(), Latch::Frozen);
    let budget = seen.await.unwrap().budget.unwrap();
    assert_eq!(budget.reached, Some("extra_errors"));
}

#[tokio::test]
async fn what_was_taken_back_for_harm_is_not_told_to_have_spent_its_budget() {
    let mut site = Site::with(json!({ "budget": { "extra_errors": 5 } }));
    site.look().await;
    site.fail(30);
    for _ in 0..2 {
        site.look().await;
        assert_eq!(site.latch(), Latch::RolledBack);
        let why = site.task.watches["blogs"].why.as_deref();
        assert!(
            why.is_some_and(|why| why.starts_with("hard limit")),
            "{why:?}"
        );
    }
}
