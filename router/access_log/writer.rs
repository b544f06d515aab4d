//! The thread behind one access log: takes lines in batches and writes them whole.
//!
//! It looks for lines ten times a second on its own, so that handing over a line wakes nobody. A line that was begun is
//! always finished before another starts, even when the disk was full in between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use config::model::OnFull;

use super::Backlog;
use super::batch::Batch;

/// How long a line waits at most before the writer sees it.
const TICK: Duration = Duration::from_millis(100);

/// How long the writer waits before it tries again what failed.
const RETRY: Duration = Duration::from_millis(100);

/// A batch is written once it has so many bytes.
const BATCH: usize = 256 << 10;

/// An access log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("access log `{path}`: {error}")]
pub struct OpenError {
    path: String,
    error: io::Error,
}

/// Where the lines of a log go.
pub(super) enum Output {
    File { path: PathBuf, file: File },
    Stdout,
}

/// A running writer.
pub(crate) struct Writer {
    backlog: Arc<Backlog>,
    thread: JoinHandle<()>,
}

/// The writer's own side.
struct Work {
    backlog: Arc<Backlog>,
    lines: Receiver<Vec<u8>>,
    output: Output,
    batch: Batch,
    failing: bool,
}

/// Whether further lines may come.
#[derive(PartialEq)]
enum Supply {
    /// More are waiting.
    Waiting,
    /// None for now.
    Empty,
    /// Never again.
    Over,
}

impl Output {
    pub(super) fn open(path: &str) -> Result<Self, OpenError> {
        if path == "stdout" {
            return Ok(Self::Stdout);
        }
        let file = open(Path::new(path)).map_err(|error| OpenError {
            path: path.into(),
            error,
        })?;
        Ok(Self::File {
            path: path.into(),
            file,
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()?;
                Ok(bytes.len())
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Lines tell who read what: nothing for everybody's eyes.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

impl Writer {
    pub(super) fn start(
        backlog: Arc<Backlog>,
        lines: Receiver<Vec<u8>>,
        output: Output,
    ) -> Result<Self, OpenError> {
        let work = Work {
            backlog: Arc::clone(&backlog),
            lines,
            output,
            batch: Batch::default(),
            failing: false,
        };
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || work.run())
            .map_err(|error| OpenError {
                path: backlog.name.clone(),
                error,
            })?;
        Ok(Self { backlog, thread })
    }

    pub(super) fn thread(&self) -> Thread {
        self.thread.thread().clone()
    }

    pub(crate) fn runs(&self) -> bool {
        !self.thread.is_finished()
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
                self.write_out(supply == Supply::Over);
                self.reopen();
            }
            self.write_out(supply == Supply::Over);
            match supply {
                Supply::Waiting => {}
                Supply::Empty => thread::park_timeout(TICK),
                Supply::Over => return,
            }
        }
    }

    fn collect(&mut self) -> Supply {
        while self.batch.len() < BATCH {
            match self.lines.try_recv() {
                Ok(line) => self.batch.add(&line),
                Err(TryRecvError::Empty) => return Supply::Empty,
                Err(TryRecvError::Disconnected) => return Supply::Over,
            }
        }
        Supply::Waiting
    }

    fn reopen(&mut self) {
        if let Err(error) = self.output.reopen() {
            let log = &self.backlog.name;
            tracing::error!(log, %error, "access log cannot be opened anew, the old file goes on");
        }
    }

    /// Writes the batch. When it cannot: with `block` tries until it can, with `drop` gives up all but the line begun.
    fn write_out(&mut self, last: bool) {
        while !self.batch.done() {
            match self.output.write(self.batch.rest()) {
                Ok(n) if n > 0 => self.wrote(n),
                Ok(_) => self.failed(&ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.failed(&error),
            }
            if !self.failing {
                continue;
            }
            let keeps = self.backlog.on_full == OnFull::Block
                && !self.backlog.given_up.load(Ordering::Acquire);
            if !keeps {
                return self.give_up_batch(last);
            }
            thread::park_timeout(RETRY);
        }
        self.batch.clear();
    }

    fn wrote(&mut self, n: usize) {
        let (n_lines, bytes) = self.batch.advance(n);
        self.backlog.wrote(n_lines, bytes);
        if std::mem::take(&mut self.failing) {
            tracing::warn!(log = self.backlog.name, "access log can be written again");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            let (log, on_full) = (&self.backlog.name, self.backlog.on_full);
            tracing::error!(log, ?on_full, %error, "access log cannot be written");
        }
    }

    fn give_up_batch(&mut self, last: bool) {
        let (n_lines, bytes) = if last {
            self.batch.clear()
        } else {
            self.batch.keep_begun()
        };
        self.backlog.lose(n_lines, bytes);
    }
}
