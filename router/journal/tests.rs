//! Journals torn, changed, lost and ruined: what is found, said and repaired.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use config::live::{Latch, LiveRoute, Owner, Weights};
use tempfile::TempDir;

use super::*;

/// A change that gives `ecs` the weight `ecs`, and the state after it.
fn change(live: &Live, ecs: u32) -> (Entry, Live) {
    let mut after = live.clone();
    after.revision += 1;
    let weights = Weights::from([("ec2".to_owned(), 100 - ecs), ("ecs".to_owned(), ecs)]);
    let route = LiveRoute {
        block: weights.clone(),
        weights,
        owner: Owner::Live,
        state: Latch::Normal,
        draining: Default::default(),
        ramp: None,
    };
    after.routes.insert("blogs".into(), route.into());
    let entry = Entry {
        revision: after.revision,
        time: "2026-11-21T02:00:00Z".into(),
        kind: Kind::Weights,
        actor: "token:ci".into(),
        reason: Some("größer, \"at night\"\n".into()),
        config_digest: "0123456789ab".into(),
        annotation: None,
        delta: live.delta(&after),
    };
    (entry, after)
}

/// A journal with `n` changes in a folder of its own, and the state after each.
fn journal(n: u32) -> (TempDir, Vec<Live>) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&folder).journal;
    let mut states = vec![Live::default()];
    for ecs in 1..=n {
        let (entry, after) = change(&states[states.len() - 1], ecs);
        journal.write(&[entry]).unwrap();
        states.push(after);
    }
    (folder, states)
}

fn open(folder: &TempDir) -> Opened {
    JournalFile::open(folder.path()).unwrap()
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join(FILE)
}

#[track_caller]
fn state_of(opened: &Opened) -> Live {
    match &opened.found {
        Found::Entries(entries) => replay_all(entries),
        other => panic!("expected a sound journal, got {other:?}"),
    }
}

/// Lengths up to the end of each line.
fn ends(bytes: &[u8]) -> Vec<usize> {
    (1..=bytes.len())
        .filter(|end| bytes[end - 1] == b'\n')
        .collect()
}

#[test]
fn what_was_written_is_read_back_and_replayed_to_any_revision() {
    let (folder, states) = journal(5);
    let opened = open(&folder);
    assert_eq!(state_of(&opened), states[5]);
    assert!(opened.notes.is_empty());
    let chain = read(folder.path()).unwrap();
    assert_eq!(replay(&chain.entries, 3).as_ref(), Some(&states[3]));
    assert_eq!(replay(&chain.entries, 9), None);
    let summary = verify(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.last_revision), (5, 5));
}

#[test]
fn a_line_is_plain_json_that_others_can_read() {
    let (folder, _) = journal(1);
    let text = fs::read_to_string(path(&folder)).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["revision"], 1);
    assert_eq!(line["kind"], "weights");
    assert_eq!(line["routes"]["blogs"]["after"]["weights"]["ecs"], 1);
    assert_eq!(line["prev"], "0".repeat(64));
}

#[test]
fn a_last_line_cut_at_any_byte_is_repaired_and_said() {
    let (folder, states) = journal(3);
    let whole = fs::read(path(&folder)).unwrap();
    let ends = ends(&whole);
    for cut in ends[1] + 1..ends[2] {
        fs::write(path(&folder), &whole[..cut]).unwrap();
        let mut opened = open(&folder);
        assert_eq!(state_of(&opened), states[2], "cut at {cut}");
        assert_eq!(opened.notes.len(), 1, "cut at {cut}");
        let (entry, _) = change(&states[2], 50);
        opened.journal.write(&[entry]).unwrap();
        assert_eq!(verify(folder.path()).unwrap().entries, 3, "cut at {cut}");
    }
    let torn = path(&folder).with_extension("jsonl.torn");
    assert!(fs::metadata(torn).unwrap().len() > 0);
}

#[test]
fn a_flipped_bit_anywhere_is_found_in_its_line() {
    let (folder, _) = journal(3);
    let whole = fs::read(path(&folder)).unwrap();
    let ends = ends(&whole);
    for position in 0..whole.len() {
        for bit in [1, 4, 32, 128] {
            let mut changed = whole.clone();
            changed[position] ^= bit;
            let line = 1 + ends.iter().filter(|end| **end <= position).count();
            let broken = chain::verify(&changed).unwrap_err();
            assert_eq!(
                broken[0].line, line,
                "byte {position} bit {bit}: {broken:?}"
            );
        }
    }
}

#[test]
fn a_line_taken_out_swapped_or_put_in_twice_is_found() {
    let (folder, _) = journal(4);
    let text = fs::read_to_string(path(&folder)).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let check = |order: &[usize], line: usize| {
        let text: String = order.iter().map(|at| lines[*at]).collect();
        let broken = chain::verify(text.as_bytes()).unwrap_err();
        assert_eq!(broken[0].line, line, "{order:?}: {broken:?}");
    };
    check(&[1, 2, 3], 1);
    check(&[0, 2, 3], 2);
    check(&[0, 1, 3], 3);
    check(&[0, 2, 1, 3], 2);
    check(&[0, 1, 1, 2, 3], 3);
    check(&[], 0);
}

#[test]
fn one_changed_line_is_reported_once() {
    let (folder, _) = journal(4);
    let text = fs::read_to_string(path(&folder)).unwrap();
    let changed = text.replacen("\"ecs\":2", "\"ecs\":9", 1);
    assert_eq!(chain::verify(changed.as_bytes()).unwrap_err().len(), 1);
}

