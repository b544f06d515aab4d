//! Whether the guard of a route has something to compare.

use super::names::Faults;
use crate::ids::PoolId;
use crate::model::{self, HardLimit};
use crate::problem::Trail;
use crate::split::Split;

/// The longest time that the hard limit may look back.
const LONGEST_S: u64 = 60;

/// Notes what keeps the guard of `route` from working.
pub(super) fn check(
    route: &model::Route,
    split: &Split,
    stable: PoolId,
    path: &Trail<'_>,
    faults: &mut Faults,
) {
    let Some(guard) = &route.guard else { return };
    let weight = |id: PoolId| split.weights.iter().find(|(pool, _)| *pool == id);
    if split.weights.len() < 2 {
        faults.add(
            path,
            "the route has no canary to guard; name one in `weights`, 0 is allowed",
        );
    } else if weight(stable).is_some_and(|(_, weight)| *weight == 0) {
        let message = format!(
            "the stable pool `{}` has weight 0, so there is nothing to compare a canary with",
            route.stable_pool()
        );
        faults.add(path, message);
    }
    check_window(
        &guard.hard_limit,
        &path.key("hard_limit").key("window"),
        faults,
    );
}

fn check_window(limit: &HardLimit, path: &Trail<'_>, faults: &mut Faults) {
    let window = limit.window.0;
    let is_whole = window.subsec_nanos() == 0 && (1..=LONGEST_S).contains(&window.as_secs());
    if !is_whole {
        let message = format!("must be whole seconds from 1s to {LONGEST_S}s");
        faults.add(path, message);
    }
}
