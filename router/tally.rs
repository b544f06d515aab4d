//! What the pools of each route did in the last hour, minute by minute: requests, what went wrong, times, bytes, and on
//! which paths it went wrong.
//!
//! A request adds to a few counters that all threads share; paths are only looked at when something went wrong. Nothing
//! here compares or judges. Of one pool in one route it keeps at most `BINS` counts of each of 60 minutes (350 KiB; a tenth
//! of that is usual) and `sketch::MOST` paths of each of 12 stretches of five minutes (60 KiB).

mod counts;
mod fold;
mod past;
mod registry;
mod sketch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use canary::guard::{BINS, bin};
use config::decision::{Choice, Reason};

use crate::record::{Record, Text};
use crate::witness::{Outcome, outcome, time_us};
use counts::Counts;
pub use counts::Totals;
pub(crate) use fold::fold;
use past::Past;
pub use past::{LONGEST, STRETCH, Summary};
pub use registry::{Tallies, run};
use sketch::Sketch;
pub use sketch::{Bad, Kind};

/// What one pool did in one route.
#[derive(Debug)]
pub(crate) struct Tally {
    bins: Box<[AtomicU32]>,
    partitions: Mutex<Vec<(Arc<str>, Arc<Counts>)>>,
    bad: Mutex<Sketch>,
    /// Requests whose path was not noted, because somebody else was noting one.
    missed: AtomicU64,
    past: Mutex<Past>,
}

/// Where the requests of one partition count that are charged to one pool of a route.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    tally: Arc<Tally>,
    partition: Arc<str>,
    counts: Arc<Counts>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            bins: (0..BINS).map(|_| AtomicU32::new(0)).collect(),
            partitions: Mutex::default(),
            bad: Mutex::default(),
            missed: AtomicU64::new(0),
            past: Mutex::default(),
        }
    }
}

impl Seat {
    /// The request of `record`, which is charged here, finished. Who chose a pool by a flag is no sample of its clients.
    pub(crate) fn count(&self, record: &Record, choice: &Choice) {
        if choice.flag.is_some() {
            return;
        }
        let failed_over = choice.reason == Reason::Failover;
        let outcome = if failed_over {
            Some(Outcome::Failed)
        } else {
            outcome(record)
        };
        let Some(outcome) = outcome else {
            return;
        };
        self.counts.add(record);
        if let Some(time_us) = time_us(record).filter(|_| !failed_over) {
            self.tally.bins[bin(time_us)].fetch_add(1, Relaxed);
        }
        if outcome != Outcome::Fine {
            self.went_wrong(record, choice, outcome);
        }
    }

    #[cold]
    fn went_wrong(&self, record: &Record, choice: &Choice, outcome: Outcome) {
        let answered = record.upstream.and_then(|upstream| upstream.status);
        let kind = match (outcome, answered) {
            (Outcome::Refused, _) => Kind::Refused,
            // Whatever stable answered in its place: the pool itself did not.
            _ if choice.reason == Reason::Failover => Kind::Unanswered,
            (_, Some(_)) => Kind::Failed,
            (_, None) => Kind::Unanswered,
        };
        self.counts.bad(kind);
        let path = fold(record.head.get(Text::Path).unwrap_or_default());
        // Whoever notes a path is done in a moment, and a request waits for nobody.
        match self.tally.bad.try_lock() {
            Ok(mut bad) => bad.note(&self.partition, kind, path, record.status, choice.unit),
            Err(_) => {
                self.tally.missed.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Tally {
    /// The place of the requests of `partition`.
    pub(crate) fn seat(self: &Arc<Self>, partition: &Arc<str>) -> Seat {
        let mut partitions = lock(&self.partitions);
        let known = partitions.iter().find(|(name, _)| name == partition);
        let counts = known.map_or_else(Arc::default, |(_, counts)| Arc::clone(counts));
        if known.is_none() {
            partitions.push((Arc::clone(partition), Arc::clone(&counts)));
        }
        Seat {
            tally: Arc::clone(self),
            partition: Arc::clone(partition),
            counts,
        }
    }

    /// A minute that began at `start_s` is over.
    fn close(&self, start_s: u64) {
        let mut past = lock(&self.past);
        let partitions = lock(&self.partitions);
        let partitions = partitions
            .iter()
            .map(|(name, counts)| (Arc::clone(name), counts.take()));
        let bins = self.bins.iter().enumerate();
        let bins = bins.filter(|(_, count)| count.load(Relaxed) > 0);
        let bins = bins.map(|(bin, count)| (bin as u16, count.swap(0, Relaxed)));
        past.add_minute(start_s, partitions.collect(), bins.collect());
        if past.ends_a_stretch(start_s) {
            past.add_paths(start_s, lock(&self.bad).take());
        }
    }

    /// What it did from `from_s` on, as far as that is still known.
    fn summary(&self, from_s: u64) -> Summary {
        let past = lock(&self.past);
        let mut summary = past.summary(from_s);
        for (name, counts) in lock(&self.partitions).iter() {
            summary.add_partition(name, &counts.look());
        }
        for (bin, count) in self.bins.iter().enumerate() {
            summary.bins[bin] += u64::from(count.load(Relaxed));
        }
        summary.add_paths(&lock(&self.bad));
        summary.missed = self.missed.load(Relaxed);
        summary
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
