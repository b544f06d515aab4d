//! Access logs: one line for every finished request, written by one thread for each log.
//!
//! A request hands over a finished line and goes on; it never waits here and takes no lock. The lines not written yet
//! are counted in bytes. When they are more than `CAPACITY`, `on_full = "drop"` loses the line and counts it, and
//! `on_full = "block"` takes the line all the same but lets no further request start (`room`), so that its bound is the
//! capacity and one line of each request in flight.

mod batch;
pub(crate) mod line;
mod text;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::Thread;

use config::model::{self, OnFull};
use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::metrics::Metrics;
pub use writer::OpenError;
use writer::Output;
pub(crate) use writer::Writer;

/// Bytes of lines that may wait to be written.
const CAPACITY: usize = 16 << 20;

/// From here on the writer is woken instead of left to its own rhythm.
const HURRY: usize = CAPACITY / 4;

/// One access log, as requests see it.
pub(crate) struct AccessLog {
    settings: model::AccessLog,
    backlog: Arc<Backlog>,
    queue: Option<Queue>,
}

struct Queue {
    lines: Sender<Vec<u8>>,
    writer: Thread,
}

/// What requests and writer of a log know of each other.
pub(crate) struct Backlog {
    name: String,
    on_full: OnFull,
    bytes: AtomicUsize,
    reopen: AtomicBool,
    given_up: AtomicBool,
    room: Notify,
    lines: IntCounter,
    dropped: IntCounter,
}

impl AccessLog {
    /// Opens the file and starts its writer.
    pub(crate) fn open(
        settings: &model::AccessLog,
        metrics: &Metrics,
    ) -> Result<(Self, Writer), OpenError> {
        let output = Output::open(&settings.path)?;
        Self::start(settings, metrics, output)
    }

    fn start(
        settings: &model::AccessLog,
        metrics: &Metrics,
        output: Output,
    ) -> Result<(Self, Writer), OpenError> {
        let (lines, dropped) = metrics.access_log(&settings.path);
        let backlog = Arc::new(Backlog {
            name: settings.path.clone(),
            on_full: settings.on_full,
            bytes: AtomicUsize::new(0),
            reopen: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            room: Notify::new(),
            lines,
            dropped,
        });
        let (sender, receiver) = mpsc::channel();
        let writer = Writer::start(Arc::clone(&backlog), receiver, output)?;
        let queue = Queue {
            lines: sender,
            writer: writer.thread(),
        };
        let log = Self {
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
            backlog: Arc::clone(&self.backlog),
            queue: None,
        }
    }

    /// Takes one line, which ends with its only line feed.
    pub(crate) fn append(&self, line: Vec<u8>) {
        let backlog = &*self.backlog;
        let size = line.len();
        let before = backlog.bytes.fetch_add(size, Ordering::Relaxed);
        let full = backlog.on_full == OnFull::Drop && before + size > CAPACITY;
        let Some(queue) = self.queue.as_ref().filter(|_| !full) else {
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

impl Backlog {
    fn has_room(&self) -> bool {
        self.on_full == OnFull::Drop
            || self.given_up.load(Ordering::Acquire)
            || self.bytes.load(Ordering::Relaxed) <= CAPACITY
    }

    /// So many lines of together so many bytes cannot be written.
    fn lose(&self, n_lines: usize, bytes: usize) {
        self.dropped.inc_by(n_lines as u64);
        self.release(bytes);
    }

    /// So many lines of together so many bytes are written.
    fn wrote(&self, n_lines: usize, bytes: usize) {
        self.lines.inc_by(n_lines as u64);
        self.release(bytes);
    }

    fn release(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before > CAPACITY {
            self.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
