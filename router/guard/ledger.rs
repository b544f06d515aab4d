//! Evidence on disk: every window that was bet on, with all that went into it, one JSON object a line.
//!
//! It is what a restart goes on from, and what `kanaria guard replay` makes again. A file begins with the whole evidence;
//! when it has become long the next one does. Nothing waits for a disk: a line that finds no place is left out, and a
//! window that is not there is a window without a bet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};

use canary::guard::{Evidence, Metric, Taken};
use serde::{Deserialize, Serialize};

/// From this length on the next evidence begins a new file.
const LENGTH: u64 = 16 << 20;
/// Files of a route, the one in use with them.
const FILES: usize = 4;
/// How a line with all evidence begins, and one of a window.
const STATE: &str = r#"{"state":"#;
const WINDOW: &str = r#"{"window":"#;
/// Lines that wait for a slow disk.
const WAITING: usize = 4096;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// All evidence, after the window of this number.
    State {
        /// Windows since 1970.
        window: u64,
        /// The live state that the guard had seen.
        revision: u64,
        /// The evidence.
        evidence: Box<Evidence>,
    },
    /// A window, as it was taken in.
    Window {
        /// Windows since 1970.
        window: u64,
        /// By metric.
        taken: Vec<(Metric, Taken)>,
    },
    /// The canary was to be taken back.
    Trip {
        /// Windows since 1970.
        window: u64,
        /// The live state that the guard had seen.
        revision: u64,
        /// Why.
        why: String,
    },
}

/// The file in use of `route`.
pub(super) fn path(folder: &Path, route: &str) -> PathBuf {
    folder.join(format!("{route}.jsonl"))
}

/// One of the files before it: a route can have no name with a tilde, so no other route's file is called like that.
fn old(folder: &Path, route: &str, age: usize) -> PathBuf {
    folder.join(format!("{route}~{age}.jsonl"))
}

/// The route that a file called `name` is of, when it is the one in use.
pub(super) fn route(name: &str) -> Option<&str> {
    name.strip_suffix(".jsonl")
        .filter(|route| !route.contains('~'))
}

/// The files of `route` that are there, the oldest first.
pub(super) fn paths(folder: &Path, route: &str) -> Vec<PathBuf> {
    let old = (1..FILES).rev().map(|age| old(folder, route, age));
    let all = old.chain([path(folder, route)]);
    all.filter(|path| path.is_file()).collect()
}

/// The lines of a file; one that a crash left unfinished is passed over.
pub(super) fn lines(path: &Path) -> io::Result<Vec<Line>> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Line> {
    serde_json::from_str(line).ok()
}

/// What a guard goes on from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Restored {
    /// The last that was written whole, and every window after it.
    pub(super) evidence: Evidence,
    /// The live state that the guard had seen last.
    pub(super) revision: u64,
    /// Why the canary was to be taken back in this attempt, the last time.
    pub(super) why: Option<String>,
}

/// What the guard of `route` goes on from; `None` when nothing was written. Windows before the last evidence are in it, and
/// there may be thousands of them: they are not read again.
pub(super) fn restore(folder: &Path, route: &str) -> Option<Restored> {
    let text = fs::read_to_string(path(folder, route)).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let is_whole = |line: &&str| line.starts_with(STATE) && parse(line).is_some();
    let (before, after) = lines.split_at(lines.iter().rposition(is_whole)?);
    let mut after = after.iter().filter_map(|line| parse(line));
    let Some(Line::State {
        window: mut last,
        revision,
        evidence,
    }) = after.next()
    else {
        return None;
    };
    let mut restored = Restored {
        why: why(before, evidence.attempt),
        evidence: *evidence,
        revision,
    };
    for line in after {
        match line {
            Line::Window { window, taken } if window > last => {
                last = window;
                for (metric, taken) in taken {
                    restored.evidence.take(metric, taken.window);
                }
            }
            Line::Trip { why, revision, .. } => {
                restored.why = Some(why);
                restored.revision = revision;
            }
            Line::State { .. } | Line::Window { .. } => {}
        }
    }
    Some(restored)
}

/// Why the canary was to be taken back in this attempt, the last time in these lines.
fn why(lines: &[&str], attempt: u32) -> Option<String> {
    let lines = lines.iter().rev();
    let lines = lines.filter(|line| !line.starts_with(WINDOW));
    let is_later = |line: &Line| match line {
        Line::State { evidence, .. } => evidence.attempt == attempt,
        _ => true,
    };
    let mut lines = lines.filter_map(|line| parse(line)).take_while(is_later);
    lines.find_map(|line| match line {
        Line::Trip { why, .. } => Some(why),
        _ => None,
    })
}

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(super) struct Ledger(SyncSender<(String, Line)>);

