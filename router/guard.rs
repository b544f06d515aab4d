//! The guards of all routes at work: they close windows, write evidence down, and take canaries back.
//!
//! What harm is, and how much evidence is enough, is `canary::guard`'s; how weights are changed is control's, which gets
//! an order like anybody else's. This is one task that wakes every second, away from the path of requests.

mod account;
mod ledger;
mod past;
pub mod replay;
mod task;
mod trip;
mod view;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::GuardView;
use crate::witness::Witnesses;

pub use account::account;
pub use task::run;
pub(crate) use trip::{Tripped, on_trip};
pub(crate) use view::of as view;
pub(crate) use watch::{Course, Situation, Watch};

/// Name of the folder of evidence in the state folder.
pub const FOLDER: &str = "guard";
/// Who took a canary back, in journal, events and metrics.
pub const ACTOR: &str = "guard";

/// What the guards last said, for whoever looks; and what they look at.
#[derive(Debug, Default)]
pub struct Guards {
    /// What guarded routes see of their requests.
    pub witnesses: Arc<Witnesses>,
    views: Mutex<BTreeMap<String, GuardView>>,
}

impl Guards {
    /// What the guard of `route` last said; `None` when it has none, or has not looked yet.
    pub fn view(&self, route: &str) -> Option<GuardView> {
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.get(route).cloned()
    }

    fn tell(&self, views: BTreeMap<String, GuardView>) {
        *self.views.lock().unwrap_or_else(PoisonError::into_inner) = views;
    }
}
