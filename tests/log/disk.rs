//! Disks that are full, files that go, folders that cannot be written, readers that are slow.
//!
//! A full disk is a limit on the size of the process's files, which needs no privilege; where a tmpfs can be mounted, it
//! is a disk too.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::support::{File, Kanaria, Stub, get, lines_of_all, sized, until, volley, within};

fn log(path: &str, keys: &str) -> String {
    format!("[[access_log]]\npath = \"{path}\"\n{keys}\n")
}

/// No file of `kanaria` gets longer than so many bytes; `None` takes that back.
fn limit(kanaria: &Kanaria, bytes: Option<u64>) {
    let pid = Pid::from_raw(kanaria.id() as i32).expect("a process has a number");
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limit).expect("the process is ours");
}

fn metric(kanaria: &Kanaria, name: &str) -> usize {
    kanaria
        .admin
        .metric(&format!("kanaria_access_log_{name}"), &[]) as usize
}

fn whole_lines(kanaria: &Kanaria, name: &str) -> usize {
    let lines = lines_of_all(&kanaria.path(name));
    for line in &lines {
        serde_json::from_str::<Value>(line).expect("a line is whole");
    }
    lines.len()
}

#[test]
fn a_full_disk_loses_lines_with_drop_and_counts_them_while_the_site_goes_on() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .quiet()
        .after(&log("a.json", "on_full = \"drop\""));
    let kanaria = Kanaria::start(&file);
    let n = sized(200, 5_000);
    volley(kanaria.public, n, 4, |_| get("/", ""));
    until("lines are written", || {
        (metric(&kanaria, "lines_total") == n).then_some(())
    });
    let size = std::fs::metadata(kanaria.path("a.json")).unwrap().len();
    // Not at the end of a line.
    limit(&kanaria, Some(size + 10_001));
    let answers = volley(kanaria.public, n, 4, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.status == 200));
    until("lines are lost", || {
        (metric(&kanaria, "waiting_bytes") < 4096 && metric(&kanaria, "dropped_total") > 0)
            .then_some(())
    });
    limit(&kanaria, None);
    volley(kanaria.public, n, 4, |_| get("/", ""));
    let counted = || metric(&kanaria, "lines_total") + metric(&kanaria, "dropped_total");
    until("all are counted", || (counted() == 3 * n).then_some(()));
    let n_lines = metric(&kanaria, "lines_total");
    println!(
        "{} requests, {n_lines} lines, {} dropped",
        3 * n,
        3 * n - n_lines
    );
    assert_eq!(whole_lines(&kanaria, "a.json"), n_lines);
    let said = kanaria.stderr();
    for word in [
        "access log cannot be written",
        "lines are lost and counted",
        "can be written again",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

/// A router with `drop` whose full disk has taken the beginning of a line, and no more; and how many requests it had.
fn inside_a_line() -> (Kanaria, Stub, usize) {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .quiet()
        .after(&log("a.json", "on_full = \"drop\""));
    let kanaria = Kanaria::start(&file);
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    until("lines are written", || {
        (metric(&kanaria, "lines_total") == 20).then_some(())
    });
    let size = std::fs::metadata(kanaria.path("a.json")).unwrap().len();
    limit(&kanaria, Some(size + 1_001));
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    until("lines are lost", || {
        (metric(&kanaria, "waiting_bytes") < 4096 && metric(&kanaria, "dropped_total") > 0)
            .then_some(())
    });
    (kanaria, ec2, 40)
}

#[test]
fn a_line_that_a_full_disk_cut_is_whole_in_the_next_file_when_the_file_is_moved() {
    let (kanaria, _ec2, n) = inside_a_line();
    std::fs::rename(kanaria.path("a.json"), kanaria.path("moved")).unwrap();
    kanaria.signal(rustix::process::Signal::USR1);
    limit(&kanaria, None);
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    let counted = || metric(&kanaria, "lines_total") + metric(&kanaria, "dropped_total");
    until("all are counted", || (counted() == n + 20).then_some(()));
    let moved = std::fs::read_to_string(kanaria.path("moved")).unwrap();
    let (whole, half) = moved.rsplit_once('\n').unwrap();
    let next = std::fs::read_to_string(kanaria.path("a.json")).unwrap();
    println!("{} bytes of a line are left behind", half.len());
    assert!(!half.is_empty() && next.starts_with(half), "{half}");
    let n_whole = whole.lines().count() + whole_lines(&kanaria, "a.json");
    assert_eq!(n_whole, metric(&kanaria, "lines_total"));
}

#[test]
fn a_signal_to_open_anew_does_not_end_a_line_that_is_half_written() {
    let (kanaria, _ec2, n) = inside_a_line();
    limit(&kanaria, None);
    kanaria.signal(rustix::process::Signal::USR1);
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    let counted = || metric(&kanaria, "lines_total") + metric(&kanaria, "dropped_total");
    until("all are counted", || (counted() == n + 20).then_some(()));
    assert_eq!(
        whole_lines(&kanaria, "a.json"),
        metric(&kanaria, "lines_total")
    );
    let said = kanaria.stderr();
    assert!(!said.contains("cannot be opened anew"), "{said}");
}

#[test]
fn a_full_disk_stops_the_site_with_block_and_loses_nothing() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .quiet()
        .after(&log("a.json", "on_full = \"block\""));
    let kanaria = Kanaria::start(&file);
    kanaria.client().call(get("/", ""));
    until("a line is written", || {
        (metric(&kanaria, "lines_total") == 1).then_some(())
    });
    limit(&kanaria, Some(100_001));
    // 16 MiB may wait, and a line of each request in flight.
    let long = format!("/{}", "x".repeat(15_000));
    let mut n = 1;
    let mut client = kanaria.client();
    client.wire.patience(Duration::from_secs(2));
    while client.try_call(get(&long, "")).is_ok() {
        n += 1;
        assert!(
            n < 5_000,
            "requests are taken on although nothing is written"
        );
    }
    println!("{n} requests were answered before the site waited");
    assert!(n > 1_000);
    assert_eq!(metric(&kanaria, "blocked"), 1);
    assert_eq!(metric(&kanaria, "dropped_total"), 0);
    let said = kanaria.stderr();
    assert!(said.contains("no request is taken on"), "{said}");
    // The admin API is not the site.
    let began = std::time::Instant::now();
    kanaria.admin.get("/api/v1/status");
    println!("the admin API answered within {:?}", began.elapsed());
    let mut waiting = kanaria.client();
    waiting.wire.send(get("/", "")).unwrap();
    limit(&kanaria, None);
    assert_eq!(waiting.answer(false).unwrap().status, 200);
    // The one that waited too long for its client may have been served, too.
    let counted = || metric(&kanaria, "lines_total");
    until("all are written", || (counted() > n).then_some(()));
    until("nothing waits", || {
        (metric(&kanaria, "waiting_bytes") == 0).then_some(())
    });
    assert_eq!(whole_lines(&kanaria, "a.json"), counted());
    assert_eq!(
        (
            metric(&kanaria, "dropped_total"),
            metric(&kanaria, "blocked")
        ),
        (0, 0)
    );
}

