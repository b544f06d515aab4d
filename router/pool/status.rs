//! How a target is, in the words of an ALB's `describe-target-health`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::ejection::EjectionCause;
use super::members::{Member, Members, Unused};
use super::target::{Clock, Health};

/// One target and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it takes requests.
    pub state: TargetState,
    /// Why it does not; `None` when it does.
    pub reason: Option<&'static str>,
    /// What its last check saw, for people; `None` when nothing speaks against it.
    pub description: Option<Arc<str>>,
    /// Its part of the pool's requests, relative to the others.
    pub weight: u32,
    /// Requests it has now.
    pub in_flight: u32,
    /// Since when it is in this state.
    pub since: SystemTime,
}

/// Whether a target takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// Not checked yet.
    Initial,
    /// It does.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It leaves: requests that it has may finish.
    Draining,
    /// It is known, but left out by the operator; or it has left.
    Unused,
}

/// A target came to another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetChange {
    /// Its pool.
    pub pool: Arc<str>,
    /// How it is now.
    pub status: TargetStatus,
}

impl TargetState {
    /// The word in the API and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }

    /// Whether it does.
    pub const fn takes_requests(self) -> bool {
        matches!(self, Self::Healthy)
    }

    pub(super) fn of(health: Health, ejected: bool) -> Self {
        match health {
            _ if ejected => Self::Unhealthy,
            Health::Unchecked | Health::Healthy => Self::Healthy,
            Health::Initial => Self::Initial,
            Health::WrongStatus | Health::WrongBody | Health::Timeout | Health::Failed => {
                Self::Unhealthy
            }
        }
    }
}

/// Members, then those that drain, then those left out.
pub(super) fn all(members: &Members, now: u64, clock: &Clock) -> Vec<TargetStatus> {
    let known = members.active.iter().chain(members.draining(now));
    let known = known.map(|member| of(member, now, clock));
    let unused = members.unused(now).map(|unused| left_out(unused, clock));
    known.chain(unused).collect()
}

pub(super) fn of(member: &Member, now: u64, clock: &Clock) -> TargetStatus {
    let target = &member.target;
    let (state, reason, since) = match target.left_at() {
        Some(since) => (TargetState::Draining, Some(DRAINING), since),
        None => of_member(member, now),
    };
    let is_checks = matches!(state, TargetState::Initial | TargetState::Unhealthy);
    TargetStatus {
        address: target.address,
        state,
        reason,
        description: target.description().filter(|_| is_checks),
        weight: member.weight,
        in_flight: target.in_flight(),
        since: clock.date(since),
    }
}

/// The state alone, which most looks end with.
pub(super) fn state(member: &Member, now: u64) -> TargetState {
    match member.target.left_at() {
        Some(_) => TargetState::Draining,
        None => TargetState::of(member.target.health(), member.target.ejected(now)),
    }
}

/// How a target is that was just taken from the list.
pub(super) fn gone(member: &Member, now: u64, clock: &Clock) -> TargetStatus {
    TargetStatus {
        state: TargetState::Unused,
        reason: Some(NOT_REGISTERED),
        description: None,
        since: clock.date(now),
        ..of(member, now, clock)
    }
}

const DRAINING: &str = "Target.DeregistrationInProgress";
const NOT_REGISTERED: &str = "Target.NotRegistered";

fn left_out(unused: &Unused, clock: &Clock) -> TargetStatus {
    TargetStatus {
        address: unused.target.address,
        state: TargetState::Unused,
        reason: Some(NOT_REGISTERED),
        description: None,
        weight: unused.target.weight,
        in_flight: 0,
        since: clock.date(unused.since),
    }
}

fn of_member(member: &Member, now: u64) -> (TargetState, Option<&'static str>, u64) {
    let health = member.target.health();
    let ejected = member.target.ejected(now);
    (
        TargetState::of(health, ejected),
        reason(health, ejected.then(|| member.target.ejected_for())),
        since(member, health, ejected),
    )
}

/// What the checks say comes before what the requests say: it is the longer lasting of the two.
fn reason(health: Health, ejected: Option<EjectionCause>) -> Option<&'static str> {
    match health {
        Health::WrongStatus => Some("Target.ResponseCodeMismatch"),
        // An ALB looks at no body, so it has no word for this.
        Health::WrongBody => Some("Target.ResponseBodyMismatch"),
        Health::Timeout => Some("Target.Timeout"),
        Health::Failed => Some("Target.FailedHealthChecks"),
        _ if ejected == Some(EjectionCause::SuccessRate) => Some("Target.SuccessRate"),
        _ if ejected.is_some() => Some("Target.Ejected"),
        Health::Initial => Some("Elb.InitialHealthChecking"),
        Health::Unchecked | Health::Healthy => None,
    }
}

fn since(member: &Member, health: Health, ejected: bool) -> u64 {
    let target = &member.target;
    match ejected && health.up() {
        true => target.ejected_at(),
        false if health.up() => target.health_since().max(target.ejected_until()),
        false => target.health_since(),
    }
}
