//! Any bytes as a journal: reading and checking agree and never panic, and a sound journal changed anywhere is found out.
//!
//! An input that begins with `=` or `!`, two bytes of a position and one of a change has bodies behind them, one a
//! line, which are sealed here as the journal seals its own; `!` also gives the file to a router that starts.
//! Anything else is a journal as it is.

use router::journal::chain::{self, Chain, End};
use router::journal::{self, Entry, FILE, Found, JournalFile, Kind};
use sha2::{Digest, Sha256};

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let [how @ (b'=' | b'!'), high, low, change, bodies @ ..] = input else {
        read(input);
        return;
    };
    let sealed = seal(bodies);
    let place = usize::from(u16::from_be_bytes([*high, *low])) % sealed.len();
    if read(&sealed).end == End::Whole {
        flipped(&sealed, place, (*change).max(1));
        cut(&sealed, place);
        line_taken_out(&sealed, place);
    }
    if *how == b'!' {
        let mut torn = sealed;
        torn.truncate(if *change == 0 { torn.len() } else { place });
        opened(&torn);
    }
}

/// The bodies as lines of a journal, by the words of `docs/decisions`: SHA-256 over a line without its hash.
fn seal(bodies: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut before = "0".repeat(64);
    for body in bodies.split(|byte| *byte == b'\n') {
        let open = body.strip_suffix(b"}").unwrap_or(body);
        let open = [open, format!(r#","prev":"{before}""#).as_bytes()].concat();
        let digest = Sha256::new()
            .chain_update(&open)
            .chain_update(b"}")
            .finalize();
        before = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        text.extend_from_slice(&open);
        text.extend_from_slice(format!(",\"hash\":\"{before}\"}}\n").as_bytes());
    }
    text
}

/// Reads and checks `bytes`; both must say the same.
fn read(bytes: &[u8]) -> Chain {
    let chain = chain::read(bytes);
    let n_entries = chain.entries.len();
    let first_bad = chain::verify(bytes).map_err(|broken| broken[0].line);
    match &chain.end {
        End::Whole if n_entries == 0 => assert_eq!((bytes, first_bad), (&b""[..], Err(0))),
        End::Whole => assert_eq!(first_bad.map(|summary| summary.entries), Ok(n_entries)),
        End::Torn(length) => {
            assert!((1..=bytes.len()).contains(length));
            assert_eq!(first_bad.err(), Some(n_entries + 1));
        }
        End::Broken(broken) => {
            assert_eq!(broken.line, n_entries + 1);
            assert_eq!(first_bad.err(), Some(n_entries + 1));
        }
    }
    replayed(&chain.entries);
    chain
}

/// Every entry says what it said when it is written again, and every revision can be gone back to.
fn replayed(entries: &[Entry]) {
    for entry in entries {
        let text = serde_json::to_vec(entry).expect("an entry is plain values");
        let again: Entry = serde_json::from_slice(&text).expect("an entry reads what it writes");
        assert_eq!(&again, entry);
        let live = journal::replay(entries, entry.revision).expect("the revision is there");
        assert_eq!(live.revision, entry.revision);
    }
    let last = journal::replay_all(entries);
    let by_number = journal::replay(entries, last.revision);
    assert_eq!(by_number, entries.last().map(|_| last));
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn flipped(sealed: &[u8], place: usize, change: u8) {
    let mut changed = sealed.to_vec();
    changed[place] ^= change;
    let line = lines(&sealed[..=place]).len();
    let broken = chain::verify(&changed).expect_err("a changed byte is found");
    assert_eq!(broken[0].line, line, "{broken:?}");
    let left = read(&changed).entries;
    assert_eq!(left, chain::read(sealed).entries[..line - 1]);
}

fn cut(sealed: &[u8], place: usize) {
    let whole = sealed[..place]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    let chain = read(&sealed[..place]);
    assert_eq!(chain.entries.len(), whole);
    assert!(!matches!(chain.end, End::Broken(_)), "{:?}", chain.end);
}

fn line_taken_out(sealed: &[u8], place: usize) {
    let mut lines = lines(sealed);
    let position = place % lines.len();
    lines.remove(position);
    let left = read(&lines.concat());
    if position < lines.len() {
        assert_eq!(left.entries.len(), position);
        assert!(matches!(left.end, End::Broken(_)));
    } else {
        assert_eq!(left.end, End::Whole);
    }
}

/// A router that starts on `bytes` keeps what is intact of them, and what it writes then is a sound journal.
fn opened(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(FILE);
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    let mut opened = JournalFile::open(folder.path()).expect("nobody else is in the folder");
    let chain = chain::read(bytes);
    let mut expected = match &opened.found {
        Found::Entries(entries) => {
            assert!(!matches!(chain.end, End::Broken(_)));
            assert_eq!(entries, &chain.entries);
            chain.entries
        }
        Found::Unreadable { last, .. } => {
            let before = chain.entries.last().map_or(0, |entry| entry.revision);
            assert_eq!(*last, before);
            Vec::new()
        }
        Found::Nothing => panic!("the file is there"),
    };
    let entry = next(&expected);
    let written = opened.journal.write(std::slice::from_ref(&entry));
    written.expect("a temporary file can be written");
    expected.push(entry);
    let summary = journal::verify(&path).expect("what is written is sound");
    assert_eq!(summary.entries, expected.len());
    assert_eq!(
        journal::read(folder.path())
            .expect("the file is there")
            .entries,
        expected
    );
}

fn next(entries: &[Entry]) -> Entry {
    Entry {
        revision: journal::replay_all(entries).revision.saturating_add(1),
        time: "2026-11-21T02:00:00Z".into(),
        kind: Kind::Rollback,
        actor: "local".into(),
        reason: None,
        config_digest: "0123456789ab".into(),
        annotation: None,
        delta: config::live::Delta::default(),
    }
}
