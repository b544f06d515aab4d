//! The thread behind one access log: takes lines in batches and writes them whole.
//!
//! It looks for lines ten times a second on its own, so that handing over a line wakes nobody. A line that was begun is
//! always finished before another starts, even when the disk was full in between.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use config::model::OnFull;

use super::streams::{Stream, Streams};
use super::{Backlog, Line};

/// How long a line waits at most before the writer sees it.
const TICK: Duration = Duration::from_millis(100);

/// How long the writer waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(100);

/// How long it waits for a reader of standard output that does not read.
const READER: Duration = Duration::from_millis(5);

/// Lines are written once they have so many bytes.
const BATCH: usize = 256 << 10;

/// A running writer.
pub(crate) struct Writer {
    backlog: Arc<Backlog>,
    thread: JoinHandle<()>,
}

/// The writer's own side.
struct Work {
    backlog: Arc<Backlog>,
    lines: Receiver<Line>,
    streams: Streams,
    /// One that had no place among the open files.
    waiting: Option<Line>,
}

/// Whether further lines may come.
#[derive(Clone, Copy, PartialEq)]
enum Supply {
    /// More are waiting.
    Waiting,
    /// None for now.
    Empty,
    /// Never again.
    Over,
}

impl Writer {
    pub(super) fn start(
        backlog: Arc<Backlog>,
        lines: Receiver<Line>,
        streams: Streams,
    ) -> io::Result<Self> {
        let work = Work {
            backlog: Arc::clone(&backlog),
            lines,
            streams,
            waiting: None,
        };
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || work.run())?;
        Ok(Self { backlog, thread })
    }

    pub(super) fn thread(&self) -> Thread {
        self.thread.thread().clone()
    }

    pub(crate) fn runs(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Name, bytes that wait, and whether the site waits for them, as long as it runs.
    pub(crate) fn report(&self) -> Option<(String, usize, bool)> {
        self.runs().then(|| self.backlog.report())
    }

    pub(crate) fn reopen(&self) {
        self.backlog.reopen.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    /// Waits until everything is written, or `deadline`. The log must have been taken from the requests before.
    pub(crate) fn close(self, deadline: Instant) {
        while self.runs() && Instant::now() < deadline {
            self.thread.thread().unpark();
            thread::sleep(Duration::from_millis(1));
        }
        if !self.runs() {
            // A panic has said its word on standard error.
            let _ = self.thread.join();
            return;
        }
        self.backlog.given_up.store(true, Ordering::Release);
        self.backlog.room.notify_waiters();
        tracing::error!(
            log = self.backlog.name,
            bytes = self.backlog.bytes.load(Ordering::Relaxed),
            "access log given up: its last lines could not be written in time"
        );
    }
}

impl Work {
    fn run(mut self) {
        loop {
            let supply = self.collect();
            if self.backlog.reopen.swap(false, Ordering::AcqRel) {
                let streams = self.streams.iter_mut();
                streams.for_each(|it| it.output.look(&mut it.batch));
            }
            self.write_out(supply);
            match supply {
                Supply::Waiting => {}
                Supply::Empty => thread::park_timeout(TICK),
                Supply::Over => return,
            }
        }
    }

    fn collect(&mut self) -> Supply {
        let mut bytes = 0;
        while bytes < BATCH {
            let line = match self.waiting.take() {
                Some(line) => Ok(line),
                None => self.lines.try_recv(),
            };
            match line {
                Ok(line) => {
                    bytes += line.text.len();
                    if !self.add(line) {
                        return Supply::Waiting;
                    }
                }
                Err(TryRecvError::Empty) => return Supply::Empty,
                Err(TryRecvError::Disconnected) => return Supply::Over,
            }
        }
        Supply::Waiting
    }

    /// Whether there was a place for `line`; if not, it waits for the others to be written.
    fn add(&mut self, line: Line) -> bool {
        match self.streams.of(line.partition.as_ref()) {
            Ok(Some(stream)) => {
                self.backlog.measure(&line);
                stream.batch.add(&line.text);
                return true;
            }
            Ok(None) => self.waiting = Some(line),
            Err(error) => {
                tracing::error!(log = self.backlog.name, %error, "access log cannot be written");
                self.backlog.lose(1, line.text.len());
                return true;
            }
        }
        false
    }

    fn write_out(&mut self, supply: Supply) {
        for stream in self.streams.iter_mut() {
            stream.write_out(&self.backlog, supply == Supply::Over);
            stream.output.pass(&stream.batch);
        }
    }
}

impl Stream {
    /// Writes the batch. When it cannot: with `block` tries until it can, with `drop` gives up all but the line begun.
    fn write_out(&mut self, backlog: &Backlog, last: bool) {
        while !self.batch.done() {
            match self.output.write(&mut self.batch) {
                Ok(n) if n > 0 => self.wrote(n, backlog),
                Ok(_) => self.failed(&ErrorKind::WriteZero.into(), backlog),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !backlog.is_given_up() => {
                    thread::park_timeout(READER);
                }
                Err(error) => self.failed(&error, backlog),
            }
            if !self.failing {
                continue;
            }
            if backlog.on_full == OnFull::Drop || backlog.is_given_up() {
                return self.give_up_batch(backlog, last);
            }
            thread::park_timeout(RETRY);
        }
        self.batch.clear();
    }

    fn wrote(&mut self, n: usize, backlog: &Backlog) {
        let (n_lines, bytes) = self.batch.advance(n);
        backlog.wrote(n_lines, bytes);
        if std::mem::take(&mut self.failing) {
            tracing::warn!(log = backlog.name, "access log can be written again");
        }
    }

    fn failed(&mut self, error: &io::Error, backlog: &Backlog) {
        if !std::mem::replace(&mut self.failing, true) {
            let then = backlog.then();
            tracing::error!(log = backlog.name, %error, "access log cannot be written: {then}");
        }
    }

    fn give_up_batch(&mut self, backlog: &Backlog, last: bool) {
        let (n_lines, bytes) = if last {
            self.batch.clear()
        } else {
            self.batch.keep_begun()
        };
        backlog.lose(n_lines, bytes);
    }
}
