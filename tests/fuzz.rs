//! The short form of fuzzing: every input of `fuzz/corpus` once more, through the checks of `fuzz/checks`.
//!
//! It searches for nothing new; `fuzz/README.md` says how that is done.

#[path = "../fuzz/checks/cookie.rs"]
mod cookie;
#[path = "../fuzz/checks/file.rs"]
mod file;
#[path = "../fuzz/checks/header.rs"]
mod header;
#[path = "../fuzz/checks/journal.rs"]
mod journal;

use std::fs;
use std::path::{Path, PathBuf};

/// Shows `check` every input that is kept for `target`; the last one named in the output is the one that failed.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder).expect("the corpus is committed");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!((10..=60).contains(&paths.len()), "{} inputs", paths.len());
    for path in paths {
        println!("{}", path.display());
        check(&fs::read(&path).expect("readable"));
    }
}

#[test]
fn kept_cookies_are_taken_out_and_nothing_else() {
    replay("cookie", cookie::check);
}

#[test]
fn kept_files_are_read_or_refused() {
    replay("file", file::check);
}

#[test]
fn kept_heads_say_one_thing_to_every_reader() {
    replay("header", header::check);
}

#[test]
fn kept_journals_are_sound_or_found_out() {
    replay("journal", journal::check);
}
