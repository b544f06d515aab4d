//! The journal's file: appended to, and made anew when it was lost under a running router.
//!
//! Everything here blocks; `writer` gives it a thread. What is on disk is believed only as long as it is what was written.

use std::borrow::Borrow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::live::Live;

use super::line::{FIRST, Seal, seal};
use super::{Entry, FILE, Kind};

/// The journal of one state folder, held by this process alone.
pub struct JournalFile {
    pub(super) folder: PathBuf,
    pub(super) lock: Option<File>,
    pub(super) file: Option<File>,
    /// Bytes and last seal of what is durable.
    pub(super) length: u64,
    pub(super) last: Seal,
    /// The state it amounts to: the first line of a new journal when this one is lost.
    pub(super) durable: Live,
    pub(super) digest: String,
    /// A disk that does not answer while this is true.
    #[cfg(test)]
    pub(crate) stall: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

/// What is at the journal's place.
enum Present {
    Nothing,
    Ours,
    Foreign(&'static str),
}

/// Lines on disk that are not yet counted as written.
pub(super) struct Staged {
    length: u64,
    last: Seal,
}

impl JournalFile {
    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A copy of the lock.
    pub(super) fn share_lock(&self) -> io::Result<File> {
        let lock = self.lock.as_ref();
        lock.ok_or_else(|| io::Error::other("the state folder cannot be locked"))?
            .try_clone()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Writes `entries`, all or none, and waits for the disk.
    pub fn write(&mut self, entries: &[impl Borrow<Entry>]) -> io::Result<()> {
        match self.stage(entries) {
            Ok(staged) => {
                self.commit(&staged, entries);
                Ok(())
            }
            Err(error) => {
                self.retract();
                Err(error)
            }
        }
    }

    /// Writes `entries` behind the durable ones and waits for the disk. They count only after `commit`.
    pub(super) fn stage(&mut self, entries: &[impl Borrow<Entry>]) -> io::Result<Staged> {
        #[cfg(test)]
        while self.stall.load(std::sync::atomic::Ordering::Acquire) {
            std::thread::yield_now();
        }
        match self.present()? {
            Present::Ours => {}
            Present::Nothing => return self.create(entries),
            Present::Foreign(why) => {
                let aside = self.set_aside("ruined")?;
                tracing::error!(
                    aside = %aside.display(),
                    "the journal {why}; it is set aside and a new one begins with the state as it is"
                );
                return self.create(entries);
            }
        }
        let mut text = Vec::new();
        let last = seal_all(&mut text, entries, self.last)?;
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(&text)?;
        file.sync_data()?;
        Ok(Staged {
            length: self.length + text.len() as u64,
            last,
        })
    }

    /// Counts staged lines as written.
    pub(super) fn commit(&mut self, staged: &Staged, entries: &[impl Borrow<Entry>]) {
        self.length = staged.length;
        self.last = staged.last;
        for entry in entries {
            let entry: &Entry = entry.borrow();
            self.durable.apply(entry.revision, &entry.delta);
            self.digest.clone_from(&entry.config_digest);
        }
    }

    /// Takes back what was staged, or what a failed write left behind. What cannot be taken back now is before the next write.
    pub(super) fn retract(&mut self) {
        let Some(file) = self.file.take() else { return };
        let taken_back = if self.length == 0 {
            std::fs::remove_file(self.path())
        } else {
            file.set_len(self.length).and_then(|()| file.sync_all())
        };
        if let Err(error) = taken_back {
            tracing::warn!(%error, "an unfinished line could not be taken off the journal yet");
        }
    }

    /// Whether the file at the journal's place is the one written so far; opens it when it is not open.
    fn present(&mut self) -> io::Result<Present> {
        let at_place = match std::fs::metadata(self.path()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Present::Nothing),
            Err(error) => return Err(error),
        };
        if self.length == 0 {
            return Ok(Present::Foreign("appeared from elsewhere"));
        }
        let file = match self.file.take() {
            Some(file) => {
                let own = file.metadata()?;
                if (own.dev(), own.ino()) != (at_place.dev(), at_place.ino()) {
                    return Ok(Present::Foreign("was replaced"));
                }
                if own.len() != self.length {
                    return Ok(Present::Foreign("was changed by someone else"));
                }
                file
            }
            None => reopen(&self.path(), self.length)?,
        };
        if !ends_with(&file, self.length, self.last)? {
            return Ok(Present::Foreign("was changed by someone else"));
        }
        self.file = Some(file);
        Ok(Present::Ours)
    }

    /// Makes a new journal: whole under another name first, so that there is never one without a line.
    fn create(&mut self, entries: &[impl Borrow<Entry>]) -> io::Result<Staged> {
        std::fs::create_dir_all(&self.folder)?;
        if self.length > 0 || self.lock.is_none() {
            // The lock may have gone with the folder it was in.
            self.lock = None;
            self.lock = Some(take_lock(&self.folder).map_err(io::Error::from)?);
        }
        let mut text = Vec::new();
        let mut last = FIRST;
        if let (true, Some(entry)) = (self.durable.revision > 0, entries.first()) {
            let entry: &Entry = entry.borrow();
            last = seal(&mut text, &self.checkpoint(&entry.time), FIRST)?;
        }
        let base = (text.len() as u64, last);
        let last = seal_all(&mut text, entries, last)?;
        let new = self.path().with_extension("jsonl.new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, self.path())?;
        File::open(&self.folder)?.sync_all()?;
        self.file = Some(file);
        (self.length, self.last) = base;
        Ok(Staged {
            length: text.len() as u64,
            last,
        })
    }

    fn checkpoint(&self, time: &str) -> Entry {
        Entry {
            revision: self.durable.revision,
            time: time.to_owned(),
            kind: Kind::Checkpoint,
            actor: "local".into(),
            reason: Some("the journal was lost while the router ran".into()),
            config_digest: self.digest.clone(),
            annotation: None,
            delta: Live::default().delta(&self.durable),
        }
    }

    /// Renames the journal to a free name that says what it is.
    pub(super) fn set_aside(&self, what: &str) -> io::Result<PathBuf> {
        let path = self.path();
        let aside = (1..)
            .map(|n: u32| path.with_extension(format!("jsonl.{what}-{n}")))
            .find(|aside| !aside.exists())
            .ok_or(io::ErrorKind::AlreadyExists)?;
        std::fs::rename(&path, &aside)?;
        Ok(aside)
    }
}

fn seal_all(text: &mut Vec<u8>, entries: &[impl Borrow<Entry>], before: Seal) -> io::Result<Seal> {
    entries
        .iter()
        .try_fold(before, |before, entry| seal(text, entry.borrow(), before))
}

/// Opens the journal again after a failure; what a failed write left behind `length` goes.
fn reopen(path: &Path, length: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.metadata()?.len() > length {
        file.set_len(length)?;
        file.sync_all()?;
    }
    Ok(file)
}

/// Whether the last durable line still ends with its seal.
fn ends_with(mut file: &File, length: u64, last: Seal) -> io::Result<bool> {
    let ending = format!("{last}\"}}\n");
    let Some(start) = length.checked_sub(ending.len() as u64) else {
        return Ok(false);
    };
    if file.metadata()?.len() != length {
        return Ok(false);
    }
    let mut found = vec![0; ending.len()];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut found)?;
    Ok(found == ending.as_bytes())
}

pub(super) fn take_lock(folder: &Path) -> Result<File, TryLockError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
