//! What requests and the writer of a log know of each other: how much waits, and what is counted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use config::model::{AccessLog, OnFull, STDOUT};
use tokio::sync::Notify;

use super::{CAPACITY, Line};
use crate::metrics::{Counter, LogSeries, Metrics};

/// Docker cuts longer lines of standard output into several records.
const LONGEST: usize = 16 << 10;

/// How often the same complaint is made at most.
const SILENCE: Duration = Duration::from_secs(60);

/// What requests and writer of a log know of each other.
pub(super) struct Backlog {
    pub(super) name: String,
    pub(super) on_full: OnFull,
    pub(super) bytes: AtomicUsize,
    pub(super) reopen: AtomicBool,
    pub(super) given_up: AtomicBool,
    /// No file has this log any more: it is written out, and nobody waits.
    pub(super) left: AtomicBool,
    pub(super) room: Notify,
    pub(super) lines: Arc<Counter>,
    pub(super) dropped: Arc<Counter>,
    /// Lines that standard output may cut; `None` for a file.
    long: Option<Arc<Counter>>,
    said_full: Mutex<Option<Instant>>,
    said_long: Mutex<Option<Instant>>,
}

impl Backlog {
    pub(super) fn new(settings: &AccessLog, metrics: &Metrics) -> Self {
        let is_stdout = settings.path == STDOUT;
        let LogSeries {
            lines,
            dropped,
            long,
        } = metrics.access_log(&settings.path, is_stdout);
        Self {
            name: settings.path.clone(),
            on_full: settings.on_full,
            bytes: AtomicUsize::new(0),
            reopen: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            left: AtomicBool::new(false),
            room: Notify::new(),
            lines,
            dropped,
            long,
            said_full: Mutex::default(),
            said_long: Mutex::default(),
        }
    }

    /// Name, bytes that wait, and whether the site waits for them.
    pub(super) fn report(&self) -> (String, usize, bool) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (self.name.clone(), bytes, !self.has_room())
    }

    pub(super) fn has_room(&self) -> bool {
        self.on_full == OnFull::Drop
            || self.is_given_up()
            || self.left.load(Ordering::Acquire)
            || self.bytes.load(Ordering::Relaxed) <= CAPACITY
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// What happens while it cannot be written.
    pub(super) const fn then(&self) -> &'static str {
        match self.on_full {
            OnFull::Block => {
                "on_full is block, so no request is taken on once 16 MiB wait to be written"
            }
            OnFull::Drop => "on_full is drop, so lines are lost and counted",
        }
    }

    /// Says that more waits than may, but not for each line.
    #[cold]
    pub(super) fn say_full(&self) {
        if !is_due(&self.said_full) {
            return;
        }
        let log = &self.name;
        match self.on_full {
            OnFull::Block => tracing::error!(
                log,
                "access log is full, on_full is block: no request is taken on until it can be written"
            ),
            OnFull::Drop => tracing::error!(
                log,
                "access log is full, on_full is drop: lines are lost and counted"
            ),
        }
    }

    /// Counts a line that standard output may cut.
    pub(super) fn measure(&self, line: &Line) {
        let Some(long) = self.long.as_ref().filter(|_| line.text.len() > LONGEST) else {
            return;
        };
        long.inc();
        if is_due(&self.said_long) {
            tracing::warn!(
                bytes = line.text.len(),
                "a line of the access log on stdout is above 16 KiB: container runtimes cut it; write to a file"
            );
        }
    }

    /// So many lines of together so many bytes cannot be written.
    pub(super) fn lose(&self, n_lines: usize, bytes: usize) {
        self.dropped.inc_by(n_lines as u64);
        self.release(bytes);
    }

    /// So many lines of together so many bytes are written.
    pub(super) fn wrote(&self, n_lines: usize, bytes: usize) {
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

/// Whether the last time is long ago; whoever finds somebody else asking has nothing to say.
fn is_due(said: &Mutex<Option<Instant>>) -> bool {
    let Ok(mut said) = said.try_lock() else {
        return false;
    };
    let now = Instant::now();
    let due = said.is_none_or(|last| now.duration_since(last) >= SILENCE);
    if due {
        *said = Some(now);
    }
    due
}
