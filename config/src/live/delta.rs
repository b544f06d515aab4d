//! What a change did: enough to replay it, and to show it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Live, LiveRoute, TargetEdits};

/// The difference between two states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Routes that differ.
    pub routes: BTreeMap<String, Edit<Arc<LiveRoute>>>,
    /// Epochs that differ, by cohort.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epochs: BTreeMap<String, Edit<u64>>,
    /// Addresses of which operators say something else, by pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, BTreeMap<SocketAddr, Edit<TargetEdit>>>,
}

/// What an operator said of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetEdit {
    /// It is left out, whoever names it.
    Deregistered,
    /// It is a target with this weight.
    Registered(u32),
}

/// One thing before and after; `None` where it was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit<T> {
    /// Before.
    pub before: Option<T>,
    /// After.
    pub after: Option<T>,
}

impl Live {
    /// What makes `after` of this state.
    pub fn delta(&self, after: &Self) -> Delta {
        Delta {
            routes: edits(&self.routes, &after.routes),
            epochs: edits(&self.epochs, &after.epochs),
            targets: target_edits(&self.targets, &after.targets),
        }
    }

    /// This state after `delta`, as `revision`.
    pub fn apply(&mut self, revision: u64, delta: &Delta) {
        self.revision = revision;
        replay(&mut self.routes, &delta.routes);
        replay(&mut self.epochs, &delta.epochs);
        for (pool, edits) in &delta.targets {
            let mut said = said(self.targets.get(pool));
            replay(&mut said, edits);
            self.edit(pool, gathered(&said));
        }
    }
}

/// By pool and address: a line of the journal is as long as the change, not as the pool.
fn target_edits(
    before: &BTreeMap<String, TargetEdits>,
    after: &BTreeMap<String, TargetEdits>,
) -> BTreeMap<String, BTreeMap<SocketAddr, Edit<TargetEdit>>> {
    let pools: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    pools
        .into_iter()
        .map(|pool| {
            let edits = edits(&said(before.get(pool)), &said(after.get(pool)));
            (pool.clone(), edits)
        })
        .filter(|(_, edits)| !edits.is_empty())
        .collect()
}

fn said(edits: Option<&TargetEdits>) -> BTreeMap<SocketAddr, TargetEdit> {
    let Some(edits) = edits else {
        return BTreeMap::new();
    };
    let registered = edits.registered.iter();
    let registered =
        registered.map(|(address, weight)| (*address, TargetEdit::Registered(*weight)));
    let deregistered = edits.deregistered.iter();
    let deregistered = deregistered.map(|address| (*address, TargetEdit::Deregistered));
    registered.chain(deregistered).collect()
}

fn gathered(said: &BTreeMap<SocketAddr, TargetEdit>) -> TargetEdits {
    let mut edits = TargetEdits::default();
    for (address, edit) in said {
        match edit {
            TargetEdit::Deregistered => drop(edits.deregistered.insert(*address)),
            TargetEdit::Registered(weight) => drop(edits.registered.insert(*address, *weight)),
        }
    }
    edits
}

fn edits<K: Clone + Ord, T: Clone + PartialEq>(
    before: &BTreeMap<K, T>,
    after: &BTreeMap<K, T>,
) -> BTreeMap<K, Edit<T>> {
    let edit = |name: &K, before: Option<&T>, after: Option<&T>| {
        let edit = Edit {
            before: before.cloned(),
            after: after.cloned(),
        };
        (name.clone(), edit)
    };
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    let gone = gone.map(|(name, value)| edit(name, Some(value), None));
    let changed = after
        .iter()
        .map(|(name, value)| (name, before.get(name), value));
    let changed = changed.filter(|(_, before, after)| *before != Some(*after));
    let changed = changed.map(|(name, before, after)| edit(name, before, Some(after)));
    gone.chain(changed).collect()
}

fn replay<K: Clone + Ord, T: Clone>(state: &mut BTreeMap<K, T>, edits: &BTreeMap<K, Edit<T>>) {
    for (name, edit) in edits {
        match &edit.after {
            Some(value) => state.insert(name.clone(), value.clone()),
            None => state.remove(name),
        };
    }
}
