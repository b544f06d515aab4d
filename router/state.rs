//! The live state at start: what the journal knows, what the file says, and what to do when the journal says nothing.
//!
//! It blocks, and runs once, before traffic is accepted.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use config::live::{self, Change, Held, Live, Routes};
use config::snapshot::Structure;

use crate::journal::{Entry, Found, JournalFile, Kind, OpenError, Opened, replay_all};

/// Where the state at start came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There was a journal, and it was read.
    Kept,
    /// There was none, and the file requires one: every route at 100 % stable, latched.
    Missing,
    /// There was none: the file's weights.
    New,
    /// There was one that cannot be read: every route at 100 % stable, latched.
    Unreadable,
}

impl Origin {
    /// The word in answers.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Missing => "missing",
            Self::New => "new",
            Self::Unreadable => "unreadable",
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Kept | Self::New => None,
            Self::Missing => Some("no state was there, and one is required".into()),
            Self::Unreadable => Some("the state could not be read".into()),
        }
    }
}

/// Who changed what last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// By route.
    pub routes: BTreeMap<String, Arc<Touch>>,
    /// By pool and address, of targets that operators registered or deregistered.
    pub targets: BTreeMap<String, BTreeMap<SocketAddr, Arc<Touch>>>,
}

/// The last change of a route or a target: when, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The revision it made.
    pub revision: u64,
    /// When.
    pub time: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
}

/// The state to start with.
pub struct Beginning {
    /// The state.
    pub live: Live,
    /// Where it came from.
    pub origin: Origin,
    /// The journal, for what comes.
    pub journal: JournalFile,
    /// What could not be written yet.
    pub unwritten: Vec<Entry>,
    /// Who changed what last.
    pub touched: Touched,
    /// Routes whose changed block was not applied.
    pub held: Vec<Held>,
    /// What the operator should know, in sentences for the log.
    pub notes: Vec<String>,
}

/// Takes `folder` into use and works out the state that `structure` starts with; `time` is now, RFC 3339.
pub fn begin(folder: &Path, structure: &Structure, time: &str) -> Result<Beginning, OpenError> {
    let Opened {
        journal,
        found,
        mut notes,
    } = JournalFile::open(folder)?;
    let outset = outset(found, structure, &mut notes);
    let mut beginning = beginning(journal, outset, notes, structure, time);
    let written = match &*beginning.unwritten {
        [] => return Ok(beginning),
        entries => beginning.journal.write(entries),
    };
    match written {
        Ok(()) => beginning.unwritten.clear(),
        Err(error) => beginning.notes.push(format!(
            "the state cannot be written to `{}`: {error}; it will be tried again, and changes are refused until then",
            folder.display()
        )),
    }
    Ok(beginning)
}

/// As `begin`, of a folder that another process hands over with its lock, at `revision`. Nothing is written yet: that
/// process may still go on.
pub fn take_over(
    folder: &Path,
    lock: File,
    revision: u64,
    structure: &Structure,
    time: &str,
) -> Result<Beginning, OpenError> {
    let (journal, known) = JournalFile::take_over(folder, lock, revision)?;
    let mut notes = Vec::new();
    let outset = outset(Found::Entries(known), structure, &mut notes);
    Ok(beginning(journal, outset, notes, structure, time))
}

fn beginning(
    journal: JournalFile,
    mut outset: Outset,
    mut notes: Vec<String>,
    structure: &Structure,
    time: &str,
) -> Beginning {
    let change = outset.change;
    notes.extend(change.notes);
    let mut unwritten = Vec::new();
    if change.live.revision != outset.before.revision {
        let entry = Entry {
            revision: change.live.revision,
            time: time.to_owned(),
            kind: Kind::Start,
            actor: "file".into(),
            reason: outset.origin.reason(),
            config_digest: structure.digest.to_string(),
            annotation: None,
            delta: outset.before.delta(&change.live),
        };
        unwritten.push(entry.clone());
        outset.known.push(entry);
    }
    Beginning {
        live: change.live,
        origin: outset.origin,
        journal,
        unwritten,
        touched: touched(&outset.known),
        held: change.held,
        notes,
    }
}

