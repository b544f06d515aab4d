//! What the system says of the file and of those it includes, without reading them: another mark, another text.
//!
//! All are looked at by name, so that a rename, a rewrite in place and a swapped link in the middle of the path (the
//! `..data` of a ConfigMap) are seen. A notification of the kernel would come sooner, but not from a network file system.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use config::load::Main;

use super::{Stamp, environment, matches, read};

/// The file and those it includes, and which of their editions were read last.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    known: Mutex<Known>,
}

/// The editions that are there at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(Vec<(PathBuf, Option<Stamp>)>);

#[derive(Debug, Default)]
struct Known {
    /// The edition that the patterns are from.
    main: Option<Stamp>,
    /// What it includes.
    patterns: Vec<String>,
    taken: Mark,
}

impl Watched {
    /// The file at `path`, of which nothing is known yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            known: Mutex::default(),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there now. It blocks for as long as the file system takes.
    pub fn look(&self) -> Mark {
        let mut known = self.known();
        let main = Stamp::at(&self.path);
        if known.main != main {
            known.main = main;
            known.patterns = patterns(&self.path);
        }
        let mut found: Vec<_> = known
            .patterns
            .iter()
            .flat_map(|pattern| matches(&self.path, pattern).into_iter().flatten())
            .filter_map(Result::ok)
            .map(|path| (Stamp::at(&path), path))
            .map(|(stamp, path)| (path, stamp))
            .collect();
        found.push((self.path.clone(), main));
        Mark(found)
    }

    /// What is there now is about to be read.
    pub fn take(&self) {
        let mark = self.look();
        self.known().taken = mark;
    }

    /// Whether `mark` is what was read last.
    pub fn has_taken(&self, mark: &Mark) -> bool {
        self.known().taken == *mark
    }

    /// What was read last did not come into use for a reason that is not in it: it is worth another try.
    pub fn forget(&self) {
        self.known().taken = Mark::default();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the file includes; nothing when it cannot be understood, which is for whoever loads it to report.
fn patterns(path: &Path) -> Vec<String> {
    let text = read(path).ok().filter(|text| may_include(&text.text));
    let main = text.map(Main::read);
    let patterns = main.and_then(|main| main.includes(&environment).ok());
    patterns.unwrap_or_default()
}

/// Whether `text` has the key, perhaps behind escapes. Most files have it not, and parsing a long one only to learn that
/// is a sixth of what a reload costs before it is in force.
fn may_include(text: &str) -> bool {
    text.contains("include") || text.contains('\\')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Rig {
        folder: tempfile::TempDir,
        watched: Watched,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("kanaria.toml");
            fs::write(&path, "version = 1\ninclude = [\"r.d/*.toml\"]\n").unwrap();
            let watched = Watched::new(&path);
            watched.take();
            Self { folder, watched }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Does something to the folder; whether that is seen once.
        #[track_caller]
        fn sees(&self, change: impl FnOnce(&Path)) {
            assert!(self.watched.has_taken(&self.watched.look()));
            change(self.folder.path());
            let mark = self.watched.look();
            assert!(!self.watched.has_taken(&mark));
            assert_eq!(self.watched.look(), mark);
            self.watched.take();
        }
    }

    #[test]
    fn a_rewrite_a_rename_and_an_end_are_seen() {
        let rig = Rig::new();
        let path = rig.path("kanaria.toml");
        rig.sees(|_| fs::write(&path, "version = 1\ninclude = []\n").unwrap());
        rig.sees(|folder| {
            let new = folder.join("new");
            fs::write(&new, "version = 1\ninclude = []\n").unwrap();
            fs::rename(new, &path).unwrap();
        });
        rig.sees(|_| fs::remove_file(&path).unwrap());
        rig.sees(|_| fs::write(&path, "version = 1\n").unwrap());
    }

    #[test]
    fn files_that_are_included_come_go_and_change() {
        let rig = Rig::new();
        fs::create_dir(rig.path("r.d")).unwrap();
        rig.sees(|folder| fs::write(folder.join("r.d/1.toml"), "").unwrap());
        rig.sees(|folder| fs::write(folder.join("r.d/1.toml"), "# changed").unwrap());
        rig.sees(|folder| fs::remove_file(folder.join("r.d/1.toml")).unwrap());
        fs::write(rig.path("r.d/readme"), "").unwrap();
        assert!(rig.watched.has_taken(&rig.watched.look()));
    }

    #[test]
    fn files_that_a_key_behind_escapes_includes_are_seen() {
        let rig = Rig::new();
        let file = "version = 1\n\"incl\\u0075de\" = [\"r.d/*.toml\"]\n";
        rig.sees(|folder| fs::write(folder.join("kanaria.toml"), file).unwrap());
        fs::create_dir(rig.path("r.d")).unwrap();
        rig.sees(|folder| fs::write(folder.join("r.d/1.toml"), "").unwrap());
    }

    #[test]
    fn a_link_swapped_in_the_middle_of_the_path_is_seen() {
        let rig = Rig::new();
        for name in ["one", "two"] {
            fs::create_dir(rig.path(name)).unwrap();
            fs::write(rig.path(name).join("kanaria.toml"), "version = 1\n").unwrap();
        }
        symlink("one", rig.path("data")).unwrap();
        let watched = Watched::new(&rig.path("data/kanaria.toml"));
        watched.take();
        symlink("two", rig.path("next")).unwrap();
        fs::rename(rig.path("next"), rig.path("data")).unwrap();
        assert!(!watched.has_taken(&watched.look()));
    }

    #[test]
    fn what_is_forgotten_is_worth_another_try() {
        let rig = Rig::new();
        rig.watched.forget();
        assert!(!rig.watched.has_taken(&rig.watched.look()));
    }
}
