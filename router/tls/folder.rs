//! Which pairs are in a folder, and which edition of a file is there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::certificate::{Pair, stem};

/// A file that changed so lately may change again within one tick of its clock.
const TICK: Duration = Duration::from_millis(50);

/// The pairs in `folder`, in the order of their names: `NAME.crt` or `NAME.pem`, and `NAME.key`.
///
/// Hidden files and folders are nobody's business: volumes of Kubernetes have both.
pub(super) fn pairs(folder: &Path) -> io::Result<Vec<Pair>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let path = folder.join(&name);
        let is_hidden = name.to_string_lossy().starts_with('.');
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("crt") if !is_hidden => drop(found.insert(stem(&path), path)),
            Some("pem") if !is_hidden => drop(found.entry(stem(&path)).or_insert(path)),
            _ => {}
        }
    }
    let pairs = found.into_iter().map(|(name, cert)| pair(name, cert));
    Ok(pairs.collect())
}

/// A file of both, as HAProxy reads it, has no key beside it.
fn pair(name: String, cert: PathBuf) -> Pair {
    let key = cert.with_extension("key");
    let is_both = cert.extension().is_some_and(|kind| kind == "pem") && !key.exists();
    Pair {
        key: if is_both { cert.clone() } else { key },
        cert,
        name: Some(name),
    }
}

/// Which edition of a file is there: a rename, a rewrite in place and a swapped link all change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether a further change would show.
    settled: bool,
}

impl Stamp {
    /// The edition at `path`; `None` when there is no file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        let age = about.modified().ok();
        let age = age.and_then(|at| SystemTime::now().duration_since(at).ok());
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
            settled: age.is_some_and(|age| age > TICK),
        })
    }
}