impl Ledger {
    /// Starts the thread, which writes below `folder` and ends with the last ledger.
    pub(super) fn start(folder: PathBuf) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel::<(String, Line)>(WAITING);
        std::thread::Builder::new()
            .name("kanaria-guard".into())
            .spawn(move || {
                let mut is_well = true;
                for (route, line) in receiver {
                    let written = append(&folder, &route, &line);
                    if let (true, Err(error)) = (is_well, &written) {
                        tracing::error!(
                            "evidence of the guard cannot be written to `{}`: {error}",
                            folder.display()
                        );
                    }
                    is_well = written.is_ok();
                }
            })?;
        Ok(Self(sender))
    }

    /// Writes `line` of `route` down, or leaves it out when the disk is too slow.
    pub(super) fn write(&self, route: &str, line: Line) {
        if let Err(TrySendError::Full(_)) = self.0.try_send((route.to_owned(), line)) {
            tracing::warn!(
                route,
                "evidence of the guard is left out: the disk is too slow"
            );
        }
    }
}

pub(super) fn append(folder: &Path, route: &str, line: &Line) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = path(folder, route);
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    if matches!(line, Line::State { .. }) && file.metadata()?.len() >= LENGTH {
        turn(folder, route)?;
        file = File::create(&path)?;
    }
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn turn(folder: &Path, route: &str) -> io::Result<()> {
    for age in (1..FILES - 1).rev() {
        if old(folder, route, age).is_file() {
            fs::rename(old(folder, route, age), old(folder, route, age + 1))?;
        }
    }
    fs::rename(path(folder, route), old(folder, route, 1))
}

#[cfg(test)]
mod tests {
    use canary::guard::{Guard, Observed, Units};

    use super::*;
    use crate::guard::watch::tests::rules;

    fn observed(k: u64) -> Observed {
        let units = |from: u16, n: u16| (from..from + n).collect::<Units>();
        Observed {
            start_ms: k * 5_000,
            active: [
                units(k as u16 * 50, 50),
                units(30_000 + k as u16 * 100, 100),
            ],
            errors: [units(k as u16 * 50, 2), Units::default()],
            ..Observed::default()
        }
    }

    #[test]
    fn a_restart_goes_on_from_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut guard = Guard::new(Evidence::new(rules()));
        for k in 0..20 {
            if k % 8 == 0 {
                let line = Line::State {
                    window: k,
                    revision: 3,
                    evidence: Box::new(guard.evidence().clone()),
                };
                append(folder.path(), "web", &line).unwrap();
            }
            let taken = guard
                .close(&observed(k + 1), canary::guard::Armed::Yes)
                .taken;
            let line = Line::Window {
                window: k + 1,
                taken,
            };
            append(folder.path(), "web", &line).unwrap();
        }
        let mut file = OpenOptions::new()
            .append(true)
            .open(path(folder.path(), "web"))
            .unwrap();
        file.write_all(b"{\"window\":{\"win").unwrap();
        let restored = restore(folder.path(), "web").unwrap();
        assert!(guard.evidence().max_log_e() > 1.0);
        let difference = restored.evidence.max_log_e() - guard.evidence().max_log_e();
        assert!(difference.abs() < 1e-9);
        assert_eq!((restored.revision, restored.why), (3, None));
        assert_eq!(restore(folder.path(), "other"), None);
    }

    #[test]
    fn old_files_are_kept_up_to_a_number() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..6 {
            fs::write(path(folder.path(), "web"), n.to_string()).unwrap();
            turn(folder.path(), "web").unwrap();
        }
        fs::write(path(folder.path(), "web"), "6").unwrap();
        let texts: Vec<_> = paths(folder.path(), "web")
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(texts, ["3", "4", "5", "6"]);
    }

    #[test]
    fn what_tripped_is_known_for_as_long_as_its_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let mut evidence = Evidence::new(rules());
        let write = |line: Line| append(folder.path(), "web", &line).unwrap();
        let state = |window, evidence: &Evidence| Line::State {
            window,
            revision: window,
            evidence: Box::new(evidence.clone()),
        };
        let why = || restore(folder.path(), "web").unwrap().why;
        write(state(1, &evidence));
        for (window, why) in [(2, "the first"), (3, "the second")] {
            write(Line::Trip {
                window,
                revision: window,
                why: why.into(),
            });
        }
        assert_eq!(why().as_deref(), Some("the second"), "after all evidence");
        write(state(4, &evidence));
        write(state(5, &evidence));
        assert_eq!(why().as_deref(), Some("the second"), "before all evidence");
        evidence.begin(rules());
        write(state(6, &evidence));
        assert_eq!(why(), None);
    }

    #[test]
    fn routes_with_a_number_in_their_name_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        for route in ["web", "web.1"] {
            for n in 0..2 {
                fs::write(path(folder.path(), route), format!("{route} {n}")).unwrap();
                turn(folder.path(), route).unwrap();
            }
            fs::write(path(folder.path(), route), format!("{route} 2")).unwrap();
        }
        for name in ["web", "web.1"] {
            let texts: Vec<_> = paths(folder.path(), name)
                .iter()
                .map(|path| fs::read_to_string(path).unwrap())
                .collect();
            let expected = [0, 1, 2].map(|n| format!("{name} {n}"));
            assert_eq!(texts, expected);
        }
        let files = fs::read_dir(folder.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut routes: Vec<_> = names
            .filter_map(|name| route(&name).map(str::to_owned))
            .collect();
        routes.sort();
        assert_eq!(routes, ["web", "web.1"]);
    }
}
