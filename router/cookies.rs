//! What becomes of the crumbs of all routes: findings, in the words of `jar`, for whoever looks and for whoever listens.
//!
//! One task that wakes every second, away from the path of requests, and looks only where a new kind of cookie was seen.

mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::control::{Control, CookiesView, FindingView, Notice};
use crate::crumbs::{Board, Crumbs, Registry};
use crate::metrics::{Metrics, Sighted};

/// All routes are looked at every so many seconds: what is no longer set is a conflict no more.
const ALL_EVERY: u64 = 60;

/// What is known of the cookies of `route` now; `None` when it has no two pools.
pub fn view(registry: &Registry, route: &str) -> Option<CookiesView> {
    let crumbs = registry.of(route)?;
    Some(view::of(&crumbs, now()))
}

/// Tells `metrics` what was counted, of all routes with two pools or more.
pub fn count(registry: &Registry, metrics: &Metrics) {
    let board = registry.current();
    metrics.cookies(board.iter().map(|crumbs| counted(crumbs)));
}

fn counted(crumbs: &Crumbs) -> Sighted<'_> {
    let requests = &crumbs.requests;
    let tables = crumbs.tables.iter();
    Sighted {
        route: &crumbs.route,
        conflicts: requests.conflicts.load(Relaxed),
        twice: requests.twice.load(Relaxed),
        skew: requests.skews().map(|(skew, n)| (skew.as_str(), n)).into(),
        cacheable: tables
            .map(|table| (&*table.pool, table.cacheable.load(Relaxed)))
            .collect(),
    }
}

/// Looks for conflicts, and tells of each once, until `stop` is true.
pub async fn run(registry: Arc<Registry>, control: Control, mut stop: watch::Receiver<bool>) {
    let stopped = async {
        // Whoever could stop it may be gone, which is a stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stopped);
    let mut told = Told::default();
    for second in 0_u64.. {
        let board = registry.current();
        told.keep(&board);
        for crumbs in board.iter() {
            let tables = crumbs.tables.iter();
            // Each is asked, so that none stays fresh.
            let is_fresh = tables.fold(false, |fresh, table| table.take_fresh() | fresh);
            if is_fresh || second.is_multiple_of(ALL_EVERY) {
                told.look(crumbs, &control);
            }
        }
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Conflicts that were told.
#[derive(Default)]
struct Told(HashSet<Conflict>);

/// Which conflict it is.
#[derive(PartialEq, Eq, Hash)]
struct Conflict {
    route: Arc<str>,
    cookie: String,
    what: &'static str,
    pools: Vec<String>,
}

impl Conflict {
    fn of(route: &Arc<str>, finding: &FindingView) -> Self {
        Self {
            route: Arc::clone(route),
            cookie: finding.cookie.clone(),
            what: finding.what,
            pools: finding.pools.clone(),
        }
    }
}

impl Told {
    /// Forgets the routes that are gone.
    fn keep(&mut self, board: &Board) {
        let is_there = |route: &str| board.iter().any(|crumbs| *crumbs.route == *route);
        self.0.retain(|known| is_there(&known.route));
    }

    fn look(&mut self, crumbs: &Crumbs, control: &Control) {
        let route = &crumbs.route;
        let mut conflicts = view::of(crumbs, now()).findings;
        conflicts.retain(|finding| finding.conflict);
        crumbs.requests.conflicts.store(conflicts.len(), Relaxed);
        let names = conflicts.iter().map(|finding| Conflict::of(route, finding));
        let names: HashSet<_> = names.collect();
        self.0
            .retain(|known| known.route != *route || names.contains(known));
        for finding in &conflicts {
            if self.0.insert(Conflict::of(route, finding)) {
                tracing::warn!(
                    "route `{route}`: {}; look: kanaria cookies {route}",
                    finding.sentence
                );
                control.announce(Notice::cookie_conflict(route, finding));
            }
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::structure;

    #[test]
    fn what_was_told_of_a_route_is_kept_as_long_as_the_route() {
        let registry = Registry::default();
        registry.align(&structure(&json!({}), &json!([])));
        let conflict = |route: &str| Conflict {
            route: route.into(),
            cookie: "sess".into(),
            what: "scope",
            pools: Vec::new(),
        };
        let mut told = Told([conflict("blogs"), conflict("gone")].into());
        told.keep(&registry.current());
        assert!(told.0 == [conflict("blogs")].into());
    }
}
