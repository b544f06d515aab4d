//! A ramp in the live state: where it is, and what may become of it. When a step is due is not known here.
//!
//! While a ramp runs, the weights of its route are those of its step; whoever sets others pauses it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{allowed, find, with};
use super::{
    Bounds, Change, Latch, Live, LiveRoute, Owner, Refusal, Routes, Share, Weights, block,
};
use crate::model;

/// A share in hundredths of a percent: all.
const ALL: u32 = 10_000;

/// A ramp that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRamp {
    /// The pool that is raised.
    pub canary: String,
    /// Counts from 1.
    pub attempt: u32,
    /// What it does.
    pub phase: Phase,
    /// The step in force, from 0.
    pub step: usize,
    /// The revision that brought this step of this attempt.
    #[serde(default)]
    pub since: u64,
    /// The schedule of this attempt: a file that changes it counts from the next start on.
    pub plan: Vec<Planned>,
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The canary's share, in hundredths of a percent.
    pub share: u32,
    /// How long it has that, at least, in seconds.
    pub hold_s: u64,
}

/// What a ramp does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The last step has been held for its time; `finalize` ends it.
    Complete,
    /// It was ended.
    Finalized,
    /// It waits for somebody.
    Paused,
    /// Everything went back to stable.
    RolledBack,
    /// Its steps follow each other.
    Running,
}

/// What is asked of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RampOrder {
    /// The next step, whatever is missing.
    Advance,
    /// The last step has been held for its time. Only the ramp itself says so, of the step it has seen.
    Complete(usize),
    /// The end, once the last step has been held for its time.
    Finalize,
    /// The next step, which is due. Only the ramp itself says so, of the step it has seen.
    Next(usize),
    /// No further step.
    Pause,
    /// On with it, at the step where it was.
    Resume,
    /// From its first step on.
    Start,
}

impl Phase {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Finalized => "finalized",
            Self::Paused => "paused",
            Self::RolledBack => "rolled_back",
            Self::Running => "running",
        }
    }

    /// Whether a rollback would end it.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Complete)
    }
}

impl LiveRamp {
    /// The step in force.
    pub fn current(&self) -> Option<Planned> {
        self.plan.get(self.step).copied()
    }

    /// Whether there is no step after this one.
    pub fn is_last(&self) -> bool {
        self.step + 1 >= self.plan.len()
    }
}

/// The schedule of a route as its file has it; `None` without one.
pub fn plan(route: &model::Route) -> Option<Vec<Planned>> {
    let steps = route.ramp.as_ref()?.steps.iter();
    let planned = steps.map(|step| Planned {
        share: (step.percent * 100.0).round() as u32,
        hold_s: step.hold.0.as_secs(),
    });
    Some(planned.collect())
}

/// The pool that the ramp of `route` raises.
pub fn ramped(route: &model::Route) -> Option<&str> {
    let ramp = route.ramp.as_ref()?;
    let only = || super::routes::canaries(route).next();
    ramp.canary.as_deref().or_else(only)
}

/// Weights that give `canary` its share of the step and stable the rest, in whole percents where they are. Other canaries
/// keep what they have: it is not the ramp's to take.
pub fn weights_of(
    route: &model::Route,
    current: &Weights,
    canary: &str,
    step: Planned,
) -> Result<Weights, Refusal> {
    let mut shares: Weights = block(route).into_keys().map(|pool| (pool, 0)).collect();
    let others = super::routes::canaries(route).filter(|pool| *pool != canary);
    for other in others {
        shares.insert(other.to_owned(), hundredths(current, other));
    }
    let kept: u32 = shares.values().sum();
    let left = ALL.checked_sub(step.share + kept);
    let left = left.ok_or_else(|| Refusal::NoRoom {
        route: route.name.clone(),
        step: f64::from(step.share) / 100.0,
        others: f64::from(kept) / 100.0,
    })?;
    shares.insert(canary.to_owned(), step.share);
    shares.insert(route.stable_pool().to_owned(), left);
    let is_whole = shares.values().all(|share| share.is_multiple_of(100));
    if is_whole {
        shares.values_mut().for_each(|share| *share /= 100);
    }
    Ok(shares)
}

