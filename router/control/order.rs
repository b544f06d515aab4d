//! What can be asked of control, and what it answers.

use std::net::SocketAddr;
use std::time::Duration;

use config::live::{
    Bounds, Held, Latch, Live, Owner, RampOrder, Refusal, Registration, TargetShift, Weights,
};
use config::problem::Fault;

use super::Invalid;
use crate::journal::{Annotation, Kind, Undurable};

/// A change somebody asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// What.
    pub action: Action,
    /// Who: `token:NAME`, `local`, `file`, `guard` or `ramp`.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Only when this is the revision in force.
    pub if_revision: Option<u64>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Action {
    /// Note something beside the figures; no weight changes.
    Annotate {
        /// The route it is about; `None`: all.
        route: Option<String>,
        /// In words.
        text: String,
    },
    /// Take targets out of a pool.
    Deregister {
        /// The pool.
        pool: String,
        /// Which.
        targets: Vec<SocketAddr>,
        /// Whether the pool may be left without a target.
        bounds: Bounds,
    },
    /// Give a pool no new clients.
    Drain {
        /// The route.
        route: String,
        /// The pool.
        pool: String,
        /// Whether marks and `max_step` prevent it.
        bounds: Bounds,
    },
    /// Let no canary rise any more.
    Freeze {
        /// The route.
        route: String,
    },
    /// Turn the ramp of a route.
    Ramp {
        /// The route.
        route: String,
        /// How.
        order: RampOrder,
        /// Whether marks and `max_step` prevent it.
        bounds: Bounds,
        /// Also before the guard knows enough of stable.
        cold: bool,
    },
    /// Add targets to a pool.
    Register {
        /// The pool.
        pool: String,
        /// Which.
        targets: Vec<Registration>,
    },
    /// Read the file again.
    Reload,
    /// Give users of a route's cohort other places.
    Reshuffle {
        /// The route.
        route: String,
        /// Whether users on a canary prevent it.
        bounds: Bounds,
    },
    /// Bring weights of an earlier state back.
    Restore {
        /// That state.
        earlier: Live,
        /// Whether marks and `max_step` prevent it.
        bounds: Bounds,
    },
    /// Lift a mark.
    Resume {
        /// The route.
        route: String,
    },
    /// Everything to stable.
    Rollback {
        /// One route, or all.
        route: Option<String>,
    },
    /// Set weights.
    Weights {
        /// The route.
        route: String,
        /// By pool.
        weights: Weights,
        /// Whether marks and `max_step` prevent it.
        bounds: Bounds,
    },
}

impl Action {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Annotate { .. } => Kind::Annotate,
            Self::Deregister { .. } => Kind::Deregister,
            Self::Drain { .. } => Kind::Drain,
            Self::Freeze { .. } => Kind::Freeze,
            Self::Ramp { .. } => Kind::Ramp,
            Self::Register { .. } => Kind::Register,
            Self::Reload => Kind::Reload,
            Self::Reshuffle { .. } => Kind::Reshuffle,
            Self::Restore { .. } => Kind::Restore,
            Self::Resume { .. } => Kind::Resume,
            Self::Rollback { .. } => Kind::Rollback,
            Self::Weights { .. } => Kind::Weights,
        }
    }

    /// The one route it is about.
    pub(super) fn route(&self) -> Option<&str> {
        match self {
            Self::Drain { route, .. }
            | Self::Freeze { route }
            | Self::Ramp { route, .. }
            | Self::Reshuffle { route, .. }
            | Self::Resume { route }
            | Self::Weights { route, .. } => Some(route),
            Self::Annotate { route, .. } | Self::Rollback { route } => route.as_deref(),
            Self::Deregister { .. }
            | Self::Register { .. }
            | Self::Reload
            | Self::Restore { .. } => None,
        }
    }

    /// What it notes.
    pub(super) fn annotation(&self) -> Option<Annotation> {
        match self {
            Self::Annotate { route, text } => Some(Annotation {
                text: text.clone(),
                route: route.clone(),
            }),
            _ => None,
        }
    }

    /// The one pool whose targets it is about.
    pub(super) fn pool(&self) -> Option<&str> {
        match self {
            Self::Deregister { pool, .. } | Self::Register { pool, .. } => Some(pool),
            _ => None,
        }
    }
}

/// A change carried out, or what it would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The revision after it.
    pub revision: u64,
    /// The digest of the file it was carried out on.
    pub config_digest: String,
    /// The route asked for, when it was one.
    pub route: Option<String>,
    /// Routes with more than one pool, or the one asked for, in file order; none when it was about targets.
    pub shifts: Vec<Shift>,
    /// The pool whose targets were asked for.
    pub pool: Option<String>,
    /// Targets before and after, in the order asked.
    pub targets: Vec<TargetShift>,
    /// From being asked for to the last request decided by an older snapshot; `None` for a dry run.
    pub in_force: Option<Duration>,
    /// Whether it survives a restart; `None` for a dry run.
    pub durable: Option<bool>,
    /// Routes of a reload whose changed block was not applied.
    pub held: Vec<Held>,
    /// What the operator should worry about.
    pub warnings: Vec<String>,
    /// What else the operator should know.
    pub notes: Vec<String>,
}

/// One route before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// The route.
    pub route: String,
    /// Weights before, in file order; empty for a new route.
    pub before: Vec<(String, u32)>,
    /// Weights after, in file order.
    pub after: Vec<(String, u32)>,
    /// Who owns the weights after.
    pub owner: Owner,
    /// The mark after.
    pub state: Latch,
}

/// A change that was not carried out. What is in force stayed as it was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else was first.
    #[error("revision {current} is in force, not {given}; look at what changed and ask again")]
    Stale {
        /// In force.
        current: u64,
        /// Given.
        given: u64,
    },
    /// It would be lost by a restart.
    #[error("nothing was changed: {0}; `rollback` works all the same")]
    Undurable(#[from] Undurable),
    /// The file is not taken.
    #[error("the file is refused, what is in force stays: {}", .0.text)]
    Invalid(Invalid),
    /// The file cannot be carried out without a restart.
    #[error("the file is refused, what is in force stays: {0}")]
    NeedsRestart(String),
    /// What follows from the change cannot be compiled.
    #[error("{}: {}", .0.path, .0.message)]
    Uncompilable(Fault),
    /// No such revision.
    #[error("revision {revision} is not in the journal, which has {first} to {last}")]
    NoRevision {
        /// Asked for.
        revision: u64,
        /// The oldest there is.
        first: u64,
        /// The newest there is.
        last: u64,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    NoJournal(String),
    /// The router ends.
    #[error("the router is shutting down; nothing was changed")]
    Closed,
}