#[test]
fn a_changed_line_makes_the_state_unreadable_and_keeps_the_file() {
    let (folder, _) = journal(4);
    let text = fs::read_to_string(path(&folder)).unwrap();
    let changed = text.replacen("\"ecs\":3", "\"ecs\":9", 1);
    fs::write(path(&folder), &changed).unwrap();
    let Found::Unreadable { last, why } = open(&folder).found else {
        panic!("expected an unreadable journal");
    };
    assert_eq!(last, 2);
    assert!(why.contains("line 3"), "{why}");
    let aside = path(&folder).with_extension("jsonl.unreadable-1");
    assert_eq!(fs::read_to_string(aside).unwrap(), changed);
}

#[test]
fn an_emptied_journal_is_not_a_new_state() {
    let (folder, _) = journal(2);
    fs::write(path(&folder), "").unwrap();
    let found = open(&folder).found;
    assert!(
        matches!(found, Found::Unreadable { last: 0, .. }),
        "{found:?}"
    );
}

#[test]
fn a_folder_without_a_journal_is_a_new_state() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(&folder).found, Found::Nothing));
}

#[test]
fn a_second_router_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    let Err(refused) = JournalFile::open(folder.path()) else {
        panic!("expected a refusal");
    };
    assert!(refused.to_string().contains("in use by another kanaria"));
    drop(first);
    assert!(JournalFile::open(folder.path()).is_ok());
}

#[test]
fn a_folder_removed_under_the_router_is_made_anew_with_the_whole_state() {
    let (folder, states) = journal(3);
    let mut journal = open(&folder).journal;
    fs::remove_dir_all(folder.path()).unwrap();
    let (entry, after) = change(&states[3], 60);
    journal.write(&[entry]).unwrap();
    drop(journal);
    assert_eq!(state_of(&open(&folder)), after);
    let chain = read(folder.path()).unwrap();
    assert_eq!(chain.entries[0].kind, Kind::Checkpoint);
    assert_eq!(replay(&chain.entries, 3).as_ref(), Some(&states[3]));
}

#[test]
fn a_journal_ruined_under_the_router_is_set_aside_and_made_anew() {
    let ruins: [fn(&PathBuf); 4] = [
        |path| fs::write(path, "ruined").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text + "more\n").unwrap();
        },
    ];
    for (case, ruin) in ruins.iter().enumerate() {
        let (folder, states) = journal(3);
        let mut journal = open(&folder).journal;
        let (first, live) = change(&states[3], 50);
        journal.write(&[first]).unwrap();
        ruin(&path(&folder));
        let (second, live) = change(&live, 60);
        journal.write(&[second]).unwrap();
        drop(journal);
        assert_eq!(state_of(&open(&folder)), live, "case {case}");
        assert!(verify(folder.path()).is_ok(), "case {case}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_refuses_and_recovers() {
    let (folder, states) = journal(2);
    let mut journal = open(&folder).journal;
    let (entry, after) = change(&states[2], 50);
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), "a file where the folder was").unwrap();
    assert!(journal.write(std::slice::from_ref(&entry)).is_err());
    fs::remove_file(folder.path()).unwrap();
    journal.write(&[entry]).unwrap();
    drop(journal);
    assert_eq!(state_of(&open(&folder)), after);
}

#[test]
fn several_entries_are_written_as_one() {
    let (folder, states) = journal(1);
    let mut journal = open(&folder).journal;
    let (first, live) = change(&states[1], 50);
    let (second, live) = change(&live, 60);
    journal.write(&[first, second]).unwrap();
    drop(journal);
    assert_eq!(state_of(&open(&folder)), live);
}

#[test]
fn what_was_staged_and_taken_back_was_never_there() {
    for n in [0, 3] {
        let (folder, states) = journal(n);
        let mut journal = open(&folder).journal;
        let (abandoned, _) = change(&states[n as usize], 50);
        journal.stage(&[abandoned]).unwrap();
        journal.retract();
        let (entry, after) = change(&states[n as usize], 60);
        journal.write(&[entry]).unwrap();
        drop(journal);
        assert_eq!(state_of(&open(&folder)), after);
        assert_eq!(verify(folder.path()).unwrap().entries, n as usize + 1);
    }
}

#[tokio::test]
async fn the_writer_answers_when_it_is_on_disk_and_a_withdrawn_write_never_was() {
    let (folder, states) = journal(2);
    let writer = Writer::start(open(&folder).journal).unwrap();
    let (entry, after) = change(&states[2], 50);
    writer
        .append(vec![Arc::new(entry)])
        .settled()
        .await
        .unwrap();
    assert_eq!(verify(folder.path()).unwrap().entries, 3);

    let (entry, _) = change(&after, 60);
    let withdrawn = writer
        .append(vec![Arc::new(entry)])
        .withdraw()
        .await
        .is_err();
    let (entry, last) = change(&after, 70);
    if withdrawn {
        writer
            .append(vec![Arc::new(entry)])
            .settled()
            .await
            .unwrap();
        drop(writer);
        let chain = read(folder.path()).unwrap();
        assert_eq!(replay_all(&chain.entries), last);
    }
}

#[test]
fn reading_any_bytes_ends_without_a_panic() {
    proptest::proptest!(|(bytes: Vec<u8>)| {
        let chain = chain::read(&bytes);
        assert!(chain.entries.is_empty());
        assert!(chain::verify(&bytes).is_err());
    });
}
