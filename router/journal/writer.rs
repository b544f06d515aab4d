//! A thread that owns the journal's file, so that a slow disk stalls nobody who can do without it.
//!
//! A write can be withdrawn while it hangs: then it is undone as soon as the disk answers, and was never part of the journal.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::file::Staged;
use super::{Entry, JournalFile};

/// The way to the thread.
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// A write under way.
pub struct Pending {
    stage: Arc<AtomicU8>,
    reply: oneshot::Receiver<Result<(), Undurable>>,
}

/// A change that is not on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal in `{folder}` cannot be written: {cause}")]
pub struct Undurable {
    /// The state folder.
    pub folder: String,
    /// What the system says.
    pub cause: String,
}

enum Job {
    /// A copy of the lock, once what was asked before is done.
    Lock(oneshot::Sender<std::io::Result<File>>),
    Write(Write),
}

struct Write {
    entries: Vec<Arc<Entry>>,
    stage: Arc<AtomicU8>,
    reply: oneshot::Sender<Result<(), Undurable>>,
}

const OPEN: u8 = 0;
const WRITTEN: u8 = 1;
const WITHDRAWN: u8 = 2;

const WITHDRAWN_TEXT: &str = "the change was withdrawn";

impl Writer {
    /// Starts the thread; it ends when the writer is dropped and everything asked for is done.
    pub fn start(journal: JournalFile) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("kanaria-journal".into())
            .spawn(move || work(journal, &inbox))?;
        Ok(Self { jobs, thread })
    }

    /// Asks for `entries` to be written, all or none.
    pub fn append(&self, entries: Vec<Arc<Entry>>) -> Pending {
        let stage = Arc::new(AtomicU8::new(OPEN));
        let (reply, answer) = oneshot::channel();
        let job = Job::Write(Write {
            entries,
            stage: Arc::clone(&stage),
            reply,
        });
        // A thread that is gone drops the job, and the waiting end learns it from the closed channel.
        drop(self.jobs.send(job));
        Pending {
            stage,
            reply: answer,
        }
    }

    /// A copy of the lock of the state folder, once everything asked for before is done. While it is open nobody else can
    /// take the folder.
    pub async fn lock(&self) -> std::io::Result<File> {
        let (reply, answer) = oneshot::channel();
        let gone = || std::io::Error::other("the journal is closed");
        self.jobs.send(Job::Lock(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Ends the thread after everything asked for, and gives the state folder free. It blocks.
    pub fn close(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the journal's thread ended by a defect of the router");
        }
    }
}

impl Pending {
    /// Waits until the entries are on disk, or cannot be.
    pub async fn settled(&mut self) -> Result<(), Undurable> {
        (&mut self.reply)
            .await
            .unwrap_or_else(|_| Err(Undurable::gone()))
    }

    /// Gives up waiting. The entries count as never written, unless they were on disk already.
    pub async fn withdraw(mut self) -> Result<(), Undurable> {
        let withdrawn =
            self.stage
                .compare_exchange(OPEN, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire);
        match withdrawn {
            Ok(_) => Err(Undurable {
                folder: "state_dir".into(),
                cause: "the disk did not answer in time".into(),
            }),
            Err(_) => self.settled().await,
        }
    }
}

impl Undurable {
    fn gone() -> Self {
        Self {
            folder: "state_dir".into(),
            cause: "the journal is closed".into(),
        }
    }
}

fn work(mut journal: JournalFile, inbox: &mpsc::Receiver<Job>) {
    while let Ok(job) = inbox.recv() {
        // Who asked may have given up waiting.
        match job {
            Job::Lock(reply) => drop(reply.send(journal.share_lock())),
            Job::Write(job) => carry_out(&mut journal, job),
        }
    }
}

fn carry_out(journal: &mut JournalFile, job: Write) {
    let outcome = write(journal, &job);
    // Whoever waits need not wait for the books to be kept.
    drop(
        job.reply
            .send(outcome.as_ref().map(drop).map_err(Undurable::clone)),
    );
    if let Ok(staged) = outcome {
        journal.commit(&staged, &job.entries);
    }
}

fn write(journal: &mut JournalFile, job: &Write) -> Result<Staged, Undurable> {
    if job.stage.load(Ordering::Acquire) == WITHDRAWN {
        return Err(undurable(journal, WITHDRAWN_TEXT.into()));
    }
    let staged = match journal.stage(&job.entries) {
        Ok(staged) => staged,
        Err(error) => {
            journal.retract();
            return Err(undurable(journal, error.to_string()));
        }
    };
    let written = job
        .stage
        .compare_exchange(OPEN, WRITTEN, Ordering::AcqRel, Ordering::Acquire);
    if written.is_err() {
        journal.retract();
        return Err(undurable(journal, WITHDRAWN_TEXT.into()));
    }
    Ok(staged)
}

fn undurable(journal: &JournalFile, cause: String) -> Undurable {
    Undurable {
        folder: journal.folder().display().to_string(),
        cause,
    }
}
