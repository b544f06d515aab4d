//! Active health checks: asks each target of the pools that have a check, and tells the pool what came of it.
//!
//! One task for each target; it ends when the target is no member of its pool any more, the check changes, or the process shuts down.
//! Nothing here picks targets or touches a request.

mod ask;
mod streak;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::model;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::target::Health;
use super::{Pool, Pools};
use ask::Question;
use streak::Streak;

/// How soon is told what happens by the clock alone: an ejected target returns, a draining one is gone.
const SWEEP: Duration = Duration::from_millis(250);

/// Checks the members of `pools`, whoever they are at the time, until `shutdown` says true.
pub async fn run(pools: Arc<Pools>, mut shutdown: watch::Receiver<bool>) {
    let mut swaps = pools.swaps();
    swaps.mark_changed();
    let mut sweep = time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut checks = Checks::default();
    loop {
        tokio::select! {
            Ok(()) = swaps.changed() => checks.follow(&pools),
            _ = sweep.tick() => pools.sweep(Instant::now().into_std()),
            ended = shutdown.wait_for(|&ends| ends) => {
                // A sender that is gone can no longer ask for the end, so it is the end.
                drop(ended);
                return;
            }
        }
    }
}

/// The running checks, by pool and target. Dropping it ends them.
#[derive(Default)]
struct Checks(HashMap<(Arc<str>, SocketAddr), Check>);

/// What tells two checks of one target apart.
#[derive(Clone, PartialEq)]
struct Terms {
    check: model::HealthCheck,
    tls: Option<model::PoolTls>,
    http2: bool,
}

struct Check {
    terms: Terms,
    task: JoinHandle<()>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checks {
    /// Starts and ends checks until they are those of `pools`; one whose terms did not change goes on undisturbed.
    fn follow(&mut self, pools: &Arc<Pools>) {
        let mut before = std::mem::take(&mut self.0);
        for pool in pools.current().iter() {
            let Some(terms) = Terms::of(pool) else {
                continue;
            };
            for target in pool.members.load().targets() {
                let key = (Arc::clone(pool.name()), target.address);
                let kept = before.remove(&key).filter(|check| check.terms == terms);
                let check = kept.unwrap_or_else(|| Check {
                    terms: terms.clone(),
                    task: tokio::spawn(watch_over(Arc::clone(pools), key.clone(), terms.clone())),
                });
                self.0.insert(key, check);
            }
        }
    }
}

impl Terms {
    fn of(pool: &Pool) -> Option<Self> {
        let settings = pool.settings();
        Some(Self {
            check: settings.health_check.clone()?,
            tls: settings.tls.clone(),
            http2: settings.http2,
        })
    }
}

/// Checks one target for ever. Checks begin one interval apart, however long an answer takes.
async fn watch_over(pools: Arc<Pools>, (pool, address): (Arc<str>, SocketAddr), terms: Terms) {
    let question = Question::new(&terms, address);
    let mut streak = Streak::new(&terms.check);
    loop {
        let next = Instant::now() + jittered(terms.check.interval.0);
        let health = question.ask().await;
        // The pool of today: a reload may have shaped it anew while the target answered.
        if let Some(pool) = pools.pool(&pool) {
            pool.checked(address, &mut streak, health, Instant::now().into_std());
        }
        time::sleep_until(next).await;
    }
}

/// Up to a tenth more or less, so that routers started together do not ask together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.9..=1.1))
}

impl Pool {
    /// A check of the target at `address` came out as `result`.
    fn checked(
        &self,
        address: SocketAddr,
        streak: &mut Streak,
        result: Health,
        now: std::time::Instant,
    ) {
        let now = self.shared.clock.at(now);
        let members = self.members.load();
        let Some(target) = members.targets().find(|target| target.address == address) else {
            return;
        };
        let before = target.health();
        let after = streak.next(before, result);
        if after.up() && !before.up() {
            let slowly = match before {
                Health::Initial => self.joins_others(&members, target, now),
                _ => self.ramps_after_return(&members, target, now),
            };
            if slowly {
                target.slow_from(now);
            }
        }
        target.set_health(after, now);
        if result.up() {
            target.answers_again(now);
        }
        self.announce(target, now);
    }
}

#[cfg(test)]
mod tests;
