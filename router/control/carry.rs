//! Carrying a change out: compile, make durable, publish, confirm, tell. A rollback is published before it is durable.

use std::sync::Arc;
use std::time::Duration;

use config::live::{Change, Edit, LiveRamp, LiveRoute, Phase};
use config::snapshot::{Snapshot, Structure};
use jiff::Timestamp;
use tokio::time::Instant;

use super::persist::{self, URGENT};
use super::task::{Retry, Task};
use super::{Action, Done, Notice, Observation, Order, Rejection, Standing, change};
use crate::journal::Entry;

/// A change is answered at the latest so long after it was published, also when older requests are still to be sent.
const CONFIRM: Duration = Duration::from_millis(25);

/// A change on its way into force.
pub(super) struct Plan<'a> {
    pub(super) order: &'a Order,
    pub(super) asked_at: Instant,
    pub(super) structure: Arc<Structure>,
    pub(super) change: Change,
}

impl Task {
    pub(super) async fn carry_out(&mut self, plan: Plan<'_>) -> Result<Done, Rejection> {
        let standing = self.standing();
        let mut done = change::done(&standing, &plan.structure, plan.order, &plan.change);
        let snapshot = self
            .wiring
            .house
            .compile(Arc::clone(&plan.structure), &plan.change.live)
            .map_err(Rejection::Uncompilable)?;
        let is_rollback = matches!(plan.order.action, Action::Rollback { .. });
        done.warnings = change::worries(&*self.wiring.house, &plan.structure, plan.order, &done);
        if plan.order.dry_run {
            return Ok(done);
        }
        if plan.change.live.revision == standing.revision() {
            return Ok(self.unchanged(plan, done).await);
        }
        let entry = Arc::new(entry(&standing, &plan));
        let durable = if is_rollback {
            self.publish(&plan, &mut done, snapshot).await;
            self.write_rollback(Arc::clone(&entry)).await
        } else {
            self.write(&standing, Arc::clone(&entry)).await?;
            self.publish(&plan, &mut done, snapshot).await;
            true
        };
        done.durable = Some(durable);
        drop(standing);
        self.settled(plan, &entry, durable, &mut done);
        Ok(done)
    }

    async fn unchanged(&mut self, plan: Plan<'_>, mut done: Done) -> Done {
        if !self.standing().unwritten.is_empty() {
            self.retry().await;
        }
        self.wiring.standing.send_modify(|standing| {
            let standing = Arc::make_mut(standing);
            if matches!(plan.order.action, Action::Reload) {
                standing.held.clone_from(&plan.change.held);
            }
        });
        done.in_force = Some(plan.asked_at.elapsed());
        done.durable = Some(self.standing().unwritten.is_empty());
        done
    }

    /// Puts the snapshot in force and waits until nothing older is to be sent.
    async fn publish(&mut self, plan: &Plan<'_>, done: &mut Done, snapshot: Snapshot) {
        let house = &*self.wiring.house;
        if matches!(plan.order.action, Action::Reload) {
            done.warnings.extend(house.applied(&plan.structure));
        }
        if !done.targets.is_empty() {
            // Before the snapshot: whoever holds the next one must not meet the pool as it was.
            house.edited(&plan.change.live.targets);
        }
        house.observe(Observation::Published {
            snapshot: &snapshot,
            kind: plan.order.action.kind(),
        });
        self.older.add(self.wiring.publisher.publish(snapshot));
        let n_left = self.older.settle(CONFIRM).await;
        let took = plan.asked_at.elapsed();
        house.observe(Observation::InForce(took));
        done.in_force = Some(took);
        if n_left > 0 {
            done.notes.push(format!(
                "{n_left} requests that were read before the change are still waiting for a connection to their target"
            ));
        }
    }

    async fn write(&mut self, standing: &Standing, entry: Arc<Entry>) -> Result<(), Rejection> {
        let entries = with_unwritten(standing, entry);
        let (urgent, early) = (&mut self.wiring.urgent, &mut self.early);
        let written = persist::write(&self.writer, entries, urgent, early).await;
        if let Err(undurable) = &written {
            tracing::error!("a change is refused: {undurable}");
        }
        Ok(written?)
    }

    async fn write_rollback(&self, entry: Arc<Entry>) -> bool {
        let entries = with_unwritten(&self.standing(), entry);
        let written = persist::write_within(&self.writer, entries, URGENT).await;
        if let Err(undurable) = &written {
            tracing::error!(
                "a rollback is in force and not written down: {undurable}; it is tried again until it is"
            );
        }
        written.is_ok()
    }

