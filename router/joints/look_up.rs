//! `kanaria explain --request-id`: the line of a request, and the decision on it once more by the revision that decided.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use config::model::{LogFormat, STDOUT};
use config::snapshot::{Snapshot, Structure};
use router::cli::{Lookup, Unplanned};
use router::journal;
use router::plan::{Again, Logged, again, logged};

use super::foretell::{failed, read_secret, structure};

/// Finds the line and explains it.
pub(super) fn look_up(lookup: &Lookup<'_>) -> Result<Again, Unplanned> {
    let structure = structure(lookup.config)?;
    let logs = match lookup.log {
        Some(log) => vec![log.to_owned()],
        None => logs(&structure),
    };
    let line = find(&logs, lookup.request_id)?;
    let known = logged(&line).map_err(|error| failed(lookup.config, &error))?;
    let mut notes = Vec::new();
    if known.config_digest != *structure.digest {
        let (then, now) = (&known.config_digest, &structure.digest);
        notes.push(format!(
            "decided by file {then}, explained by file {now} with the weights of that time"
        ));
    }
    let secret = read_secret(&structure, &mut notes);
    let live = live(&structure, &known)?;
    let snapshot = Snapshot::compile(structure, &live, &secret);
    let snapshot = snapshot
        .map_err(|fault| Unplanned::Failed(format!("{}: {}", fault.path, fault.message)))?;
    let again = again(&snapshot, &line).map_err(|_| {
        Unplanned::Failed("the request could not be read, so nothing was decided".into())
    });
    let mut again = again?;
    again.notes.extend(notes);
    Ok(again)
}

/// The live state of the line's revision, as the journal has it.
fn live(structure: &Structure, known: &Logged) -> Result<config::live::Live, Unplanned> {
    let folder = &structure.server.state_dir;
    let chain = journal::read(folder).map_err(|error| failed(folder, &error))?;
    let revision = known.revision;
    journal::replay(&chain.entries, revision).ok_or_else(|| {
        let folder = folder.display();
        Unplanned::Failed(format!(
            "revision {revision} is not in the journal in `{folder}`"
        ))
    })
}

/// The files of the file's logs in JSON, those in use first, then those put aside, newest first.
fn logs(structure: &Structure) -> Vec<PathBuf> {
    let logs = structure.access_logs.iter();
    let logs = logs.filter(|log| log.format == LogFormat::Json && log.path != STDOUT);
    let in_use: Vec<PathBuf> = logs
        .flat_map(|log| {
            let names = structure.partition_names().map(|name| log.path_of(name));
            let n_files = if log.by_partition() { usize::MAX } else { 1 };
            names.take(n_files).map(PathBuf::from).collect::<Vec<_>>()
        })
        .collect();
    let mut aside: Vec<PathBuf> = in_use.iter().flat_map(|path| put_aside(path)).collect();
    aside.sort_by(|one, other| other.cmp(one));
    [in_use, aside].concat()
}

/// Files whose names begin with that of `path` and a dot.
fn put_aside(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name() else {
        return Vec::new();
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let start = format!("{}.", name.to_string_lossy());
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&*start));
    found.map(|entry| entry.path()).collect()
}

fn find(logs: &[PathBuf], id: &str) -> Result<String, Unplanned> {
    let wanted = format!("\"request_id\":{}", serde_json::Value::from(id));
    for path in logs {
        let Ok(file) = File::open(path) else {
            continue;
        };
        let lines = BufReader::with_capacity(256 << 10, file).split(b'\n');
        for line in lines {
            let line = line.map_err(|error| failed(path, &error))?;
            if memchr::memmem::find(&line, wanted.as_bytes()).is_some() {
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
    let names: Vec<_> = logs.iter().map(|path| path.display().to_string()).collect();
    Err(Unplanned::Failed(format!(
        "no line of {} has the request id {id}",
        match &*names {
            [] => "a log in JSON, of which the file has none,".into(),
            names => names.join(", "),
        }
    )))
}
