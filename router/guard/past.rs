//! What became of routes while nobody looked: between two looks, without a guard, and before the router started.

use config::live::Delta;
use config::model;

use super::watch::begins_another;
use crate::control::Control;

/// The journal, read when it is first asked about.
pub(super) struct Past {
    control: Control,
    /// Changes by the revision after them, newest first.
    changes: Option<Vec<(u64, Delta)>>,
}

impl Past {
    pub(super) const fn new(control: Control) -> Self {
        Self {
            control,
            changes: None,
        }
    }

    /// Whether another attempt of `route` began after `revision`, the last one that its guard had seen.
    pub(super) async fn begins_another(
        &mut self,
        route: &model::Route,
        revision: u64,
        has_told: bool,
    ) -> bool {
        if self.control.standing().revision() <= revision {
            return false;
        }
        let changes = self.changes().await.iter();
        let later = changes.take_while(|(after, _)| *after > revision);
        let mut edits = later.filter_map(|(_, delta)| delta.routes.get(&route.name));
        edits.any(|edit| {
            let edit = (edit.before.as_deref(), edit.after.as_deref());
            begins_another(edit, route.stable_pool(), has_told)
        })
    }

    async fn changes(&mut self) -> &[(u64, Delta)] {
        if self.changes.is_none() {
            // A journal that cannot be read lifts nothing.
            let entries = self.control.history(usize::MAX).await.unwrap_or_default();
            let changes = entries.into_iter();
            let changes = changes.map(|entry| (entry.revision, entry.delta));
            self.changes = Some(changes.collect());
        }
        self.changes.as_deref().unwrap_or_default()
    }
}
