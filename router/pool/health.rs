//! Active health checks: asks each target of the pools that have a check, and tells the pool what came of it.
//!
//! Nothing here picks targets or touches a request, and no weight or route matters: a pool is checked because it is
//! there. `checks` decides who is asked, `watch` when, `ask` how.

mod answer;
mod ask;
mod checks;
mod grpc;
mod http1;
mod http2;
mod outcome;
mod probe;
mod socket;
mod streak;
mod tls;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::target::{Health, Target};
use super::{Pool, Pools};
use checks::Checks;
pub use probe::probe;

/// Who asks, unless the file says otherwise.
const USER_AGENT: &str = concat!("kanaria-HealthChecker/", env!("CARGO_PKG_VERSION"));

/// How soon is told what happens by the clock alone: an ejected target returns, a draining one is gone.
const SWEEP: Duration = Duration::from_millis(250);

/// Checks the members of `pools`, whoever they are at the time, until `shutdown` says true.
pub async fn run(pools: Arc<Pools>, mut shutdown: Receiver<bool>) {
    let mut swaps = pools.swaps();
    swaps.mark_changed();
    let mut sweep = time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut checks = Checks::new(Instant::now());
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

impl Pool {
    /// The checks of `target` now say `after`, for the first time, or that it answers although it is ejected.
    fn checked(&self, target: &Target, after: Health, now: u64) {
        let members = self.members.load();
        let before = target.health();
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
        if after.up() {
            target.answers_again(now);
        }
        self.announce(target, now);
    }
}

#[cfg(test)]
mod tests;
