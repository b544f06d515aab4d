//! A reader that follows a file by its name, as `tail -F` and log shippers do.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One that runs until it is stopped.
pub(crate) struct Tail {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u8>>,
}

impl Tail {
    /// Follows `path`, which need not be there yet.
    pub(crate) fn start(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (path.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || follow(&path, &stopped));
        Self { stop, thread }
    }

    /// Stops it once it has read what is there; all the lines it saw, and what is behind the last one.
    pub(crate) fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Release);
        let read = self.thread.join().expect("a follower does not panic");
        let text = String::from_utf8(read).expect("lines are UTF-8");
        text.split_inclusive('\n').map(str::to_owned).collect()
    }
}

/// A file that lost its name is read to its end before the next one is opened.
fn follow(path: &Path, stopped: &AtomicBool) -> Vec<u8> {
    let mut read = Vec::new();
    let mut open: Option<File> = None;
    loop {
        let ends = stopped.load(Ordering::Acquire);
        let there = identity(path.metadata());
        let is_gone =
            there.is_some() && there != open.as_ref().and_then(|it| identity(it.metadata()));
        if let Some(file) = &mut open {
            file.read_to_end(&mut read).expect("an open file is read");
        }
        if is_gone {
            open = File::open(path).ok();
        } else if ends {
            return read;
        } else {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn identity(metadata: std::io::Result<std::fs::Metadata>) -> Option<(u64, u64)> {
    metadata.ok().map(|it| (it.dev(), it.ino()))
}

/// The lines of the file at `path` and of all that were put aside for it, oldest first.
pub(crate) fn lines_of_all(path: &Path) -> Vec<String> {
    let files = files_of(path);
    let texts = files
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a log is UTF-8"));
    texts
        .flat_map(|text| {
            let lines = text.split_inclusive('\n');
            lines.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// The files that `lines_of_all` reads.
pub(crate) fn files_of(path: &Path) -> Vec<PathBuf> {
    let name = path
        .file_name()
        .expect("a log has a name")
        .to_string_lossy();
    let folder = path.parent().expect("a log is in a folder");
    let entries = folder.read_dir().expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry has a name").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut aside: Vec<_> = names
        .filter(|entry| entry.starts_with(&format!("{name}.")))
        .collect();
    aside.sort();
    aside.push(name.into_owned());
    aside.into_iter().map(|name| folder.join(name)).collect()
}
