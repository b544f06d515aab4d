//! Ends what nobody wants to go on: upgraded connections of a pool that lost its weight, and whatever a target still runs
//! when its time to drain is over.
//!
//! Requests notice by themselves that a pool has no weight any more; a WebSocket would stay for days. It is looked for
//! in the list of open connections, a few times in the time that the operator gave, and only while there is something
//! to end. What ends a request is its own task (`accept::Wire::order`), which writes it down.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use config::snapshot::Snapshot;
use tokio::sync::watch;

use crate::accept::{Ending, Wire, Wires};
use crate::pool::{Pool, Pools};

/// What is to be ended.
pub struct Evictions {
    pools: Arc<Pools>,
    state: Mutex<State>,
    more: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Pools that the snapshot in force gives a weight.
    weighted: HashMap<Arc<str>, Arc<Pool>>,
    leaving: Vec<Leaving>,
}

/// A pool that lost its weight.
struct Leaving {
    pool: Arc<Pool>,
    since: Instant,
    window: Duration,
}

/// A change is in force this long after it was asked for, and an upgraded connection that came meanwhile is an old one.
const SETTLING: Duration = Duration::from_millis(100);
/// The list of connections is looked through so often within the time that a pool's connections have.
const LOOKS: u32 = 100;
/// But not more often, and not less.
const STEPS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

impl Evictions {
    /// Nothing is to be ended yet.
    pub fn new(pools: Arc<Pools>) -> Self {
        Self {
            pools,
            state: Mutex::default(),
            more: watch::Sender::new(0),
        }
    }

    /// `snapshot` is about to be in force, with the pools aligned last.
    pub fn published(&self, snapshot: &Snapshot) {
        self.published_at(snapshot, Instant::now());
    }

    fn published_at(&self, snapshot: &Snapshot, now: Instant) {
        let weighted = self.weighted(snapshot);
        let mut state = self.state();
        state
            .leaving
            .retain(|leaving| !weighted.contains_key(leaving.pool.name()));
        let before = std::mem::replace(&mut state.weighted, weighted);
        for (name, pool) in before {
            // The file in force says how long, or the last one that had the pool.
            let pool = self.pools.pool(&name).unwrap_or(pool);
            if let (false, Some(window)) = (
                state.weighted.contains_key(&name),
                pool.settings().evict_upgraded.0,
            ) {
                tracing::info!(
                    "pool {name} has no weight any more: its upgraded connections are closed within {window}"
                );
                state.leaving.push(Leaving {
                    pool,
                    since: now,
                    window: window.0,
                });
            }
        }
        self.more.send_modify(|version| *version += 1);
    }

    /// Orders the end of what is due, and says when to look again; `None` when nothing is to be ended.
    fn sweep(&self, wires: &Wires, now: Instant) -> Option<Duration> {
        let overdue = self.pools.overdue();
        let mut state = self.state();
        state.leaving.retain(|leaving| now < leaving.over());
        if overdue.is_empty() && state.leaving.is_empty() {
            return None;
        }
        let targets = state.targets(&self.pools);
        for wire in wires.open() {
            let target = wire.serving();
            if overdue.contains(&target) {
                wire.order(target, Ending::Drained);
            } else if let Some(leaving) = targets.get(&target)
                && leaving.is_due(&wire, now)
            {
                wire.order(target, Ending::Evicted);
            }
        }
        let steps = state.leaving.iter().map(|leaving| leaving.step(now));
        Some(steps.min().unwrap_or(STEPS.1))
    }

    fn weighted(&self, snapshot: &Snapshot) -> HashMap<Arc<str>, Arc<Pool>> {
        let weights = snapshot
            .splits
            .iter()
            .flatten()
            .flat_map(|split| &split.weights);
        let weighted = weights.filter(|(_, weight)| *weight > 0);
        // Who is pinned to a pool that drains may finish, WebSockets too.
        let draining = snapshot.draining().iter().map(|(_, pool)| pool);
        let kept = weighted.map(|(id, _)| id).chain(draining);
        let names = kept.map(|id| &snapshot.pool(*id).name);
        let pools = names.filter_map(|name| Some((Arc::clone(name), self.pools.pool(name)?)));
        pools.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The targets of pools that lost their weight, as far as they are known now.
    fn targets(&self, pools: &Pools) -> HashMap<u64, &Leaving> {
        let targets = self.leaving.iter().flat_map(|leaving| {
            let now = pools.pool(leaving.pool.name());
            let all = now.unwrap_or_else(|| Arc::clone(&leaving.pool)).known();
            all.into_iter().map(move |target| (target, leaving))
        });
        targets.collect()
    }
}

impl Leaving {
    /// When no connection of it can be left: one that was asked for before may have become an upgraded one since.
    fn over(&self) -> Instant {
        let settings = self.pool.settings();
        let answer = settings.connect_timeout.0 + settings.response_timeout.0;
        self.since + self.window.max(answer) + STEPS.1
    }

    /// Until the next look: behind the time only stragglers are looked for.
    fn step(&self, now: Instant) -> Duration {
        if now > self.since + self.window + SETTLING {
            return STEPS.1;
        }
        (self.window / LOOKS).clamp(STEPS.0, STEPS.1)
    }

    fn is_due(&self, wire: &Wire, now: Instant) -> bool {
        let begun = wire.begun();
        let moment = self.since + share(self.window, &(wire.peer, begun));
        wire.switched() && begun < self.since + SETTLING && now >= moment
    }
}

/// A part of `window` that is as good as drawn, and the same whenever it is asked for.
fn share(window: Duration, who: &impl std::hash::Hash) -> Duration {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(who);
    window.mul_f64((hash >> 11) as f64 / (1u64 << 53) as f64)
}

/// Ends what is due on `wires` until `stop` turns true.
pub async fn run(evictions: Arc<Evictions>, wires: Arc<Wires>, mut stop: watch::Receiver<bool>) {
    let mut more = evictions.more.subscribe();
    let mut gone = evictions.pools.gone();
    loop {
        let again = evictions.sweep(&wires, Instant::now());
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // An error is that nobody is left to turn it.
            _ = stop.wait_for(|stop| *stop) => return,
            _ = more.changed() => {}
            _ = gone.changed() => {}
            () = pause => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_evenly_over_the_time() {
        let window = Duration::from_secs(10);
        let mut tenths = [0; 10];
        for who in 0..10_000 {
            let share = share(window, &who);
            assert_eq!(share, self::share(window, &who));
            tenths[share.as_secs() as usize] += 1;
        }
        // Five standard deviations.
        assert!(
            tenths.iter().all(|n| (850..=1150).contains(n)),
            "{tenths:?}"
        );
        assert_eq!(share(Duration::ZERO, &1), Duration::ZERO);
    }
}
