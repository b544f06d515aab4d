//! Where lines go: a file that may be moved, removed and put aside, or standard output.
//!
//! Before each write the name is looked up: a file that is no longer the one at its path is left, and the one there is
//! taken, or made. What cannot be made anew goes on in the old file as long as that has a name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use config::model::{AccessLog, Rotate};

use super::batch::Batch;
use super::rotation;

/// A file keeps its name at least so long, whatever its size, so that whoever follows the name sees each.
const SHORTEST: Duration = Duration::from_millis(100);

/// Where the lines of a log go.
pub(super) enum Output {
    /// A file, by its name.
    Named(Named),
    /// What has no name: standard output, a pipe.
    Nameless(File),
}

/// A file that is found by its name.
pub(super) struct Named {
    path: PathBuf,
    rotate: Option<Rotate>,
    open: Option<Open>,
    /// The last complaint, so that each is made once.
    complaint: Option<String>,
}

struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    since: SystemTime,
    /// Of `rotate.every`, when its first line was written.
    stretch: u64,
}

impl Output {
    /// The file at `path`, or standard output; nothing is opened yet.
    pub(super) fn new(path: &Path, settings: &AccessLog) -> io::Result<Self> {
        if settings.path == config::model::STDOUT {
            let stdout = io::stdout().as_fd().try_clone_to_owned()?;
            return Ok(Self::Nameless(stdout.into()));
        }
        Ok(Self::Named(Named::new(path, settings.rotate.clone())))
    }

    /// Opens the file, unless it is open.
    pub(super) fn open(&mut self) -> io::Result<()> {
        match self {
            Self::Named(named) => named.open(SystemTime::now()),
            Self::Nameless(_) => Ok(()),
        }
    }

    /// Looks the name up, as a write does, although no line comes; `batch` is what is on its way.
    pub(super) fn look(&mut self, batch: &mut Batch) {
        if let Self::Named(named) = self {
            // What cannot be opened is told by the next write, or was told.
            let _ = named.follow(batch, SystemTime::now());
        }
    }

    /// Writes what it can of `batch`; says how many bytes.
    pub(super) fn write(&mut self, batch: &mut Batch) -> io::Result<usize> {
        match self {
            Self::Named(named) => named.write(batch, SystemTime::now()),
            Self::Nameless(file) => file.write(batch.rest()),
        }
    }

    /// Puts the file aside when its time is over, although no line comes; not while `batch` is inside a line.
    pub(super) fn pass(&mut self, batch: &Batch) {
        if let Self::Named(named) = self {
            named.pass(batch, SystemTime::now());
        }
    }
}

impl Named {
    fn new(path: &Path, rotate: Option<Rotate>) -> Self {
        Self {
            path: path.to_owned(),
            rotate,
            open: None,
            complaint: None,
        }
    }