/// What is known of the state before the start, and what the start makes of it.
struct Outset {
    before: Live,
    known: Vec<Entry>,
    change: Change,
    origin: Origin,
}

fn outset(found: Found, structure: &Structure, notes: &mut Vec<String>) -> Outset {
    let routes = Routes::of_structure(structure);
    let (live, origin) = match found {
        Found::Entries(known) => {
            let before = replay_all(&known);
            return Outset {
                change: followed(&before, &known, structure),
                before,
                known,
                origin: Origin::Kept,
            };
        }
        Found::Nothing if structure.server.require_state => {
            notes.push("there is no state and server.require_state is true: every route starts at 100 % stable, latched until `kanaria resume`".into());
            (live::all_stable(&routes, 0), Origin::Missing)
        }
        Found::Nothing => {
            notes.push("there is no state yet: routes start with the weights of the file".into());
            (live::fresh(&routes), Origin::New)
        }
        Found::Unreadable { last, why } => {
            notes.push(format!("the state cannot be read: {why}. Every route starts at 100 % stable, latched until `kanaria resume`, and targets registered or deregistered by hand are not known"));
            (live::all_stable(&routes, last), Origin::Unreadable)
        }
    };
    Outset {
        before: Live::default(),
        known: Vec::new(),
        change: bare(live),
        origin,
    }
}

fn bare(live: Live) -> Change {
    Change {
        live,
        held: Vec::new(),
        targets: Vec::new(),
        notes: Vec::new(),
    }
}

/// The state that was, after the file of today. Another file is a revision of its own, also when no weight changes.
fn followed(before: &Live, known: &[Entry], structure: &Structure) -> Change {
    let mut change = live::reload(before, &Routes::of_structure(structure));
    let same_file = known
        .last()
        .is_some_and(|entry| *entry.config_digest == *structure.digest);
    if !same_file && change.live.revision == before.revision {
        change.live.revision += 1;
    }
    let edits = live::standing_edits(before, structure);
    change.notes.extend(edits);
    change
}

fn touched(entries: &[Entry]) -> Touched {
    let mut touched = Touched::default();
    entries.iter().for_each(|entry| touched.touch(entry));
    touched
}

