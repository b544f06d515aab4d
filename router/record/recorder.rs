//! Where finished requests are told: once each, to the metrics and to every access log.
//!
//! It never waits: `finish` is called from `Drop` too. Who must not get ahead of a log awaits `ready` before it takes a
//! request on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::snapshot::{Snapshot, Structure};

use super::Record;
use crate::access_log::{AccessLog, OpenError, Writer};
use crate::metrics::Metrics;

/// Tells metrics and access logs of finished requests.
pub struct Recorder {
    metrics: Arc<Metrics>,
    logs: ArcSwap<Vec<Arc<AccessLog>>>,
    writers: Mutex<Vec<Writer>>,
}

impl Recorder {
    /// Counts in `metrics`; has no access log yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            logs: ArcSwap::default(),
            writers: Mutex::default(),
        }
    }

    /// Opens the access logs of `structure` and lets go of those it no longer has, once they are written; no request
    /// waits for those any more.
    ///
    /// When one cannot be opened, nothing changes.
    pub fn reconfigure(&self, structure: &Structure) -> Result<(), OpenError> {
        let mut writers = self.writers();
        let current = self.logs.load();
        let mut opened = Vec::new();
        let mut logs = Vec::new();
        for settings in &structure.access_logs {
            let kept = current.iter().find(|log| log.has(settings));
            logs.push(match kept {
                Some(log) => Arc::clone(log),
                None => {
                    let (log, writer) = AccessLog::open(settings, &self.metrics)?;
                    opened.push(writer);
                    Arc::new(log)
                }
            });
        }
        writers.retain(Writer::runs);
        writers.append(&mut opened);
        let left = self.logs.swap(Arc::new(logs));
        let kept = self.logs.load();
        let goes = |log: &&Arc<AccessLog>| !kept.iter().any(|other| Arc::ptr_eq(other, log));
        left.iter().filter(goes).for_each(|log| log.leave());
        Ok(())
    }

    /// The request of `record` finished; `snapshot` is the one that decided it. To be called once for each request.
    pub fn finish(&self, record: &Record, snapshot: &Snapshot) {
        self.metrics.finished(record, snapshot);
        for log in self.logs.load().iter() {
            log.tell(record, snapshot);
        }
    }

    /// What waits to be written: the name of each log, its bytes, and whether no request is taken on because of them.
    /// One that a reload let go of is told of until it is written.
    pub fn backlogs(&self) -> Vec<(String, usize, bool)> {
        let mut backlogs: Vec<(String, usize, bool)> = Vec::new();
        for (name, bytes, blocked) in self.writers().iter().filter_map(Writer::report) {
            match backlogs.iter_mut().find(|(other, ..)| *other == name) {
                Some((_, all, is_blocked)) => {
                    *all += bytes;
                    *is_blocked |= blocked;
                }
                None => backlogs.push((name, bytes, blocked)),
            }
        }
        backlogs
    }

    /// Waits while a log with `on_full = "block"` has more to write than it may hold; to be awaited before a request is
    /// taken on. At once for all others.
    pub async fn ready(&self) {
        if self.logs.load().iter().all(|log| log.has_room()) {
            return;
        }
        let logs = self.logs.load_full();
        for log in logs.iter() {
            log.room().await;
        }
    }

    /// Looks all log files up by their names at once, as each write does, so that one that was moved is there anew
    /// although no line comes. Lines that were not written yet go to the files found.
    pub fn reopen(&self) {
        for writer in self.writers().iter() {
            writer.reopen();
        }
    }

    /// Writes everything out and ends the logs; whatever finishes later is counted as dropped.
    /// A log that cannot be written within `patience` is given up, and said so.
    pub fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut writers = self.writers();
        let open = self.logs.load_full();
        let closed = open.iter().map(|log| Arc::new(log.closed())).collect();
        self.logs.store(Arc::new(closed));
        // The writers end when the last request lets go of the open logs, and so must this function.
        drop(open);
        for writer in writers.drain(..) {
            writer.close(deadline);
        }
    }

    fn writers(&self) -> MutexGuard<'_, Vec<Writer>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests;
