//! The live state: who owns the weights, and which changes are allowed.
//!
//! The file owns structure, bounds and initial weights; this state owns live weights, marks, epochs, and what operators
//! said about targets.
//! Everything here is a pure function of the state before and the change asked.
//! It does not know where the state is kept, who asked, or what time it is.

mod command;
mod delta;
mod ramp;
mod refusal;
mod registration;
mod reload;
mod routes;
mod share;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use command::{
    Bounds, annotate, drain, freeze, reshuffle, restore, resume, rollback, set_weights,
};
pub use delta::{Delta, Edit, TargetEdit};
pub use ramp::{LiveRamp, Phase, Planned, RampOrder, plan, ramp, ramped, weights_of};
pub use refusal::{Complaint, Refusal};
pub use registration::{
    Known, Registration, TargetShift, deregister, find, register, standing_edits, target_address,
};
pub use reload::{Held, all_stable, fresh, reload};
pub use routes::{Routes, block, stable_only};
pub use share::{Share, canaries_share};
pub use targets::TargetEdits;

/// Weights of a route by pool name.
pub type Weights = BTreeMap<String, u32>;

/// The live state of all routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Number of this state, +1 at every change.
    pub revision: u64,
    /// State by route name.
    pub routes: BTreeMap<String, Arc<LiveRoute>>,
    /// Epoch by cohort name; absent means 0.
    pub epochs: BTreeMap<String, u64>,
    /// What operators said about targets, by pool name; pools of which they said nothing are not in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, TargetEdits>,
}

/// The live state of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRoute {
    /// Live weights.
    pub weights: Weights,
    /// The file's `weights` block last accepted; a file that repeats it leaves the live weights alone.
    pub block: Weights,
    /// Who set the live weights.
    pub owner: Owner,
    /// Whether raising a canary is latched.
    pub state: Latch,
    /// Pools without a weight whose pinned clients may finish.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub draining: BTreeSet<String>,
    /// The ramp that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<LiveRamp>,
}

/// Who set the live weights of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The file's block.
    File,
    /// A change after it.
    Live,
}

/// Whether a canary of the route may be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latch {
    /// It may.
    Normal,
    /// A rollback happened: not until `resume`.
    RolledBack,
    /// Frozen: not until `resume`.
    Frozen,
}

impl Owner {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Live => "live",
        }
    }
}

impl Latch {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::RolledBack => "rolled_back",
            Self::Frozen => "frozen",
        }
    }

    /// Whether raising a canary needs `resume` first.
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Normal)
    }
}

impl Live {
    /// Puts `edits` in the place of those of `pool`.
    fn edit(&mut self, pool: &str, edits: TargetEdits) {
        if edits == TargetEdits::default() {
            self.targets.remove(pool);
        } else {
            self.targets.insert(pool.to_owned(), edits);
        }
    }
}

/// A change worked out: the state after it, and what its operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state after it; the revision is that of the state before when nothing changed.
    pub live: Live,
    /// Routes of a reload whose changed block was not applied, and why.
    pub held: Vec<Held>,
    /// Targets it was about, in the order asked.
    pub targets: Vec<TargetShift>,
    /// What else the operator should know.
    pub notes: Vec<String>,
}

impl Change {
    /// The state `after`, numbered one above `before` unless they are the same.
    fn from(before: &Live, mut after: Live) -> Self {
        let notes = ramp::follow(before, &mut after);
        let same = before.routes == after.routes
            && before.epochs == after.epochs
            && before.targets == after.targets;
        after.revision = before.revision + u64::from(!same);
        Self {
            live: after,
            held: Vec::new(),
            targets: Vec::new(),
            notes,
        }
    }

    fn noting(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

#[cfg(test)]
mod laws;
