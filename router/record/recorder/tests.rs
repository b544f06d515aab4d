//! From finished requests to files and counters.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::testing::{record, snapshot, structure, unreadable};

const PATIENCE: Duration = Duration::from_secs(30);

fn recorder() -> Recorder {
    Recorder::new(Arc::new(Metrics::new()))
}

fn logs(paths: &[&Path]) -> Arc<Structure> {
    let logs: Vec<_> = paths.iter().map(|path| json!({ "path": path })).collect();
    structure(&json!({}), &Value::from(logs))
}

fn n_lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

#[track_caller]
fn check_counters(recorder: &Recorder, expected: &[(&str, &Path, usize)]) {
    let text = recorder.metrics.gather();
    for (what, log, count) in expected {
        let log = log.display();
        let line = format!("kanaria_access_log_{what}_total{{log=\"{log}\"}} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[test]
fn a_finished_request_is_a_line_in_every_log() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1.json"), folder.path().join("2.json"));
    let structure = logs(&[&one, &two]);
    let recorder = recorder();
    recorder.reconfigure(&structure).unwrap();
    let snapshot = snapshot(&structure, 1, 5);
    recorder.finish(&record(), &snapshot);
    recorder.finish(&unreadable(), &snapshot);
    recorder.close(PATIENCE);
    assert_eq!((n_lines(&one), n_lines(&two)), (2, 2));
    recorder.finish(&record(), &snapshot);
    check_counters(
        &recorder,
        &[
            ("lines", &one, 2),
            ("dropped", &one, 1),
            ("lines", &two, 2),
            ("dropped", &two, 1),
        ],
    );
}

#[test]
fn requests_of_many_threads_are_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.json");
    let structure = logs(&[&path]);
    let recorder = recorder();
    recorder.reconfigure(&structure).unwrap();
    let snapshot = snapshot(&structure, 1, 5);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| recorder.finish(&record(), &snapshot)));
        }
    });
    recorder.close(PATIENCE);
    let text = fs::read_to_string(&path).unwrap();
    let read = text.lines().map(serde_json::from_str::<Value>);
    assert_eq!(read.filter(Result::is_ok).count(), 2000);
    check_counters(&recorder, &[("lines", &path, 2000), ("dropped", &path, 0)]);
}

#[test]
fn a_reload_keeps_a_log_that_stays_and_writes_out_one_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    let [stays, goes, comes] = ["stays", "goes", "comes"].map(|name| folder.path().join(name));
    let recorder = recorder();
    let before = logs(&[&stays, &goes]);
    recorder.reconfigure(&before).unwrap();
    recorder.finish(&record(), &snapshot(&before, 1, 5));
    let after = logs(&[&stays, &comes]);
    recorder.reconfigure(&after).unwrap();
    recorder.finish(&record(), &snapshot(&after, 2, 5));
    recorder.close(PATIENCE);
    assert_eq!(
        [n_lines(&stays), n_lines(&goes), n_lines(&comes)],
        [2, 1, 1]
    );
    check_counters(&recorder, &[("lines", &stays, 2), ("dropped", &stays, 0)]);
}

#[test]
fn a_log_that_cannot_be_opened_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    let recorder = recorder();
    let before = logs(&[&good]);
    recorder.reconfigure(&before).unwrap();
    let bad = Path::new("/proc/no/such/log");
    recorder.reconfigure(&logs(&[bad])).unwrap_err();
    recorder.finish(&record(), &snapshot(&before, 1, 5));
    recorder.close(PATIENCE);
    assert_eq!(n_lines(&good), 1);
}

#[tokio::test]
async fn without_a_log_that_blocks_a_request_may_always_start() {
    recorder().ready().await;
}

/// A log that can never be written, and for which the site waits.
fn stuck() -> Arc<Structure> {
    let log = json!({ "path": "/dev/full", "on_full": "block" });
    structure(&json!({}), &json!([log]))
}

#[tokio::test]
async fn a_reload_that_lets_go_of_a_log_lets_go_of_the_requests_that_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder();
    let stuck = stuck();
    recorder.reconfigure(&stuck).unwrap();
    let before = snapshot(&stuck, 1, 5);
    while !recorder.backlogs()[0].2 {
        (0..100).for_each(|_| recorder.finish(&record(), &before));
    }
    let mut waiting = std::pin::pin!(recorder.ready());
    let at_once = tokio::time::timeout(Duration::ZERO, waiting.as_mut());
    assert!(at_once.await.is_err(), "the site waits");
    recorder
        .reconfigure(&logs(&[&folder.path().join("a.json")]))
        .unwrap();
    let soon = tokio::time::timeout(PATIENCE, waiting);
    soon.await.expect("nothing blocks any more");
    // What it has is still to be written, and is not lost.
    let backlogs = recorder.backlogs();
    let old = backlogs.iter().find(|(name, ..)| name == "/dev/full");
    assert!(
        matches!(old, Some((_, 1.., false))),
        "{backlogs:?}, of which nothing blocks"
    );
    check_counters(&recorder, &[("dropped", Path::new("/dev/full"), 0)]);
    recorder.close(Duration::ZERO);
}
