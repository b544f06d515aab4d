//! Watching one target: when it is asked, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::ask::Terms;
use super::outcome::Outcome;
use super::streak::Streak;
use crate::pool::handle::Handle;
use crate::pool::target::Health;
use crate::pool::{Pools, Shared};

/// Everything about the checks of one target.
pub(super) struct Watch {
    pub(super) pools: Arc<Pools>,
    pub(super) pool: Arc<str>,
    pub(super) shared: Arc<Shared>,
    pub(super) target: Handle,
    pub(super) terms: Arc<Terms>,
}

impl Watch {
    /// Checks the target for ever, from `first` on. `origin` is when ticks are counted from, the same for all targets.
    pub(super) async fn run(self, first: Instant, origin: Instant) {
        let mut streak = Streak::new(&self.terms.check);
        let mut pace = Pace::new(first, self.terms.check.interval, origin);
        loop {
            pace.turn().await;
            let outcome = self.terms.ask(self.target.address).await;
            self.judge(&mut streak, outcome, Instant::now().into_std());
        }
    }

    fn judge(&self, streak: &mut Streak, outcome: Outcome, now: std::time::Instant) {
        self.shared.checks.count(outcome.health());
        let (result, seen) = match outcome {
            Outcome::Healthy => (Health::Healthy, None),
            Outcome::Ill(health, seen) => (health, Some(seen)),
            Outcome::Unasked(error) => return self.tell_of_trouble(&error),
        };
        let target = &self.target;
        let after = streak.next(target.health(), result);
        target.describe(seen.filter(|_| !after.up()));
        let now = self.shared.clock.at(now);
        // A check that failed says nothing good, even if the target stays healthy until the next one fails too.
        let answers = result.up() && after.up();
        let is_news = after != target.health() || (answers && target.ejected(now));
        // The pool of today: a reload may have shaped it anew while the target answered.
        if is_news && let Some(pool) = self.pools.pool(&self.pool) {
            pool.checked(target, after, now);
        }
    }

    fn tell_of_trouble(&self, error: &str) {
        let address = self.target.address;
        tracing::warn!(
            "pool `{}`: {address} could not be checked: {error}",
            self.pool
        );
    }
}

/// When checks begin: one interval apart, or when the one before has ended if that is later.
///
/// Checks of many targets begin together, at the same ticks: a thread that wakes for each of a thousand checks a second
/// spends as much on waking as on checking.
struct Pace {
    next: Instant,
    interval: Duration,
    origin: Instant,
}

/// From one tick to the next, at most; and in parts of an interval.
const TICK: Duration = Duration::from_millis(50);
const TICKS: u32 = 100;

impl Pace {
    fn new(first: Instant, interval: Duration, origin: Instant) -> Self {
        Self {
            next: first,
            interval,
            origin,
        }
    }

    /// Waits for the next check to begin.
    async fn turn(&mut self) {
        time::sleep_until(self.next).await;
        // Up to a tenth more or less, so that routers started together do not ask together.
        let next = Instant::now() + self.interval.mul_f64(rand::random_range(0.9..=1.1));
        self.next = self.nearest_tick(next);
    }

    fn nearest_tick(&self, moment: Instant) -> Instant {
        let tick = TICK.min(self.interval / TICKS).max(Duration::from_nanos(1));
        let ticks = moment.duration_since(self.origin).as_secs_f64() / tick.as_secs_f64();
        self.origin + tick.mul_f64(ticks.round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    /// The times between the beginnings of checks, each of which takes `answer`, in seconds.
    async fn gaps(answer: Duration) -> Vec<f64> {
        let mut pace = Pace::new(Instant::now(), INTERVAL, Instant::now());
        let mut begins = Vec::new();
        for _ in 0..200 {
            pace.turn().await;
            begins.push(Instant::now());
            time::sleep(answer).await;
        }
        let gaps = begins.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.map(|gap| gap.as_secs_f64()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_check_begins_when_it_should() {
        let start = Instant::now();
        let mut pace = Pace::new(start + Duration::from_millis(7), INTERVAL, start);
        pace.turn().await;
        assert_eq!(start.elapsed(), Duration::from_millis(7));
    }

    #[tokio::test(start_paused = true)]
    async fn checks_begin_an_interval_apart_however_long_the_answer_takes() {
        for seconds in [0, 3, 8] {
            let gaps = gaps(Duration::from_secs(seconds)).await;
            assert!(gaps.iter().all(|gap| (9.0..11.1).contains(gap)), "{gaps:?}");
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            assert!((9.8..10.2).contains(&mean), "{mean}");
            let spread = gaps.iter().any(|gap| *gap < 9.5) && gaps.iter().any(|gap| *gap > 10.5);
            assert!(spread, "{gaps:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checks_begin_together_whenever_their_targets_came() {
        for (interval, tick) in [(INTERVAL, 50), (Duration::from_secs(1), 10)] {
            let origin = Instant::now();
            let mut pace = Pace::new(origin + Duration::from_micros(7_300), interval, origin);
            pace.turn().await;
            for _ in 0..20 {
                pace.turn().await;
                assert_eq!(origin.elapsed().as_millis() % tick, 0);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_longer_than_an_interval_delays_the_next_check() {
        let gaps = gaps(Duration::from_secs(25)).await;
        assert!(
            gaps.iter().all(|gap| (25.0..25.1).contains(gap)),
            "{gaps:?}"
        );
    }
}
