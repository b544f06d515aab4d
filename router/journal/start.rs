//! The journal at start: the folder taken into use, what is there read, a torn last line repaired, a ruined file set aside.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use config::live::Live;

use super::chain::{self, Broken, Chain, End};
use super::file::{JournalFile, take_lock};
use super::line::FIRST;
use super::{Entry, replay_all};

/// What was found at start.
#[derive(Debug)]
pub enum Found {
    /// No journal: a new state.
    Nothing,
    /// A sound one, oldest entry first.
    Entries(Vec<Entry>),
    /// One that cannot be read, or not to its end. `last` is the last revision that can.
    Unreadable {
        /// The last revision that can be read, or 0.
        last: u64,
        /// What is wrong, and where the file is now.
        why: String,
    },
}

/// A state folder taken into use.
pub struct Opened {
    /// Its journal.
    pub journal: JournalFile,
    /// What was in it.
    pub found: Found,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// A state folder that must not be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another router writes there.
    #[error(
        "state_dir `{0}` is in use by another kanaria; give each router its own, or stop the other one"
    )]
    InUse(PathBuf),
    /// What another process handed over is not what is there.
    #[error("the state in `{folder}` cannot be taken over: {why}")]
    NotAsHandedOver {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl JournalFile {
    /// Takes `folder` into use and reads what is there. Only another router in the same folder is an error.
    pub fn open(folder: &Path) -> Result<Opened, OpenError> {
        let mut notes = Vec::new();
        if let Err(error) = std::fs::create_dir_all(folder) {
            notes.push(format!("state_dir `{}`: {error}", folder.display()));
        }
        let lock = match take_lock(folder) {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => {
                notes.push(format!(
                    "state_dir `{}` cannot be locked: {error}",
                    folder.display()
                ));
                None
            }
        };
        let mut journal = Self::unread(folder, lock);
        let found = journal.find(&mut notes);
        Ok(Opened {
            journal,
            found,
            notes,
        })
    }

    /// Goes on with `folder`, whose lock another process has handed over, and whose journal must end with `revision`.
    /// Nothing is repaired: whatever is wrong, that process goes on.
    pub fn take_over(
        folder: &Path,
        lock: File,
        revision: u64,
    ) -> Result<(Self, Vec<Entry>), OpenError> {
        let wrong = |why: String| OpenError::NotAsHandedOver {
            folder: folder.to_owned(),
            why,
        };
        let mut journal = Self::unread(folder, Some(lock));
        let bytes = std::fs::read(journal.path()).map_err(|error| wrong(error.to_string()))?;
        let chain = chain::read(&bytes);
        let last = chain.entries.last().map_or(0, |entry| entry.revision);
        if chain.end != End::Whole || last != revision {
            return Err(wrong(format!(
                "the journal is intact up to revision {last}, and {revision} is in force"
            )));
        }
        match journal.adopt(chain) {
            Found::Entries(entries) => Ok((journal, entries)),
            Found::Nothing | Found::Unreadable { .. } => Err(wrong("there is no journal".into())),
        }
    }

    fn unread(folder: &Path, lock: Option<File>) -> Self {
        Self {
            folder: folder.to_owned(),
            lock,
            file: None,
            length: 0,
            last: FIRST,
            durable: Live::default(),
            digest: String::new(),
            #[cfg(test)]
            stall: std::sync::Arc::default(),
        }
    }

    fn find(&mut self, notes: &mut Vec<String>) -> Found {
        let bytes = match std::fs::read(self.path()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => {
                let why = format!("`{}` cannot be read: {error}", self.path().display());
                return Found::Unreadable { last: 0, why };
            }
        };
        let chain = chain::read(&bytes);
        match &chain.end {
            End::Broken(broken) => self.unreadable(&chain.entries, broken),
            // A journal is made with its first line in it: without one it is not a new one.
            _ if chain.entries.is_empty() => self.unreadable(
                &[],
                &Broken {
                    line: 1,
                    message: "it has no intact line".into(),
                },
            ),
            End::Torn(_) => {
                notes.push(self.cut_off(&bytes[chain.length as usize..]));
                self.adopt(chain)
            }
            End::Whole => self.adopt(chain),
        }
    }

    fn adopt(&mut self, chain: Chain) -> Found {
        self.length = chain.length;
        self.last = chain.last;
        self.durable = replay_all(&chain.entries);
        if let Some(entry) = chain.entries.last() {
            self.digest.clone_from(&entry.config_digest);
        }
        Found::Entries(chain.entries)
    }

    fn unreadable(&self, entries: &[Entry], broken: &Broken) -> Found {
        let kept = match self.set_aside("unreadable") {
            Ok(path) => format!("it is kept as `{}`", path.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        Found::Unreadable {
            last: entries.last().map_or(0, |entry| entry.revision),
            why: format!("`{}`, {broken}; {kept}", self.path().display()),
        }
    }

    /// Keeps a torn last line aside and takes it off the journal.
    fn cut_off(&self, torn: &[u8]) -> String {
        let path = self.path();
        let aside = path.with_extension("jsonl.torn");
        let kept = append_to(&aside, torn);
        let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
            let length = file.metadata()?.len() - torn.len() as u64;
            file.set_len(length)?;
            file.sync_all()
        });
        let what = format!(
            "`{}`: the last line is torn, a crash cut it off after {} bytes",
            path.display(),
            torn.len()
        );
        match (cut, kept) {
            (Ok(()), Ok(())) => format!(
                "{what}; it was never answered, and is now in `{}`",
                aside.display()
            ),
            (Ok(()), Err(_)) => format!("{what}; it was never answered, and was removed"),
            (Err(error), _) => format!("{what}, and cannot be repaired yet: {error}"),
        }
    }
}

fn append_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")
}
