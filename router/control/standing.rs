//! What is in force and who made it so, for whoever looks.

use std::sync::Arc;

use config::live::{Held, Live};
use config::snapshot::{Snapshot, Structure};

use crate::journal::Entry;
use crate::state::{Beginning, Origin, Touched};

/// What is in force. Replaced as a whole by each change.
#[derive(Clone)]
pub struct Standing {
    /// What the file says.
    pub structure: Arc<Structure>,
    /// The live state.
    pub live: Arc<Live>,
    /// Where the state came from at start.
    pub origin: Origin,
    /// Who changed what last.
    pub touched: Touched,
    /// Changes in force that a restart would lose.
    pub unwritten: Vec<Arc<Entry>>,
    /// Routes whose block in the file is not applied.
    pub held: Vec<Held>,
    /// What is wrong with the file, when the last reload was refused.
    pub refused: Option<String>,
    /// When the router started.
    pub started_at: String,
}

impl Standing {
    pub(super) fn first(beginning: &Beginning, snapshot: &Snapshot, started_at: String) -> Self {
        Self {
            structure: Arc::clone(&snapshot.structure),
            live: Arc::new(beginning.live.clone()),
            origin: beginning.origin.clone(),
            touched: beginning.touched.clone(),
            unwritten: beginning.unwritten.iter().cloned().map(Arc::new).collect(),
            held: beginning.held.clone(),
            refused: None,
            started_at,
        }
    }

    /// Number of the live state.
    pub fn revision(&self) -> u64 {
        self.live.revision
    }

    /// What an operator who looks should be told first.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.origin {
            Origin::Kept | Origin::New => {}
            Origin::Missing => warnings.push(
                "the state was missing at start: routes began at 100 % stable, latched".into(),
            ),
            Origin::Unreadable => warnings.push(
                "the state could not be read at start: routes began at 100 % stable, latched"
                    .into(),
            ),
        }
        if !self.unwritten.is_empty() {
            warnings.push(
                "the last changes are not written down and would be lost by a restart; state_dir cannot be written".into(),
            );
        }
        if let Some(refused) = &self.refused {
            warnings.push(format!("the file on disk is refused: {refused}"));
        }
        let held = self.held.iter();
        warnings
            .extend(held.map(|held| format!("route `{}` is held: {}", held.route, held.reason)));
        warnings
    }
}