    /// Tells everybody that the change is in force.
    fn settled(&mut self, plan: Plan<'_>, entry: &Arc<Entry>, durable: bool, done: &mut Done) {
        if !durable {
            done.warnings.push(
                "this is in force and not written down: a restart before it can be written would undo it; it is tried again until it is".into(),
            );
            self.retry.get_or_insert_with(Retry::soon);
        }
        let Plan {
            order,
            structure,
            change,
            ..
        } = plan;
        self.wiring.standing.send_modify(|standing| {
            let standing = Arc::make_mut(standing);
            standing.live = Arc::new(change.live);
            standing.structure = structure;
            standing.touched.touch(entry);
            if matches!(order.action, Action::Reload) {
                standing.held = change.held;
            }
            if durable {
                standing.unwritten.clear();
            } else {
                standing.unwritten.push(Arc::clone(entry));
            }
        });
        if durable {
            self.retry = None;
        }
        self.logged(order, entry, done);
        self.announce(Notice::change(entry, durable));
        for (route, edit) in &entry.delta.routes {
            if let Some(ramp) = stepped(edit) {
                self.announce(Notice::ramp_step(route, ramp, entry));
            }
        }
    }

    fn logged(&self, order: &Order, entry: &Entry, done: &Done) {
        if let Action::Rollback { .. } = order.action {
            for route in entry.delta.routes.keys() {
                let actor = &*order.actor;
                self.wiring
                    .house
                    .observe(Observation::RolledBack { route, actor });
            }
        }
        for held in &done.held {
            tracing::warn!(route = held.route, "held: {}", held.reason);
        }
        tracing::info!(
            revision = entry.revision,
            kind = entry.kind.as_str(),
            actor = entry.actor,
            reason = entry.reason.as_deref().unwrap_or_default(),
            "in force: {}",
            told(done),
        );
    }

    /// Tries to write what is in force and unwritten.
    pub(super) async fn retry(&mut self) {
        let unwritten = self.standing().unwritten.clone();
        if unwritten.is_empty() {
            self.retry = None;
            return;
        }
        match persist::write_within(&self.writer, unwritten, URGENT).await {
            Ok(()) => {
                self.retry = None;
                self.wiring
                    .standing
                    .send_modify(|standing| Arc::make_mut(standing).unwritten.clear());
                tracing::info!("what was in force and unwritten is written down now");
            }
            Err(undurable) => {
                tracing::warn!("still not written down: {undurable}");
                self.retry = Some(self.retry.take().map_or_else(Retry::soon, Retry::later));
            }
        }
    }
}

/// The ramp that came to another step.
fn stepped(edit: &Edit<Arc<LiveRoute>>) -> Option<&LiveRamp> {
    let of = |route: Option<&'_ Arc<LiveRoute>>| {
        route
            .and_then(|route| route.ramp.as_ref())
            .map(|ramp| (ramp.attempt, ramp.step))
    };
    let after = edit.after.as_ref()?.ramp.as_ref()?;
    let is_new = of(edit.before.as_ref()) != Some((after.attempt, after.step));
    (is_new && after.phase == Phase::Running).then_some(after)
}

fn with_unwritten(standing: &Standing, entry: Arc<Entry>) -> Vec<Arc<Entry>> {
    let mut entries = standing.unwritten.clone();
    entries.push(entry);
    entries
}

fn entry(standing: &Standing, plan: &Plan<'_>) -> Entry {
    Entry {
        revision: plan.change.live.revision,
        time: format!("{:.6}", Timestamp::now()),
        kind: plan.order.action.kind(),
        actor: plan.order.actor.clone(),
        reason: plan.order.reason.clone(),
        config_digest: plan.structure.digest.to_string(),
        annotation: plan.order.action.annotation(),
        delta: standing.live.delta(&plan.change.live),
    }
}

/// Weights and targets that changed, for the log.
fn told(done: &Done) -> String {
    let weights = |weights: &[(String, u32)]| {
        let weights: Vec<_> = weights
            .iter()
            .map(|(pool, weight)| format!("{pool}={weight}"))
            .collect();
        weights.join(" ")
    };
    let shifts = done.shifts.iter();
    let shifts = shifts.filter(|shift| shift.before != shift.after);
    let shifts = shifts.map(|shift| {
        let (before, after) = (weights(&shift.before), weights(&shift.after));
        format!("{}: {before} -> {after}", shift.route)
    });
    let pool = done.pool.as_deref().unwrap_or_default();
    let targets = done.targets.iter();
    let targets = targets.filter(|target| target.before != target.after);
    let targets = targets.map(|target| match target.after {
        Some(weight) => format!("{pool}: {} weight {weight}", target.address),
        None => format!("{pool}: {} deregistered", target.address),
    });
    let told: Vec<_> = shifts.chain(targets).collect();
    if told.is_empty() {
        return "no weight changed".into();
    }
    told.join("; ")
}