#[test]
fn a_file_that_was_removed_is_there_again_with_the_next_line() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.client().call(get("/1", ""));
    kanaria.log_of(1);
    std::fs::remove_file(kanaria.path("access.json")).unwrap();
    kanaria.client().call(get("/2", ""));
    assert_eq!(kanaria.log_of(1)[0]["path"], "/2");
    assert_eq!(metric(&kanaria, "lines_total"), 2);
}

/// A folder that cannot be written, also for root: a file is in its place.
#[test]
fn a_folder_that_cannot_be_written_is_said_and_nothing_is_lost_with_block() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .quiet()
        .after(&log("logs/a.json", "on_full = \"block\""));
    let kanaria = Kanaria::start(&file);
    std::fs::remove_dir_all(kanaria.path("logs")).unwrap();
    std::fs::write(kanaria.path("logs"), "in the way").unwrap();
    volley(kanaria.public, 50, 2, |_| get("/", ""));
    until("it is said", || {
        kanaria
            .stderr()
            .contains("access log cannot be written")
            .then_some(())
    });
    assert_eq!(metric(&kanaria, "dropped_total"), 0);
    std::fs::remove_file(kanaria.path("logs")).unwrap();
    until("the lines are there", || {
        (metric(&kanaria, "lines_total") == 50).then_some(())
    });
    assert_eq!(whole_lines(&kanaria, "logs/a.json"), 50);
}

#[test]
fn a_log_that_cannot_be_opened_at_the_start_is_an_error() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("logs"), "in the way").unwrap();
    let file = File::single(&ec2)
        .quiet()
        .after(&log("logs/{partition}/a.json", ""));
    std::fs::write(folder.path().join("kanaria.toml"), file.text()).unwrap();
    let outcome = crate::support::command(folder.path(), &["run", "-c", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("access log"), "{}", outcome.stderr);
}

/// A small disk, where one can be mounted; unmounted with its value.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).ok()?;
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "kanaria-test"]);
        let done = mount.arg(&path).output().ok()?;
        done.status.success().then_some(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there lets go of it at their end.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Rotation bounds what a log takes of a small disk; what is above it fills the disk, and is counted.
#[test]
fn field_toreta_10() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path().join("disk"), "2m") else {
        return println!(
            "no tmpfs can be mounted here: only the limit on the size of files is tested"
        );
    };
    let bounded = log("disk/a.json", "rotate = { size = \"256KiB\", keep = 3 }");
    let unbounded = log("disk/b.json", "on_full = \"drop\"");
    let file = File::single(&ec2).quiet().after(&(bounded + &unbounded));
    let kanaria = Kanaria::start_in(folder, &file);
    let n = sized(4_000, 40_000);
    let answers = volley(kanaria.public, n, 8, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.status == 200));
    let of = |what: &str, name: &str| {
        kanaria
            .admin
            .metric(&format!("kanaria_access_log_{what}_total"), &[name]) as usize
    };
    let counted = |name: &str| of("lines", name) + of("dropped", name);
    // A line that was begun waits for its rest.
    until("nearly all are counted", || {
        (counted("a.json") + 1 >= n && counted("b.json") + 1 >= n).then_some(())
    });
    let used: u64 = ["disk/a.json", "disk/b.json"]
        .iter()
        .flat_map(|name| crate::support::files_of(&kanaria.path(name)))
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .sum();
    println!(
        "{n} requests on a disk of 2 MiB, {used} bytes used; with rotation {} dropped, without {}",
        of("dropped", "a.json"),
        of("dropped", "b.json"),
    );
    assert!(of("dropped", "b.json") > 0, "the disk was full");
    std::fs::remove_file(kanaria.path("disk/b.json")).unwrap();
    until("all are counted", || {
        (counted("a.json") == n && counted("b.json") == n).then_some(())
    });
    let health = within(Duration::from_secs(1), || kanaria.ready().then_some(()));
    assert!(health.is_some());
    drop(kanaria);
    drop(disk);
}