impl Touched {
    /// Notes who made the change of `entry`.
    pub fn touch(&mut self, entry: &Entry) {
        let touch = Arc::new(Touch {
            revision: entry.revision,
            time: entry.time.clone(),
            actor: entry.actor.clone(),
            reason: entry.reason.clone(),
        });
        // A checkpoint repeats what others did.
        let repeats = entry.kind == Kind::Checkpoint;
        for route in entry.delta.routes.keys() {
            if !(repeats && self.routes.contains_key(route)) {
                self.routes.insert(route.clone(), Arc::clone(&touch));
            }
        }
        for (pool, edits) in &entry.delta.targets {
            let targets = self.targets.entry(pool.clone()).or_default();
            for (address, edit) in edits {
                if edit.after.is_none() {
                    targets.remove(address);
                } else if !(repeats && targets.contains_key(address)) {
                    targets.insert(*address, Arc::clone(&touch));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use config::live::Latch;

    use super::*;
    use crate::control::fixture::{structure, structure_with};

    const NOW: &str = "2026-11-21T02:00:00Z";

    fn start(folder: &Path, structure: &Structure) -> Beginning {
        begin(folder, structure, NOW).unwrap()
    }

    #[test]
    fn without_a_journal_the_files_weights_start_a_new_state() {
        let folder = tempfile::tempdir().unwrap();
        let beginning = start(folder.path(), &structure());
        assert_eq!(beginning.origin, Origin::New);
        assert_eq!(beginning.live.revision, 1);
        assert_eq!(beginning.live.routes["blogs"].weights["ecs"], 5);
        assert_eq!(beginning.touched.routes["blogs"].actor, "file");
    }

    #[test]
    fn the_same_file_again_keeps_the_state_and_its_revision() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path(), &structure()).live;
        let again = start(folder.path(), &structure());
        assert_eq!((again.origin, again.live), (Origin::Kept, first));
    }

    #[test]
    fn another_file_is_a_revision_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        drop(start(folder.path(), &structure()));
        let changed = structure_with(&[("blogs", "ec2", &[("ec2", 90), ("ecs", 10)])]);
        let again = start(folder.path(), &changed);
        assert_eq!(again.live.revision, 2);
        assert_eq!(again.live.routes["blogs"].weights["ecs"], 10);
    }

    #[test]
    fn a_state_handed_over_is_the_same_and_nothing_is_written_before_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let old = start(folder.path(), &structure());
        let path = folder.path().join(crate::journal::FILE);
        let before = fs::read(&path).unwrap();
        let lock = || File::open(folder.path().join("lock")).unwrap();
        let changed = structure_with(&[("blogs", "ec2", &[("ec2", 90), ("ecs", 10)])]);
        let new = take_over(folder.path(), lock(), 1, &changed, NOW).unwrap();
        assert_eq!(new.live.revision, 2);
        assert_eq!(new.live.routes["blogs"].weights["ecs"], 10);
        assert_eq!(new.unwritten.len(), 1);
        assert_eq!(fs::read(&path).unwrap(), before);
        let same = take_over(folder.path(), lock(), 1, &structure(), NOW).unwrap();
        assert_eq!((same.live, same.unwritten.len()), (old.live, 0));
    }

    #[test]
    fn a_journal_that_is_not_as_handed_over_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(start(folder.path(), &structure()));
        let path = folder.path().join(crate::journal::FILE);
        let sound = fs::read_to_string(&path).unwrap();
        let cut = &sound[..sound.len() - 1];
        for (text, revision) in [(&*sound, 2), (cut, 1), ("{}\n", 0), ("", 1)] {
            fs::write(&path, text).unwrap();
            let lock = File::open(folder.path().join("lock")).unwrap();
            let taken = take_over(folder.path(), lock, revision, &structure(), NOW);
            assert!(taken.is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_required_state_that_is_missing_starts_everything_at_stable() {
        let folder = tempfile::tempdir().unwrap();
        let mut structure = structure();
        structure.server.require_state = true;
        let beginning = start(folder.path(), &structure);
        assert_eq!(beginning.origin, Origin::Missing);
        assert_eq!(beginning.live.routes["blogs"].weights["ecs"], 0);
        assert_eq!(beginning.live.routes["blogs"].state, Latch::RolledBack);
    }

    #[test]
    fn an_unreadable_state_starts_everything_at_stable_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        drop(start(folder.path(), &structure()));
        let path = folder.path().join(crate::journal::FILE);
        fs::write(&path, "{}\n").unwrap();
        let beginning = start(folder.path(), &structure());
        assert_eq!(beginning.origin, Origin::Unreadable);
        assert_eq!(beginning.live.routes["blogs"].weights["ecs"], 0);
        assert!(
            beginning.notes[0].starts_with("the state cannot be read"),
            "{:?}",
            beginning.notes
        );
        drop(beginning);
        assert_eq!(start(folder.path(), &structure()).origin, Origin::Kept);
    }

    #[test]
    fn a_state_that_cannot_be_written_starts_and_keeps_what_is_unwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-file");
        fs::write(&path, "").unwrap();
        let beginning = start(&path.join("state"), &structure());
        assert_eq!(beginning.unwritten.len(), 1);
        assert!(
            beginning
                .notes
                .iter()
                .any(|note| note.contains("cannot be written"))
        );
    }
}
