//! News for whoever listens: changes, refused files, states of targets, trips of guards, steps of ramps.

use std::sync::Arc;

use config::live::{LiveRamp, LiveRoute};
use serde_json::{Value, json};

use super::{FindingView, TargetView};
use crate::journal::Entry;

/// One piece of news.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `change`, `config_refused`, `cookie_conflict`, `guard_trip`, `ramp_held`, `ramp_step` or `target`.
    pub event: &'static str,
    /// The revision, of a change.
    pub revision: Option<u64>,
    /// What happened. Everybody who listens has the same one: of a file with many routes it is large.
    pub data: Arc<Value>,
}

impl Notice {
    /// A change that is in force.
    pub(super) fn change(entry: &Entry, durable: bool) -> Self {
        Self {
            event: "change",
            revision: Some(entry.revision),
            data: Arc::new(json!({
                "revision": entry.revision,
                "time": entry.time,
                "kind": entry.kind,
                "actor": entry.actor,
                "reason": entry.reason,
                "config_digest": entry.config_digest,
                "durable": durable,
                "annotation": entry.annotation,
                "routes": entry.delta.routes,
                "targets": entry.delta.targets,
            })),
        }
    }

    /// A file that was not taken.
    pub(super) fn refused(actor: &str, problems: &[Value]) -> Self {
        Self {
            event: "config_refused",
            revision: None,
            data: Arc::new(json!({ "actor": actor, "problems": problems })),
        }
    }

    /// There was enough evidence of harm by a canary of `route`; what was done is a change of its own.
    pub fn guard_trip(route: &str, why: &str, done: &str) -> Self {
        Self {
            event: "guard_trip",
            revision: None,
            data: Arc::new(json!({ "route": route, "why": why, "done": done })),
        }
    }

    /// Two pools of `route` get into each other's way with a cookie; told once, and again when it was gone in between.
    pub fn cookie_conflict(route: &str, finding: &FindingView) -> Self {
        Self {
            event: "cookie_conflict",
            revision: None,
            data: Arc::new(json!({ "route": route, "finding": finding })),
        }
    }

    /// A ramp took a step, by itself or because somebody said so.
    pub(super) fn ramp_step(route: &str, ramp: &LiveRamp, entry: &Entry) -> Self {
        let edit = entry.delta.routes.get(route);
        let weights = |live: Option<&LiveRoute>| live.map(|live| live.weights.clone());
        let share = ramp.current().map(|step| f64::from(step.share) / 100.0);
        Self {
            event: "ramp_step",
            revision: None,
            data: Arc::new(json!({
                "route": route,
                "canary": ramp.canary,
                "attempt": ramp.attempt,
                "step": ramp.step + 1,
                "of": ramp.plan.len(),
                "percent": share,
                "actor": entry.actor,
                "reason": entry.reason,
                "revision": entry.revision,
                "before": edit.and_then(|edit| weights(edit.before.as_deref())),
                "after": edit.and_then(|edit| weights(edit.after.as_deref())),
            })),
        }
    }

    /// A step of a ramp is held for longer than it may be.
    pub fn ramp_held(route: &str, missing: &[String]) -> Self {
        Self {
            event: "ramp_held",
            revision: None,
            data: Arc::new(json!({ "route": route, "missing": missing })),
        }
    }

    /// A target that came to another state.
    pub fn target(pool: &str, target: &TargetView) -> Self {
        Self {
            event: "target",
            revision: None,
            data: Arc::new(json!({
                "pool": pool,
                "address": target.address,
                "state": target.state,
                "reason": target.reason,
                "description": target.description.as_deref(),
            })),
        }
    }
}