/// The share of `pool`, in hundredths of a percent; a pool with a weight has one at least.
fn hundredths(weights: &Weights, pool: &str) -> u32 {
    let share = (Share::of(weights, pool).ratio() * f64::from(ALL)).round() as u32;
    let has_weight = weights.get(pool).is_some_and(|weight| *weight > 0);
    share.max(u32::from(has_weight))
}

/// What becomes of the ramp of `name`.
pub fn ramp(
    live: &Live,
    routes: &Routes<'_>,
    name: &str,
    order: RampOrder,
    bounds: Bounds,
) -> Result<Change, Refusal> {
    let (route, current) = find(live, routes, name)?;
    if route.ramp.is_none() {
        return Err(Refusal::NoRamp {
            route: name.to_owned(),
        });
    }
    unmarked(name, current, order)?;
    let next = match order {
        RampOrder::Start => start(route, current)?,
        _ => turned(name, current, order)?,
    };
    let Some(mut next) = next else {
        return Ok(Change::from(live, live.clone()).noting(standstill(name, current)));
    };
    let before = current.ramp.as_ref();
    if before.is_none_or(|before| (before.attempt, before.step) != (next.attempt, next.step)) {
        next.since = live.revision + 1;
    }
    let weights = match next.current() {
        Some(step) if next.phase == Phase::Running => {
            weights_of(route, &current.weights, &next.canary, step)?
        }
        _ => current.weights.clone(),
    };
    allowed(route, current, &weights, bounds)?;
    let owner = if weights == current.weights {
        current.owner
    } else {
        Owner::Live
    };
    let note = told(name, &next);
    let route = LiveRoute {
        weights,
        owner,
        ramp: Some(next),
        ..current.clone()
    };
    Ok(Change::from(live, with(live, name, route)).noting(note))
}

/// A rollback ends a ramp for as long as its mark stands. A ramp that went on by force would send users to the canary and
/// be over at once: without its steps, and without anybody who takes them back.
fn unmarked(name: &str, current: &LiveRoute, order: RampOrder) -> Result<(), Refusal> {
    let goes_on = matches!(order, RampOrder::Start | RampOrder::Resume);
    if goes_on && current.state == Latch::RolledBack {
        return Err(Refusal::RampIsMarked {
            route: name.to_owned(),
        });
    }
    Ok(())
}

/// From the first step that gives the canary no less than it has: a start takes nothing away.
fn start(route: &model::Route, current: &LiveRoute) -> Result<Option<LiveRamp>, Refusal> {
    let name = || route.name.clone();
    let before = current.ramp.as_ref();
    if let Some(ramp) = before.filter(|ramp| ramp.phase.is_on()) {
        return Err(Refusal::RampIsOn {
            route: name(),
            phase: ramp.phase,
        });
    }
    let (Some(plan), Some(canary)) = (plan(route), ramped(route)) else {
        return Err(Refusal::NoRamp { route: name() });
    };
    let share = Share::of(&current.weights, canary).percent();
    let has_less = |step: &Planned| f64::from(step.share) / 100.0 + 1e-9 >= share;
    let step = plan
        .iter()
        .position(has_less)
        .ok_or_else(|| Refusal::RampIsOver {
            route: name(),
            share: Share::of(&current.weights, canary),
        })?;
    Ok(Some(LiveRamp {
        canary: canary.to_owned(),
        attempt: before.map_or(1, |ramp| ramp.attempt + 1),
        phase: Phase::Running,
        step,
        since: 0,
        plan,
    }))
}

