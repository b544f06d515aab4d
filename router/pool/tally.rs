//! How many health checks came out how.

use std::sync::atomic::{AtomicU64, Ordering};

use super::target::Health;

/// So many ways a check can come out.
pub(super) const RESULTS: usize = 6;

/// The results in the words of `kanaria_health_checks_total`.
const WORDS: [&str; RESULTS] = [
    "healthy",
    "wrong_status",
    "wrong_body",
    "timeout",
    "failed",
    "not_asked",
];

/// Checks of one pool, by result.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; RESULTS]);

impl Tally {
    /// One more; `None` could not be asked.
    pub(super) fn count(&self, result: Option<Health>) {
        let position = match result {
            Some(Health::Initial | Health::Unchecked | Health::Healthy) => 0,
            Some(Health::WrongStatus) => 1,
            Some(Health::WrongBody) => 2,
            Some(Health::Timeout) => 3,
            Some(Health::Failed) => 4,
            None => 5,
        };
        self.0[position].fetch_add(1, Ordering::Relaxed);
    }

    /// All so far.
    pub(super) fn counted(&self) -> [(&'static str, u64); RESULTS] {
        let count = |position: usize| self.0[position].load(Ordering::Relaxed);
        std::array::from_fn(|position| (WORDS[position], count(position)))
    }
}
