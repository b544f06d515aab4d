//! Which paths a canary harms: by clients, each of whom is on a pool by lot.
//!
//! A client is placed by its bucket, whatever it asks for. So of the clients for whom a path went wrong, each is on the
//! canary with the chance of its share, if the pools do not differ; the more there are, the less likely. That needs no count
//! of the requests that went well, and one client who tries again and again is one.

use canary::compare::tail;

use super::Pool;
use crate::control::{ComparedPath, Hits};
use crate::tally::Bad;

/// Paths that are told of.
const MOST: usize = 20;

/// All paths on which something went wrong, those that a canary harms first.
pub(super) fn paths(pools: &[Pool<'_>], stable: &str, alpha: f64) -> Vec<ComparedPath> {
    let mut all: Vec<&Bad> = Vec::new();
    let bad = pools.iter().flat_map(|pool| pool.summary);
    for bad in bad.flat_map(|summary| &summary.paths) {
        if !all.iter().any(|known| known.is_like(bad)) {
            all.push(bad);
        }
    }
    let (stable, canaries): (Vec<_>, Vec<_>) = pools.iter().partition(|pool| pool.name == stable);
    // Each path is looked at once for each canary. Those that went wrong on no client of it count too: which ones they are
    // is chance, and to leave them out would make the rest look rarer than they are.
    let n_looks = all.len() * canaries.len();
    let told = all.iter().map(|bad| {
        let mut path = beside(bad, pools);
        for canary in &canaries {
            judge(&mut path, bad, canary, stable.first().copied());
        }
        path.harmed = path.canary.is_some() && path.chance < alpha / n_looks as f64;
        path
    });
    let mut told: Vec<ComparedPath> = told.collect();
    let size = |path: &ComparedPath| path.pools.values().map(|hits| hits.requests).sum::<u64>();
    told.sort_by(|one, other| {
        let by_harm = other.harmed.cmp(&one.harmed);
        by_harm.then_with(|| size(other).cmp(&size(one)))
    });
    told.truncate(MOST);
    told
}

fn beside(bad: &Bad, pools: &[Pool<'_>]) -> ComparedPath {
    let hits = pools.iter().filter_map(|pool| {
        let of_pool = find(pool, bad)?;
        let hits = Hits {
            requests: of_pool.n,
            requests_at_least: of_pool.n - of_pool.over,
            clients_at_least: of_pool.clients_at_least(),
            clients_at_most: of_pool.clients_at_most(),
        };
        Some((pool.name.to_owned(), hits))
    });
    ComparedPath {
        path: bad.path().to_owned(),
        partition: bad.partition.to_string(),
        kind: bad.kind.as_str(),
        status: bad.status,
        pools: hits.collect(),
        canary: None,
        expected_clients: 0.0,
        chance: 1.0,
        harmed: false,
    }
}

fn find<'a>(pool: &'a Pool<'_>, bad: &Bad) -> Option<&'a Bad> {
    pool.summary?.paths.iter().find(|other| other.is_like(bad))
}

/// Whenever something is not known exactly, in the canary's favor: few clients of it, many of stable, a large share.
fn judge(path: &mut ComparedPath, bad: &Bad, canary: &Pool<'_>, stable: Option<&Pool<'_>>) {
    let (Some(own), Some(stable)) = (find(canary, bad), stable) else {
        return;
    };
    let of_canary = own.clients_at_least();
    let of_stable = match find(stable, bad) {
        Some(bad) => bad.clients_at_most(),
        None => stable.summary.map_or(0, |summary| summary.unseen),
    };
    let share = share(canary, stable);
    let n = of_canary + of_stable;
    let chance = tail(of_canary, n, share);
    if path.canary.is_none() || chance < path.chance {
        path.canary = Some(canary.name.to_owned());
        path.expected_clients = n as f64 * share;
        path.chance = chance;
    }
}

/// The canary's part of the clients of both: what it was asked to have, or what it had of the requests, whichever is more.
fn share(canary: &Pool<'_>, stable: &Pool<'_>) -> f64 {
    let [own, other] = [canary, stable].map(|pool| pool.totals.requests);
    canary.asked.max(own as f64 / (own + other).max(1) as f64)
}
