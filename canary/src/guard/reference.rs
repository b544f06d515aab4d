//! What is slow now: stable's times of the epoch before.

use super::{BINS, QUANTILES, Thresholds, WINDOWS_PER_MINUTE, edges, metric::Slack, thresholds};

/// The longest epoch, an hour.
const LONGEST: usize = 60 * WINDOWS_PER_MINUTE;
/// The first one, ten seconds; each is twice as long as the one before.
const FIRST: usize = 2;
/// Times that an epoch has at least.
const TIMES: u64 = 200;

/// Stable's times, by bin. Whatever is made of the past is fair; an old past only sees less.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    counts: Vec<u64>,
    n_windows: usize,
    length: usize,
    slow: [Option<Thresholds>; 3],
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            counts: vec![0; BINS],
            n_windows: 0,
            length: FIRST,
            slow: [None; 3],
        }
    }
}

impl Reference {
    /// Takes the times of a window in, pairs of a bin and how many fell into it.
    pub(super) fn close(&mut self, times: &[(usize, u32)], slack: Slack) {
        for (bin, count) in times {
            self.counts[*bin] += u64::from(*count);
        }
        self.n_windows += 1;
        let n_times: u64 = self.counts.iter().sum();
        if self.n_windows >= self.length && n_times >= TIMES {
            self.turn(slack);
        }
    }

    fn turn(&mut self, slack: Slack) {
        let edges = edges();
        let found = QUANTILES.map(|quantile| {
            thresholds(
                &edges,
                &self.counts,
                quantile,
                slack.relative,
                slack.absolute_ms,
            )
        });
        self.slow = found;
        self.counts.fill(0);
        self.n_windows = 0;
        self.length = (self.length * 2).min(LONGEST);
    }

    /// What is slow, by quantile; `None` before there was a past.
    pub(super) const fn slow(&self) -> [Option<Thresholds>; 3] {
        self.slow
    }
}
