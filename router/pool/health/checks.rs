//! Who is checked: one task for each target of each pool that has a check, following the pools as they change.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::model;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ask::Terms;
use super::watch::Watch;
use crate::pool::handle::Handle;
use crate::pool::members::Member;
use crate::pool::{Pool, Pools};

/// Between the first checks of targets that came together.
const STEP: Duration = Duration::from_millis(1);

/// The running checks. Dropping it ends them.
pub(super) struct Checks {
    pools: HashMap<Arc<str>, OfPool>,
    origin: Instant,
}

/// The running checks of one pool.
struct OfPool {
    /// The pool and its members that they follow.
    pool: Arc<Pool>,
    members: Arc<[Member]>,
    terms: Arc<Terms>,
    running: HashMap<SocketAddr, Running>,
}

/// The check of one target; it ends when this is dropped.
struct Running {
    target: Handle,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A target that has no check yet.
struct New {
    /// Its place among the new targets of its pool.
    position: usize,
    watch: Watch,
}

impl Checks {
    /// None yet; later ones count ticks from `origin`.
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            pools: HashMap::new(),
            origin,
        }
    }

    /// Starts and ends checks until they are those of `pools`. Pools that did not change cost a comparison; a check
    /// whose target and terms did not change goes on undisturbed.
    pub(super) fn follow(&mut self, pools: &Arc<Pools>) {
        let mut before = std::mem::take(&mut self.pools);
        let mut new = Vec::new();
        for pool in pools.current().iter() {
            let known = before.remove(pool.name());
            if let Some(followed) = OfPool::follow(known, pools, pool, &mut new) {
                self.pools.insert(Arc::clone(pool.name()), followed);
            }
        }
        self.start(new, Instant::now());
    }

    /// Starts new checks one after the other, the first of each pool first, so that a few targets need not wait behind
    /// thousands, and thousands are not asked in one instant.
    fn start(&mut self, mut new: Vec<New>, now: Instant) {
        new.sort_by_key(|new| new.position);
        let n_new = new.len();
        for (place, New { watch, .. }) in new.into_iter().enumerate() {
            let first = now + first_delay(place, n_new, watch.terms.check.interval);
            let Some(of_pool) = self.pools.get_mut(&watch.pool) else {
                continue;
            };
            let target = watch.target.clone();
            let running = Running {
                target: target.clone(),
                task: tokio::spawn(watch.run(first, self.origin)),
            };
            of_pool.running.insert(target.address, running);
        }
    }
}

/// How long the new target at `place` of `n_new` waits for its first check: less than an interval.
fn first_delay(place: usize, n_new: usize, interval: Duration) -> Duration {
    let step = STEP
        .as_secs_f64()
        .min(interval.as_secs_f64() / n_new as f64);
    Duration::from_secs_f64(step * place as f64)
}

impl OfPool {
    /// What `known` becomes for `pool`; `None` when it has no check.
    fn follow(
        known: Option<Self>,
        pools: &Arc<Pools>,
        pool: &Arc<Pool>,
        new: &mut Vec<New>,
    ) -> Option<Self> {
        let members = Arc::clone(&pool.members.load().active);
        let mut running = HashMap::new();
        let terms = match known {
            Some(known) if known.follows(pool, &members) => return Some(known),
            Some(known) if has_same_terms(known.pool.settings(), pool.settings()) => {
                running = known.running;
                known.terms
            }
            _ => Arc::new(Terms::of(pool)?),
        };
        let mut followed = Self {
            pool: Arc::clone(pool),
            members: Arc::clone(&members),
            terms,
            running: HashMap::with_capacity(members.len()),
        };
        let mut position = 0;
        for Member { target, .. } in &*members {
            let kept = running.remove(&target.address);
            if let Some(kept) = kept.filter(|kept| kept.target.id == target.id) {
                followed.running.insert(target.address, kept);
                continue;
            }
            let watch = followed.watch(pools, target);
            new.push(New { position, watch });
            position += 1;
        }
        Some(followed)
    }

    fn follows(&self, pool: &Arc<Pool>, members: &Arc<[Member]>) -> bool {
        Arc::ptr_eq(&self.pool, pool) && Arc::ptr_eq(&self.members, members)
    }

    fn watch(&self, pools: &Arc<Pools>, target: &Handle) -> Watch {
        Watch {
            pools: Arc::clone(pools),
            pool: Arc::clone(self.pool.name()),
            shared: Arc::clone(&self.pool.shared),
            target: target.clone(),
            terms: Arc::clone(&self.terms),
        }
    }
}

/// Whether targets are asked alike under both settings.
fn has_same_terms(one: &model::Pool, other: &model::Pool) -> bool {
    let terms = |pool: &model::Pool| (pool.health_check.clone(), pool.tls.clone(), pool.http2);
    terms(one) == terms(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the first checks of so many targets begin, in milliseconds: the second and the last.
    fn begins(n_new: usize, interval: Duration) -> (f64, f64) {
        let at = |place| first_delay(place, n_new, interval).as_secs_f64() * 1000.0;
        (at(1), at(n_new - 1))
    }

    #[test]
    fn a_few_new_targets_are_asked_at_once() {
        assert_eq!(first_delay(0, 1, Duration::from_secs(10)), Duration::ZERO);
        assert_eq!(begins(20, Duration::from_secs(10)), (1.0, 19.0));
    }

    #[test]
    fn thousands_are_spread_over_an_interval_at_most() {
        assert_eq!(begins(10_000, Duration::from_secs(10)), (1.0, 9_999.0));
        let (second, last) = begins(10_000, Duration::from_millis(200));
        assert!(second < 0.03 && last < 200.0, "{second} {last}");
    }
}
