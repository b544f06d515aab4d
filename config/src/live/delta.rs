//! What a change did: enough to replay it, and to show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Live, LiveRoute};

/// The difference between two states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Routes that differ.
    pub routes: BTreeMap<String, Edit<LiveRoute>>,
    /// Epochs that differ, by cohort.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epochs: BTreeMap<String, Edit<u64>>,
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
        }
    }

    /// This state after `delta`, as `revision`.
    pub fn apply(&mut self, revision: u64, delta: &Delta) {
        self.revision = revision;
        replay(&mut self.routes, &delta.routes);
        replay(&mut self.epochs, &delta.epochs);
    }
}

fn edits<T: Clone + PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> BTreeMap<String, Edit<T>> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    gone.chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            let edit = Edit {
                before: before.get(name).cloned(),
                after: after.get(name).cloned(),
            };
            (name.clone(), edit)
        })
        .collect()
}

fn replay<T: Clone>(state: &mut BTreeMap<String, T>, edits: &BTreeMap<String, Edit<T>>) {
    for (name, edit) in edits {
        match &edit.after {
            Some(value) => state.insert(name.clone(), value.clone()),
            None => state.remove(name),
        };
    }
}
