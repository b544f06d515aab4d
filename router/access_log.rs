//! Access logs: one line for every finished request, written by one thread for each log.
//!
//! A request hands over a finished line and goes on; it never waits here and takes no lock. The lines not written yet
//! are counted in bytes. When they are more than `CAPACITY`, `on_full = "drop"` loses the line and counts it, and
//! `on_full = "block"` takes the line all the same but lets no further request start (`room`), so that its bound is the
//! capacity and one line of each request in flight.

mod alb;
mod backlog;
mod batch;
mod form;
pub(crate) mod line;
mod output;
mod rotation;
mod streams;
mod text;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::Thread;

use config::ids::PartitionId;
use config::model::{self, LogFormat, OnFull};
use config::snapshot::Snapshot;

use crate::metrics::Metrics;
use crate::record::Record;
use backlog::Backlog;
use streams::Streams;
pub(crate) use writer::Writer;

/// Bytes of lines that may wait to be written.
const CAPACITY: usize = 16 << 20;

/// From here on the writer is woken instead of left to its own rhythm.
const HURRY: usize = CAPACITY / 4;

/// An access log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("access log `{path}`: {error}")]
pub struct OpenError {
    path: String,
    error: io::Error,
}

/// One access log, as requests see it.
pub(crate) struct AccessLog {
    settings: model::AccessLog,
    by_partition: bool,
    backlog: Arc<Backlog>,
    queue: Option<Queue>,
}

struct Queue {
    lines: Sender<Line>,
    writer: Thread,
}

/// One line, which ends with its only line feed.
struct Line {
    text: Vec<u8>,
    /// What tells its file, where the path names partitions.
    partition: Option<Arc<str>>,
}

impl AccessLog {
    /// Opens the file and starts its writer.
    pub(crate) fn open(
        settings: &model::AccessLog,
        metrics: &Metrics,
    ) -> Result<(Self, Writer), OpenError> {
        let opened = Streams::open(settings);
        opened
            .and_then(|streams| Self::start(settings, metrics, streams))
            .map_err(|error| OpenError {
                path: settings.path.clone(),
                error,
            })
    }

    fn start(
        settings: &model::AccessLog,
        metrics: &Metrics,
        streams: Streams,
    ) -> io::Result<(Self, Writer)> {
        let backlog = Arc::new(Backlog::new(settings, metrics));
        let (sender, receiver) = mpsc::channel();
        let writer = Writer::start(Arc::clone(&backlog), receiver, streams)?;
        let queue = Queue {
            lines: sender,
            writer: writer.thread(),
        };
        let log = Self {
            by_partition: settings.by_partition(),
            settings: settings.clone(),
            backlog,
            queue: Some(queue),
        };
        Ok((log, writer))
    }

    /// Whether it is the log of these settings, and open.
    pub(crate) fn has(&self, settings: &model::AccessLog) -> bool {
        self.queue.is_some() && self.settings == *settings
    }

    /// The same log with its end behind it: it drops and counts whatever it gets.
    pub(crate) fn closed(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            by_partition: self.by_partition,
            backlog: Arc::clone(&self.backlog),
            queue: None,
        }
    }

    /// No request waits for it any more; what it has is written all the same.
    pub(crate) fn leave(&self) {
        self.backlog.left.store(true, Ordering::Release);
        self.backlog.room.notify_waiters();
    }

    /// Takes the line of `record`, decided by `snapshot`.
    pub(crate) fn tell(&self, record: &Record, snapshot: &Snapshot) {
        let text = match self.settings.format {
            LogFormat::Alb => alb::line(record, snapshot),
            LogFormat::Json => line::json(record, snapshot),
            LogFormat::Ltsv => line::ltsv(record, snapshot),
        };
        self.append(Line {
            text,
            partition: self.by_partition.then(|| partition(record, snapshot)),
        });
    }

    fn append(&self, line: Line) {
        let backlog = &*self.backlog;
        let size = line.text.len();
        let before = backlog.bytes.fetch_add(size, Ordering::Relaxed);
        let full = before + size > CAPACITY;
        if full {
            backlog.say_full();
        }
        let queue = self.queue.as_ref();
        let Some(queue) = queue.filter(|_| !full || backlog.on_full == OnFull::Block) else {
            return backlog.lose(1, size);
        };
        if queue.lines.send(line).is_err() {
            return backlog.lose(1, size);
        }
        if before < HURRY && before + size >= HURRY {
            queue.writer.unpark();
        }
    }

    /// Whether a further request may start.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.is_none() || self.backlog.has_room()
    }

    /// Waits until it may.
    pub(crate) async fn room(&self) {
        while !self.has_room() {
            // Made before the second look, so that a batch written in between is not missed.
            let room = self.backlog.room.notified();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }
}

/// The partition of the request's host; the default one when that was not asked.
fn partition(record: &Record, snapshot: &Snapshot) -> Arc<str> {
    let known = record.decision.map(|decision| decision.partition);
    let partition = known.unwrap_or(PartitionId::DEFAULT);
    Arc::clone(snapshot.partition_name(partition))
}

#[cfg(test)]
mod tests;
