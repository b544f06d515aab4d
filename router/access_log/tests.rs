//! Logs whose output stalls, fails, moves or ends. A pipe nobody reads stands for a disk that is too slow.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use serde_json::json;

use super::output::Output;
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(path: &str, on_full: &str) -> model::AccessLog {
    serde_json::from_value(json!({ "path": path, "on_full": on_full })).unwrap()
}

/// A log into a pipe, and its reading end.
fn piped(on_full: &str) -> (AccessLog, Writer, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let output = Output::Nameless(File::from(OwnedFd::from(writer)));
    let settings = settings("pipe", on_full);
    let streams = Streams::into_output(&settings, output);
    let (log, writer) = AccessLog::start(&settings, &Metrics::new(), streams).unwrap();
    (log, writer, reader)
}

/// A line of a kibibyte that says its number.
fn line(number: usize) -> Line {
    of("", number)
}

/// The same, of a partition, where the path names them.
fn of(partition: &str, number: usize) -> Line {
    Line {
        text: format!("{number:01023}\n").into_bytes(),
        partition: (!partition.is_empty()).then(|| partition.into()),
    }
}

fn append(log: &AccessLog, n_lines: usize) {
    (0..n_lines).for_each(|number| log.append(line(number)));
}

/// Ends the log; says how many lines were written and how many dropped.
fn close(log: AccessLog, writer: Writer) -> (u64, u64) {
    let backlog = Arc::clone(&log.backlog);
    drop(log);
    writer.close(Instant::now() + PATIENCE);
    (backlog.lines.get(), backlog.dropped.get())
}

fn lines(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

const ROOM: usize = CAPACITY / 1024;

#[test]
fn every_line_is_written_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/access.json");
    let settings = settings(path.to_str().unwrap(), "drop");
    let (log, writer) = AccessLog::open(&settings, &Metrics::new()).unwrap();
    append(&log, 10_000);
    assert_eq!(close(log, writer), (10_000, 0));
    assert!(lines(&path).into_iter().eq(0..10_000));
}

#[test]
fn a_stalled_log_drops_what_has_no_room_and_counts_it() {
    let (log, writer, reader) = piped("drop");
    append(&log, ROOM + 1000);
    let dropped = log.backlog.dropped.get();
    assert!((900..=1000).contains(&dropped), "{dropped}");
    assert!(log.has_room());
    let read = std::thread::spawn(move || BufReader::new(reader).lines().count() as u64);
    let (written, dropped) = close(log, writer);
    assert_eq!(written + dropped, ROOM as u64 + 1000);
    assert_eq!(read.join().unwrap(), written);
}

#[tokio::test]
async fn a_stalled_log_that_blocks_lets_no_request_start_and_loses_nothing() {
    let (log, writer, reader) = piped("block");
    append(&log, ROOM + 1000);
    assert!(!log.has_room());
    let read = {
        let mut room = pin!(log.room());
        assert_eq!(value(room.as_mut()), None);
        let read = std::thread::spawn(move || BufReader::new(reader).lines().count());
        let room = tokio::time::timeout(PATIENCE, room);
        room.await.expect("room once the pipe is read");
        read
    };
    append(&log, 1);
    assert_eq!(close(log, writer), (ROOM as u64 + 1001, 0));
    assert_eq!(read.join().unwrap(), ROOM + 1001);
}

#[test]
fn a_log_given_up_lets_requests_start_again() {
    let (log, writer, _reader) = piped("block");
    append(&log, ROOM + 1000);
    writer.close(Instant::now());
    assert!(log.has_room());
}

#[test]
fn a_log_that_cannot_be_written_counts_every_line_as_dropped() {
    let (log, writer, reader) = piped("drop");
    drop(reader);
    append(&log, 100);
    assert_eq!(close(log, writer), (0, 100));
}

