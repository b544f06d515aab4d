//! The journal: every change of the live state, one JSON object a line, each line sealed to the one before.
//!
//! Appended and fsynced before a change is answered; replayed at start; readable with `tail` and `jq`.
//! It does not decide what a change is, and it keeps no state of its own beside the file.

mod line;

pub mod chain;

mod start;

mod file;

mod writer;

use std::path::Path;

use config::live::{Delta, Live};
use serde::{Deserialize, Serialize};

pub use chain::{Broken, Chain, End, Summary};
pub use file::JournalFile;
pub use start::{Found, OpenError, Opened};
pub use writer::{Pending, Undurable, Writer};

/// Name of the journal in the state folder.
pub const FILE: &str = "journal.jsonl";

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the state after it.
    pub revision: u64,
    /// When it was asked for, UTC, RFC 3339.
    pub time: String,
    /// What it was.
    pub kind: Kind,
    /// Who asked: `token:NAME`, `local`, `file`, `guard` or `ramp`.
    pub actor: String,
    /// Why, in the words of who asked.
    pub reason: Option<String>,
    /// Digest of the file it was carried out on.
    pub config_digest: String,
    /// What was noted; of an annotation alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<Annotation>,
    /// What it did.
    #[serde(flatten)]
    pub delta: Delta,
}

/// What an operator, or a deploy, wants to have beside the figures of that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// In words.
    pub text: String,
    /// The route it is about; `None`: all.
    pub route: Option<String>,
}

/// What a change was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something was noted; nothing else changed.
    Annotate,
    /// The state as a whole, first line of a journal whose file before was lost.
    Checkpoint,
    /// Targets were taken out of a pool.
    Deregister,
    /// A pool gets no new clients.
    Drain,
    /// No canary may rise any more.
    Freeze,
    /// A ramp was turned, or took a step.
    Ramp,
    /// Targets were added to a pool.
    Register,
    /// The file was read again.
    Reload,
    /// Users of a cohort got other places.
    Reshuffle,
    /// Weights of an earlier revision were brought back.
    Restore,
    /// A mark was lifted.
    Resume,
    /// Everything went back to stable.
    Rollback,
    /// The router started.
    Start,
    /// Weights were set.
    Weights,
}

impl Kind {
    /// The word in the journal and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Annotate => "annotate",
            Self::Checkpoint => "checkpoint",
            Self::Deregister => "deregister",
            Self::Drain => "drain",
            Self::Freeze => "freeze",
            Self::Ramp => "ramp",
            Self::Register => "register",
            Self::Reload => "reload",
            Self::Reshuffle => "reshuffle",
            Self::Restore => "restore",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::Start => "start",
            Self::Weights => "weights",
        }
    }
}

/// Checks the whole journal at `path`, a file or its folder: every line readable, unchanged and in its place.
pub fn verify(path: &Path) -> Result<Summary, Vec<Broken>> {
    let path = if path.is_dir() {
        path.join(FILE)
    } else {
        path.to_owned()
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        vec![Broken {
            line: 0,
            message: format!("`{}` cannot be read: {error}", path.display()),
        }]
    })?;
    verify_bytes(&bytes)
}

/// Checks the text of a journal, whatever it is.
pub fn verify_bytes(bytes: &[u8]) -> Result<Summary, Vec<Broken>> {
    chain::verify(bytes)
}

/// The intact entries of the journal in `folder`, oldest first; what a crash or a concurrent write left unfinished is passed over.
pub fn read(folder: &Path) -> std::io::Result<Chain> {
    std::fs::read(folder.join(FILE)).map(|bytes| chain::read(&bytes))
}

/// The state after the entries up to `revision`; `None` when no entry has that number.
pub fn replay(entries: &[Entry], revision: u64) -> Option<Live> {
    let position = entries
        .iter()
        .rposition(|entry| entry.revision == revision)?;
    Some(replay_all(&entries[..=position]))
}

/// The state after all of `entries`.
pub fn replay_all(entries: &[Entry]) -> Live {
    let mut live = Live::default();
    for entry in entries {
        live.apply(entry.revision, &entry.delta);
    }
    live
}

#[cfg(test)]
mod tests;
