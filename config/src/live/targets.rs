//! What an operator changed about the targets of a pool. Whether a change is allowed is judged elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Targets of one pool that were registered and deregistered while the program ran.
///
/// The members of a pool are those of the file, those found by discovery and those registered, without those deregistered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetEdits {
    /// Targets added, each with its weight, which wins over the one that file or discovery give.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registered: BTreeMap<SocketAddr, u32>,
    /// Targets left out, whoever names them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub deregistered: BTreeSet<SocketAddr>,
}
