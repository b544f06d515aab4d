//! Shelves over folders that change.

use std::fs;
use std::path::Path;

use rcgen::PKCS_ECDSA_P256_SHA256;
use tempfile::TempDir;

use super::super::fixture::{pair, write};
use super::*;

fn make(folder: &Path, name: &str) {
    write(folder, name, &[name], &PKCS_ECDSA_P256_SHA256, 2100);
}

fn names(certificates: &[Arc<Certificate>]) -> Vec<&str> {
    certificates.iter().map(|it| &*it.name).collect()
}

/// A folder with pairs of these names, and the shelf that has read it.
fn shelf(pairs: &[&str]) -> (TempDir, Shelf, [CertificateSource; 1]) {
    let folder = TempDir::new().unwrap();
    for name in pairs {
        make(folder.path(), name);
    }
    let sources = [CertificateSource::Folder(folder.path().into())];
    let mut shelf = Shelf::default();
    shelf.look(&sources);
    (folder, shelf, sources)
}

#[test]
fn a_folder_has_pairs_in_the_order_of_their_names() {
    let (folder, mut shelf, sources) = shelf(&["b.test", "a.test"]);
    let file = |name: &str| folder.path().join(name);
    make(folder.path(), ".hidden");
    fs::write(file("README"), "").unwrap();
    // One file of both, and the other usual end of the name.
    make(folder.path(), "c.test");
    let both = [file("c.test.crt"), file("c.test.key")].map(|path| fs::read(path).unwrap());
    fs::write(file("c.test.pem"), both.concat()).unwrap();
    fs::remove_file(file("c.test.crt")).unwrap();
    fs::remove_file(file("c.test.key")).unwrap();
    let news = shelf.look(&sources);
    assert_eq!(news.failures, [""; 0]);
    assert_eq!(names(&shelf.certificates()), ["a.test", "b.test", "c.test"]);
}

#[test]
fn a_look_reads_what_changed_and_nothing_else() {
    let (folder, mut shelf, sources) = shelf(&["a.test", "b.test"]);
    let before = shelf.certificates();
    assert_eq!(shelf.look(&sources), News::default());
    make(folder.path(), "b.test");
    make(folder.path(), "c.test");
    let news = shelf.look(&sources);
    assert_eq!(news.read.len(), 2);
    let after = shelf.certificates();
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert!(!Arc::ptr_eq(&before[1], &after[1]));
    fs::remove_file(folder.path().join("a.test.crt")).unwrap();
    assert_eq!(shelf.look(&sources).gone, ["a.test".into()]);
    assert_eq!(names(&shelf.certificates()), ["b.test", "c.test"]);
}

#[test]
fn a_broken_pair_leaves_what_was_read_before_and_is_told_once() {
    let (folder, mut shelf, sources) = shelf(&["a.test", "b.test"]);
    let before = shelf.certificates();
    fs::write(folder.path().join("a.test.crt"), "garbage").unwrap();
    make(folder.path(), "b.test");
    let news = shelf.look(&sources);
    assert_eq!(news.failures.len(), 1, "{news:?}");
    assert_eq!(news.read, ["b.test".into()]);
    assert!(Arc::ptr_eq(&before[0], &shelf.certificates()[0]));
    assert_eq!(shelf.look(&sources).failures, [""; 0]);
    assert_eq!(shelf.failures().count(), 1);
    make(folder.path(), "a.test");
    assert_eq!(shelf.look(&sources).read, ["a.test".into()]);
    assert_eq!(shelf.failures().count(), 0);
}

#[test]
fn a_folder_that_vanishes_leaves_its_certificates() {
    let (folder, mut shelf, sources) = shelf(&["a.test"]);
    folder.close().unwrap();
    let news = shelf.look(&sources);
    assert_eq!(news.failures.len(), 1);
    assert!(news.gone.is_empty());
    assert_eq!(shelf.look(&sources), News::default());
    assert_eq!(names(&shelf.certificates()), ["a.test"]);
    assert!(shelf.faults().is_empty());
}

#[test]
fn more_pairs_than_one_thread_reads_are_all_read_in_order() {
    let folder = TempDir::new().unwrap();
    make(folder.path(), "000");
    let [cert, key] = ["000.crt", "000.key"].map(|it| fs::read(folder.path().join(it)).unwrap());
    for n in 1..3 * WORTH {
        fs::write(folder.path().join(format!("{n:03}.crt")), &cert).unwrap();
        fs::write(folder.path().join(format!("{n:03}.key")), &key).unwrap();
    }
    let mut shelf = Shelf::default();
    let news = shelf.look(&[CertificateSource::Folder(folder.path().into())]);
    assert_eq!(news.read.len(), 3 * WORTH);
    let certificates = shelf.certificates();
    assert!(names(&certificates).is_sorted());
    assert_eq!(certificates.len(), 3 * WORTH);
}

/// What is said of the pair `a.test` after `spoil` was at its files.
#[track_caller]
fn check(spoil: impl Fn(&Path), expect: &str) {
    let folder = TempDir::new().unwrap();
    make(folder.path(), "a.test");
    make(folder.path(), "b.test");
    spoil(folder.path());
    let failure = Certificate::read(&pair(folder.path(), "a.test")).unwrap_err();
    let failure = failure.replace(&format!("{}/", folder.path().display()), "");
    assert!(failure.starts_with(expect), "{failure}");
}

#[test]
fn what_is_wrong_with_a_pair_is_said_in_words() {
    let put = |folder: &Path, file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    check(
        |folder| fs::remove_file(folder.join("a.test.key")).unwrap(),
        "there is no `a.test.key`",
    );
    check(
        |folder| put(folder, "a.test.crt", ""),
        "`a.test.crt` has no certificate in it",
    );
    check(
        |folder| put(folder, "a.test.key", "-"),
        "`a.test.key` has no private key in it",
    );
    check(
        |folder| {
            let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
            put(folder, "a.test.key", text);
        },
        "the key in `a.test.key` is encrypted; write it without a passphrase",
    );
    check(
        |folder| fs::rename(folder.join("b.test.key"), folder.join("a.test.key")).unwrap(),
        "`a.test.key` is the key of another certificate than `a.test.crt`",
    );
    check(
        |folder| {
            let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            put(folder, "a.test.crt", text);
        },
        "`a.test.crt` is no certificate",
    );
    check(
        |folder| {
            let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
            put(folder, "a.test.key", text);
        },
        "the key in `a.test.key` cannot be used",
    );
}
