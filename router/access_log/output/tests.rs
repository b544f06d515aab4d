//! Files that are put aside, over a clock of their own.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A file in a folder of its own, and the time.
struct Case {
    folder: TempDir,
    named: Named,
    now: SystemTime,
}

impl Case {
    fn new(rotate: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rotate = serde_json::from_value(rotate.clone()).unwrap();
        let named = Named::new(&folder.path().join("a.json"), rotate);
        Self {
            folder,
            named,
            now: UNIX_EPOCH + Duration::from_secs(1_795_219_200),
        }
    }

    /// Writes lines of a kibibyte with these numbers in one batch, `millis` after what was before.
    fn write(&mut self, millis: u64, numbers: impl IntoIterator<Item = usize>) {
        self.now += Duration::from_millis(millis);
        let mut batch = Batch::default();
        for number in numbers {
            batch.add(format!("{number:01023}\n").as_bytes());
        }
        while !batch.done() {
            let n = self.named.write(&mut batch, self.now).unwrap();
            batch.advance(n);
        }
    }

    /// Looks at the time, with no line to write, `millis` from now.
    fn pass(&mut self, millis: u64) {
        let then = self.now + Duration::from_millis(millis);
        self.named.pass(&Batch::default(), then);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.json")
    }

    /// The numbers in each file, the one in use last.
    fn read(&self) -> Vec<Vec<usize>> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.rotate_left(1);
        let read = files.iter().map(|path| fs::read_to_string(path).unwrap());
        read.map(|text| text.lines().map(|line| line.parse().unwrap()).collect())
            .collect()
    }
}

#[test]
fn no_file_gets_longer_than_it_may_and_every_line_is_in_one_of_them() {
    let mut case = Case::new(&json!({ "size": "10KiB", "keep": 1000 }));
    for start in (0..1005).step_by(4) {
        case.write(100, start..1005.min(start + 4));
    }
    let read = case.read();
    assert!(read.concat().into_iter().eq(0..1005));
    let (last, full) = read.split_last().unwrap();
    assert!(full.iter().all(|lines| lines.len() == 10));
    assert_eq!((full.len(), last.len()), (100, 5));
}

#[test]
fn a_file_that_fills_at_once_keeps_its_name_for_a_moment() {
    let mut case = Case::new(&json!({ "size": "10KiB" }));
    case.write(0, 0..25);
    case.write(99, 25..30);
    case.write(1, 30..31);
    let read = case.read();
    assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [30, 1]);
}

#[test]
fn a_line_longer_than_a_file_may_be_is_whole_in_a_file_of_its_own() {
    let mut case = Case::new(&json!({ "size": "500B" }));
    for number in 1..=3 {
        case.write(100, [number]);
    }
    assert_eq!(case.read(), [[1], [2], [3]]);
}

#[test]
fn only_so_many_files_that_were_put_aside_are_kept() {
    let mut case = Case::new(&json!({ "size": "2KiB", "keep": 3 }));
    (0..21).for_each(|number| case.write(100, [number]));
    assert_eq!(
        case.read(),
        [vec![14, 15], vec![16, 17], vec![18, 19], vec![20]]
    );
}

#[test]
fn a_file_is_put_aside_when_its_time_is_over_also_when_no_line_comes() {
    let mut case = Case::new(&json!({ "every": "1h" }));
    case.write(3_599_999, [1, 2]);
    case.pass(0);
    assert_eq!(case.read(), [[1, 2]]);
    case.write(1, [3]);
    assert_eq!(case.read(), [vec![1, 2], vec![3]]);
    case.pass(3_600_000);
    assert_eq!(case.read(), [vec![1, 2], vec![3], vec![]]);
    // An empty file has nothing to put aside.
    case.pass(7_200_000);
    assert_eq!(case.read().len(), 3);
}

#[test]
fn a_file_of_an_earlier_hour_is_put_aside_at_the_start() {
    let mut case = Case::new(&json!({ "every": "1h" }));
    let path = case.folder.path().join("a.json");
    fs::write(&path, "1\n").unwrap();
    let file = File::options().append(true).open(&path).unwrap();
    file.set_modified(case.now - Duration::from_millis(1))
        .unwrap();
    case.write(0, [2]);
    assert_eq!(case.read(), [[1], [2]]);
}

#[test]
fn another_process_that_puts_the_file_aside_is_followed() {
    let mut case = Case::new(&json!({ "size": "3KiB" }));
    case.write(0, [1]);
    fs::rename(
        case.folder.path().join("a.json"),
        case.folder.path().join("a.json.0"),
    )
    .unwrap();
    case.write(100, [2]);
    assert_eq!(case.read(), [[1], [2]]);
}

#[test]
fn a_line_that_a_killed_process_left_half_is_ended_before_the_next() {
    let mut case = Case::new(&Value::Null);
    let path = case.folder.path().join("a.json");
    fs::write(&path, "1\n{\"time\":").unwrap();
    case.write(0, [2]);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_start_matches('0'))
        .collect();
    assert_eq!(lines, ["1", "{\"time\":", "2"]);
}

/// A batch of `2` and `3`, of which half of the first line is written.
fn begun() -> Batch {
    let mut batch = Batch::default();
    batch.add(b"2\n");
    batch.add(b"3\n");
    batch.advance(1);
    batch
}

#[test]
fn a_line_begun_in_a_file_that_is_gone_or_moved_is_whole_in_the_next() {
    let moved: fn(&Path) -> io::Result<()> = |path| fs::rename(path, path.with_extension("0"));
    for leave in [|path: &Path| fs::remove_file(path), moved] {
        let mut case = Case::new(&Value::Null);
        case.write(0, [1]);
        let mut batch = begun();
        leave(&case.path()).unwrap();
        let n = case.named.write(&mut batch, case.now).unwrap();
        assert_eq!(batch.advance(n), (2, 4));
        assert_eq!(fs::read_to_string(case.path()).unwrap(), "2\n3\n");
    }
}

#[test]
fn a_file_is_not_put_aside_while_a_line_of_it_is_half_written() {
    let mut case = Case::new(&json!({ "every": "10s" }));
    case.write(0, [1]);
    let (mut batch, over) = (begun(), case.now + Duration::from_secs(10));
    case.named.pass(&batch, over);
    assert_eq!(case.read(), [[1]]);
    let n = case.named.write(&mut batch, over).unwrap();
    batch.advance(n);
    case.named.pass(&batch, over);
    let n_files = fs::read_dir(case.folder.path()).unwrap().count();
    assert_eq!(n_files, 2);
}

#[test]
fn what_another_put_in_the_files_place_is_not_put_aside() {
    let mut case = Case::new(&json!({ "size": "3KiB" }));
    case.write(0, [1, 2, 3]);
    let (path, old) = (case.path(), case.folder.path().join("b.json"));
    fs::rename(&path, &old).unwrap();
    // Nothing can be opened here, as when there are no descriptors left.
    fs::create_dir(&path).unwrap();
    case.write(100, [4]);
    case.write(100, [5]);
    let names = fs::read_dir(case.folder.path()).unwrap();
    assert_eq!((names.count(), path.is_dir()), (2, true));
    assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 5);
    let complaint = case.named.complaint.as_deref().unwrap_or_default();
    assert!(
        complaint.starts_with("cannot be opened anew"),
        "{complaint}"
    );
}