    fn write(&mut self, batch: &mut Batch, now: SystemTime) -> io::Result<usize> {
        let mut size = self.follow(batch, now)?;
        let mut goes_on = false;
        if batch.is_between_lines() && self.is_over(size, batch.next_line(), now) {
            goes_on = !self.put_aside(now);
            size = self.follow(batch, now)?;
        }
        let bytes = if goes_on || !batch.is_between_lines() {
            batch.rest()
        } else {
            batch.whole_lines(self.room(size, now))
        };
        match &mut self.open {
            Some(open) => open.file.write(bytes),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Makes sure that the open file is the one at the path; says how long it is.
    fn follow(&mut self, batch: &mut Batch, now: SystemTime) -> io::Result<u64> {
        self.open(now)?;
        if let Some(size) = self.size_there() {
            return Ok(size);
        }
        let Some(open) = &self.open else {
            return Err(ErrorKind::NotFound.into());
        };
        let old = open.file.metadata()?;
        if old.nlink() == 0 {
            // It was removed, and the line begun in it with it.
            batch.begin_anew();
            self.open = None;
            self.open(now)?;
        } else if self.reopen(now) {
            // A line is never continued in another file: whoever follows the name reads it whole.
            batch.begin_anew();
        }
        match &self.open {
            Some(open) => Ok(open.file.metadata()?.len()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// The size of the file at the path, when it is the open one.
    fn size_there(&self) -> Option<u64> {
        let there = fs::metadata(&self.path).ok()?;
        let open = self.open.as_ref()?;
        (identity(&there) == open.identity).then_some(there.len())
    }

    fn open(&mut self, now: SystemTime) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(Open::at(&self.path, self.rotate.as_ref(), now)?);
            self.complaint = None;
        }
        Ok(())
    }

    /// Whether what is at the path is open now; when not, the old file goes on.
    fn reopen(&mut self, now: SystemTime) -> bool {
        match Open::at(&self.path, self.rotate.as_ref(), now) {
            Ok(open) => {
                self.open = Some(open);
                self.complaint = None;
                true
            }
            Err(error) => {
                self.complain("cannot be opened anew, the old file goes on", &error);
                false
            }
        }
    }

    fn pass(&mut self, batch: &Batch, now: SystemTime) {
        if !batch.is_between_lines() {
            return;
        }
        let stretch = rotation::stretch(self.rotate.as_ref(), now);
        let over = self.open.as_ref().is_some_and(|it| it.stretch != stretch);
        if over && let Some(size) = self.size_there() {
            if size > 0 {
                self.put_aside(now);
            } else if let Some(open) = &mut self.open {
                open.stretch = stretch;
            }
        }
    }

    /// Whether a file of `size` must be put aside before `next` further bytes.
    fn is_over(&self, size: u64, next: usize, now: SystemTime) -> bool {
        let Some(rotate) = &self.rotate else {
            return false;
        };
        let stretch = rotation::stretch(Some(rotate), now);
        let too_long = rotate.size.is_some_and(|most| size + next as u64 > most.0);
        let too_old = self.open.as_ref().is_some_and(|it| it.stretch != stretch);
        size > 0 && ((too_long && !self.is_young(now)) || too_old)
    }

    fn is_young(&self, now: SystemTime) -> bool {
        let age = self.open.as_ref().map(|it| now.duration_since(it.since));
        // A clock that was put back makes nothing young.
        age.is_some_and(|age| age.is_ok_and(|age| age < SHORTEST))
    }

    /// How many bytes a file of `size` may still take; one line fits in any case.
    fn room(&self, size: u64, now: SystemTime) -> usize {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.size);
        match most {
            Some(most) if size < most.0 => (most.0 - size) as usize,
            Some(_) if !self.is_young(now) => 0,
            _ => usize::MAX,
        }
    }

    /// Whether it is done; when not, the file goes on, and so it does where another one has its name.
    fn put_aside(&mut self, now: SystemTime) -> bool {
        if self.size_there().is_none() {
            return false;
        }
        let mut time = now;
        let mut old = rotation::aside(&self.path, time);
        while old.exists() {
            time += Duration::from_micros(1);
            old = rotation::aside(&self.path, time);
        }
        let keep = self.rotate.as_ref().map_or(u32::MAX, |rotate| rotate.keep);
        if let Err(error) = fs::rename(&self.path, &old) {
            self.complain("cannot be rotated, the file goes on", &error);
            return false;
        }
        self.reopen(now);
        if let Err(error) = rotation::tidy(&self.path, keep as usize) {
            self.complain("has old files that cannot be removed", &error);
        }
        true
    }

    fn complain(&mut self, what: &str, error: &io::Error) {
        let complaint = format!("{what}: {error}");
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::error!("access log `{}` {complaint}", self.path.display());
            self.complaint = Some(complaint);
        }
    }
}

impl Open {
    fn at(path: &Path, rotate: Option<&Rotate>, now: SystemTime) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Lines tell who read what: nothing for everybody's eyes.
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)?;
        let found = file.metadata()?;
        if found.len() > 0 && !ends_a_line(path) {
            // A process that was killed has left a line half.
            file.write_all(b"\n")?;
        }
        let begun = found.modified().ok().filter(|_| found.len() > 0);
        Ok(Self {
            file,
            identity: identity(&found),
            since: now,
            stretch: rotation::stretch(rotate, begun.unwrap_or(now)),
        })
    }
}

/// What cannot be read is taken to be whole.
fn ends_a_line(path: &Path) -> bool {
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        file.read(&mut last)
    });
    read.is_err() || last == *b"\n"
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests;