/// A ramp that was started, after `order`; `None` when that changes nothing.
fn turned(name: &str, current: &LiveRoute, order: RampOrder) -> Result<Option<LiveRamp>, Refusal> {
    let refused = |ramp: Option<&LiveRamp>| Refusal::RampIsOff {
        route: name.to_owned(),
        phase: ramp.map(|ramp| ramp.phase),
    };
    let ramp = current.ramp.as_ref().ok_or_else(|| refused(None))?;
    let turned = |phase: Phase, step: usize| LiveRamp {
        phase,
        step,
        ..ramp.clone()
    };
    let next = match (order, ramp.phase) {
        // The ramp may have been turned since it looked.
        (RampOrder::Next(seen) | RampOrder::Complete(seen), phase)
            if phase != Phase::Running || seen != ramp.step =>
        {
            None
        }
        (RampOrder::Next(_) | RampOrder::Advance, Phase::Running | Phase::Paused)
            if ramp.is_last() =>
        {
            return Err(Refusal::NoStepLeft {
                route: name.to_owned(),
            });
        }
        (RampOrder::Next(_) | RampOrder::Advance, Phase::Running | Phase::Paused) => {
            Some(turned(Phase::Running, ramp.step + 1))
        }
        (RampOrder::Complete(_), _) => Some(turned(Phase::Complete, ramp.step)),
        (RampOrder::Pause, Phase::Running) => Some(turned(Phase::Paused, ramp.step)),
        (RampOrder::Pause, Phase::Paused) | (RampOrder::Resume, Phase::Running) => None,
        (RampOrder::Resume, Phase::Paused) => Some(turned(Phase::Running, ramp.step)),
        (RampOrder::Resume, Phase::RolledBack) => Some(LiveRamp {
            attempt: ramp.attempt + 1,
            ..turned(Phase::Running, ramp.step)
        }),
        (RampOrder::Finalize, Phase::Complete) => Some(turned(Phase::Finalized, ramp.step)),
        (RampOrder::Finalize, Phase::Finalized) => None,
        (RampOrder::Finalize, Phase::Running | Phase::Paused) => {
            return Err(Refusal::NotHeld {
                route: name.to_owned(),
            });
        }
        _ => return Err(refused(Some(ramp))),
    };
    Ok(next)
}

fn standstill(name: &str, current: &LiveRoute) -> String {
    let phase = current
        .ramp
        .as_ref()
        .map_or("off", |ramp| ramp.phase.as_str());
    format!(
        "the ramp of `{name}` is {} already",
        phase.replace('_', " ")
    )
}

fn told(name: &str, ramp: &LiveRamp) -> String {
    let n_steps = ramp.plan.len();
    let share = ramp
        .current()
        .map_or(0.0, |step| f64::from(step.share) / 100.0);
    format!(
        "the ramp of `{name}` is {} at step {} of {n_steps}, {share} %",
        ramp.phase.as_str().replace('_', " "),
        ramp.step + 1
    )
}

/// What a change makes of ramps that it was not about: a rollback ends them, other weights pause them. Told in sentences.
pub(super) fn follow(before: &Live, after: &mut Live) -> Vec<String> {
    let mut notes = Vec::new();
    let ramped = after.routes.iter_mut();
    for (name, route) in ramped.filter(|(_, route)| route.ramp.is_some()) {
        let route = Arc::make_mut(route);
        let Some(ramp) = &mut route.ramp else {
            continue;
        };
        let phase = ramp.phase;
        let share = Share::of(&route.weights, &ramp.canary).percent();
        let planned = ramp
            .plan
            .get(ramp.step)
            .map_or(0.0, |step| f64::from(step.share) / 100.0);
        if ramp.phase.is_on() && route.state == Latch::RolledBack {
            ramp.phase = Phase::RolledBack;
        } else if ramp.phase == Phase::Running && (share - planned).abs() > 1e-6 {
            ramp.phase = Phase::Paused;
        }
        if ramp.phase == Phase::Paused && phase != Phase::Paused && before.routes.contains_key(name)
        {
            notes.push(format!(
                "the ramp of `{name}` is paused: its weights are no longer those of step {}; `kanaria ramp resume {name}` brings them back",
                ramp.step + 1
            ));
        }
    }
    notes
}

/// Whether `weights` give the canary of a ramp that is under way more than its step does.
pub(super) fn runs_ahead(current: &LiveRoute, weights: &Weights) -> Option<(Share, u32)> {
    let ramp = current
        .ramp
        .as_ref()
        .filter(|ramp| ramp.phase == Phase::Running)?;
    let share = Share::of(weights, &ramp.canary);
    let step = ramp.current()?.share;
    (share.percent() > f64::from(step) / 100.0 + 1e-6).then_some((share, step))
}

#[cfg(test)]
mod tests;