#[test]
fn lines_after_the_end_are_dropped_and_counted() {
    let (log, writer, _reader) = piped("drop");
    append(&log, 3);
    let closed = log.closed();
    assert_eq!(close(log, writer), (3, 0));
    append(&closed, 2);
    assert_eq!(closed.backlog.dropped.get(), 2);
    assert_eq!(closed.backlog.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn reopening_follows_the_name_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("a.json"), folder.path().join("a.json.1"));
    let settings = settings(path.to_str().unwrap(), "drop");
    let (log, writer) = AccessLog::open(&settings, &Metrics::new()).unwrap();
    log.append(line(1));
    wait(&path, |text| text.ends_with('\n'));
    fs::rename(&path, &old).unwrap();
    log.append(line(2));
    writer.reopen();
    // The file under the old name appears again as soon as the writer has followed.
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    log.append(line(3));
    assert_eq!(close(log, writer), (3, 0));
    // The second was written before or after the writer saw that its file was moved.
    let (old, new) = (lines(&old), lines(&path));
    assert_eq!((old[0], new.last()), (1, Some(&3)));
    assert_eq!([old, new].concat(), [1, 2, 3]);
}

/// Waits until `is` holds of the file at `path`.
fn wait(path: &Path, is: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(path).is_ok_and(|text| is(&text)) {
        assert!(Instant::now() < deadline, "{}", path.display());
        std::thread::yield_now();
    }
}

fn open(settings: &model::AccessLog) -> (AccessLog, Writer) {
    AccessLog::open(settings, &Metrics::new()).unwrap()
}

#[test]
fn a_file_that_was_moved_is_left_and_one_that_was_removed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("a.json"), folder.path().join("a.json.1"));
    let (log, writer) = open(&settings(path.to_str().unwrap(), "drop"));
    let whole = |text: &str| text.ends_with('\n');
    log.append(line(1));
    wait(&path, whole);
    fs::rename(&path, &old).unwrap();
    log.append(line(2));
    wait(&path, whole);
    assert_eq!((lines(&old), lines(&path)), (vec![1], vec![2]));
    fs::remove_file(&path).unwrap();
    log.append(line(3));
    wait(&path, whole);
    assert_eq!(close(log, writer), (3, 0));
    assert_eq!(lines(&path), [3]);
}

#[test]
fn a_file_that_cannot_be_made_again_counts_its_lines_as_dropped_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("logs");
    let path = below.join("a.json");
    let (log, writer) = open(&settings(path.to_str().unwrap(), "drop"));
    fs::remove_dir_all(&below).unwrap();
    fs::write(&below, "in the way").unwrap();
    append(&log, 10);
    let deadline = Instant::now() + PATIENCE;
    while log.backlog.dropped.get() < 10 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    fs::remove_file(&below).unwrap();
    log.append(line(77));
    assert_eq!(close(log, writer), (1, 10));
    assert_eq!(lines(&path), [77]);
}

#[test]
fn partitions_have_files_of_their_own_and_only_some_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/{partition}/a.json");
    let (log, writer) = open(&settings(path.to_str().unwrap(), "drop"));
    assert!(folder.path().join("logs").exists());
    let names: Vec<_> = (0..200).map(|n| format!("p{n}")).collect();
    for round in 0..3 {
        for name in &names {
            log.append(of(name, round));
        }
    }
    let opened = || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let links = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        links.filter(|path| path.starts_with(folder.path())).count()
    };
    let last = folder.path().join("logs/p199/a.json");
    wait(&last, |text| text.lines().count() == 3);
    assert_eq!(opened(), 64);
    assert_eq!(close(log, writer), (600, 0));
    for name in &names {
        let path = folder.path().join(format!("logs/{name}/a.json"));
        assert_eq!(lines(&path), [0, 1, 2]);
    }
}

#[test]
fn a_log_that_cannot_be_opened_says_which_and_why() {
    let settings = settings("/proc/no/such/log", "drop");
    let error = AccessLog::open(&settings, &Metrics::new()).err().unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with("access log `/proc/no/such/log`: "),
        "{text}"
    );
}

/// The value of a future that is ready.
fn value<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
