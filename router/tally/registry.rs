//! All tallies of the process by names, and the clock that closes their minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::past::MINUTE;
use super::{LONGEST, Summary, Tally, lock};

/// All tallies of the process: by route, then by pool.
#[derive(Debug)]
pub struct Tallies {
    known: Mutex<BTreeMap<String, BTreeMap<String, Arc<Tally>>>>,
    /// When it began to count, in seconds since 1970.
    began: u64,
}

impl Default for Tallies {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            began: since_1970(SystemTime::now()),
        }
    }
}

impl Tallies {
    /// The tally of `pool` in `route`, made when it is asked for first.
    pub(crate) fn of(&self, route: &str, pool: &str) -> Arc<Tally> {
        let mut known = lock(&self.known);
        let route = known.entry(route.to_owned()).or_default();
        Arc::clone(route.entry(pool.to_owned()).or_default())
    }

    /// What each pool of `route` did in the last `window`, and when that began, in seconds since 1970: whole minutes, so a
    /// little earlier than asked for.
    pub fn summaries(
        &self,
        route: &str,
        window: Duration,
        now: SystemTime,
    ) -> (u64, Vec<(String, Summary)>) {
        let from_s = since_1970(now).saturating_sub(window.min(LONGEST).as_secs());
        let known = lock(&self.known);
        let pools = known.get(route).into_iter().flatten();
        let pools = pools.map(|(pool, tally)| (pool.clone(), tally.summary(from_s)));
        ((from_s - from_s % MINUTE).max(self.began), pools.collect())
    }

    /// Forgets what `is_known` says that there is no more, of a route and a pool.
    pub fn keep(&self, is_known: &dyn Fn(&str, &str) -> bool) {
        lock(&self.known).retain(|route, pools| {
            pools.retain(|pool, _| is_known(route, pool));
            !pools.is_empty()
        });
    }

    /// The minute that began at `start_s` is over.
    pub(super) fn close(&self, start_s: u64) {
        let known = lock(&self.known);
        let tallies = known.values().flat_map(BTreeMap::values);
        tallies.for_each(|tally| tally.close(start_s));
    }
}

fn since_1970(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}

/// Closes each minute of `tallies` when it is over, until `stop` is true.
pub async fn run(tallies: Arc<Tallies>, mut stop: watch::Receiver<bool>) {
    let mut minute = since_1970(SystemTime::now()) / MINUTE;
    loop {
        let left = MINUTE - since_1970(SystemTime::now()) % MINUTE;
        tokio::select! {
            // Whoever could stop it may be gone, which is a stop too.
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(Duration::from_secs(left)) => {}
        }
        let now = since_1970(SystemTime::now()) / MINUTE;
        if now > minute {
            tallies.close(minute * MINUTE);
            minute = now;
        }
    }
}
