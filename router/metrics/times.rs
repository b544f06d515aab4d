//! A histogram of times, with classic buckets for whoever reads the text, and native ones for whoever asks for messages.
//!
//! A time moves one count and the sum. Both kinds of buckets, and the number of all, are made of these counts when
//! somebody looks, so they agree with each other at every moment; a time that is counted just then may be in the sum
//! and in no bucket yet, or the other way round. A histogram has 2.2 kB, whatever it sees.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::core::{Atomic, AtomicF64};

use super::family::{Kind, Measure};
use super::grid::{self, EDGES, LOWEST, N_CELLS, N_NATIVE, SCHEMA};
use super::messages::{Bucket, BucketSpan, Histogram, Metric};
use super::text;

/// Native buckets without a time that are written between two others: a new span costs more.
const BRIDGED: i32 = 2;

/// Classic upper bounds of requests, in seconds.
const OF_REQUESTS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Classic upper bounds of changes.
const OF_CHANGES: &[f64] = &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];

/// A histogram of times.
pub(super) struct Times {
    /// Upper bounds of its classic buckets, in seconds; each is an edge of the grid.
    bounds: &'static [f64],
    /// By `grid::cell`.
    cells: [AtomicU64; N_CELLS],
    seconds: AtomicF64,
}

/// What was counted at one moment.
struct Look {
    cells: [u64; N_CELLS],
    seconds: f64,
}

impl Times {
    /// No request yet.
    pub(super) fn of_requests() -> Self {
        Self::new(OF_REQUESTS)
    }

    /// No change yet.
    pub(super) fn of_changes() -> Self {
        Self::new(OF_CHANGES)
    }

    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            cells: [const { AtomicU64::new(0) }; N_CELLS],
            seconds: AtomicF64::new(0.0),
        }
    }

    /// Counts `time`.
    pub(super) fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.cells[grid::cell(nanos)].fetch_add(1, Relaxed);
        self.seconds.inc_by(time.as_secs_f64());
    }

    fn look(&self) -> Look {
        Look {
            cells: self.cells.each_ref().map(|cell| cell.load(Relaxed)),
            seconds: self.seconds.get(),
        }
    }
}

impl Look {
    fn n(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Each of the `bounds`, and how many times are not above it.
    fn classic(&self, bounds: &'static [f64]) -> impl Iterator<Item = (f64, u64)> {
        let mut cells = self.cells.iter().zip(&EDGES).peekable();
        let mut n = 0;
        bounds.iter().map(move |&bound| {
            let nanos = (bound * 1e9).round() as u64;
            while let Some((count, _)) = cells.next_if(|(_, edge)| **edge <= nanos) {
                n += count;
            }
            (bound, n)
        })
    }

    /// Counts of the native buckets above the zero bucket, which is the first cell.
    fn native(&self) -> [u64; N_NATIVE] {
        let mut buckets = [0; N_NATIVE];
        let mut bucket = 0;
        for (cell, count) in self.cells.iter().enumerate().skip(1) {
            buckets[bucket] += count;
            let edge = grid::native(LOWEST + 1 + bucket as i32);
            bucket += usize::from(EDGES.get(cell) == Some(&edge));
        }
        buckets
    }
}

/// Native buckets as messages have them: where there are some, and by how much each differs from the one before it.
fn spans(buckets: &[u64; N_NATIVE]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<BucketSpan>::new(), Vec::new());
    let (mut end, mut before) = (0, 0);
    for (index, &count) in (LOWEST + 1..).zip(buckets).filter(|(_, count)| **count > 0) {
        let gap = index - end;
        match spans.last_mut() {
            Some(span) if gap <= BRIDGED => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                span.length = span.length.map(|length| length + gap as u32 + 1);
            }
            _ => spans.push(BucketSpan {
                offset: Some(gap),
                length: Some(1),
            }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (end, before) = (index + 1, count);
    }
    (spans, deltas)
}

impl Measure for Times {
    const KIND: Kind = Kind::Histogram;

    fn lines(&self, name: &str, labels: &str, text: &mut String) {
        let look = self.look();
        let comma = if labels.is_empty() { "" } else { "," };
        let start = format!("{name}_bucket{{{labels}{comma}le=\"");
        let n = look.n();
        let bounds = look.classic(self.bounds).chain([(f64::INFINITY, n)]);
        for (bound, n) in bounds {
            text.push_str(&start);
            if bound.is_finite() {
                text::number(bound, text);
            } else {
                text.push_str("+Inf");
            }
            text.push_str("\"} ");
            text::number(n, text);
            text.push('\n');
        }
        text::line(&format!("{name}_sum"), labels, look.seconds, text);
        text::line(&format!("{name}_count"), labels, n, text);
    }

    fn metric(&self) -> Metric {
        let look = self.look();
        let bounds = look.classic(self.bounds).chain([(f64::INFINITY, look.n())]);
        let classic = bounds.map(|(bound, n)| Bucket {
            cumulative_count: Some(n),
            upper_bound: Some(bound),
        });
        let (positive_span, positive_delta) = spans(&look.native());
        let histogram = Histogram {
            sample_count: Some(look.n()),
            sample_sum: Some(look.seconds),
            bucket: classic.collect(),
            schema: Some(SCHEMA),
            zero_threshold: Some(2_f64.powi(LOWEST / 8)),
            zero_count: Some(look.cells[0]),
            positive_span,
            positive_delta,
        };
        Metric {
            histogram: Some(histogram),
            ..Metric::default()
        }
    }
}

#[cfg(test)]
mod tests;
