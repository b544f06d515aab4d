//! `kanaria explain --request-id`: the line of a request, and the decision on it once more by the revision that decided.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::model::{LogFormat, STDOUT};
use config::snapshot::{Snapshot, Structure};
use router::cli::{Lookup, Unplanned};
use router::journal;
use router::plan::{Again, Logged, Request};

use super::foretell::{failed, read_secret, structure};

/// Ends of the names of files that somebody has compressed after they were put aside.
const COMPRESSED: [&str; 4] = ["bz2", "gz", "xz", "zst"];

/// Finds the line and explains it.
pub(super) fn look_up(lookup: &Lookup<'_>) -> Result<Again, Unplanned> {
    let structure = structure(lookup.config)?;
    let logs = match lookup.log {
        Some(log) => vec![log.to_owned()],
        None => logs(&structure),
    };
    let (log, line) = find(&logs, lookup.request_id)?;
    let request = Request::read(&line).map_err(|_| {
        let log = log.display();
        Unplanned::Failed(format!(
            "{log}: the line with this request id is none of an access log in the form json"
        ))
    })?;
    let logged = request.logged();
    let mut notes = Vec::new();
    let (then, now) = (&logged.config_digest, &*structure.digest);
    let is_same_file = *then == *now;
    if !is_same_file {
        notes.push(format!(
            "decided by file {then}, explained by file {now} with the weights of that time"
        ));
    }
    let secret = read_secret(&structure, &mut notes);
    let live = live(&structure, &logged)?;
    let snapshot = Snapshot::compile(Arc::clone(&structure), &live, &secret);
    let snapshot = snapshot.map_err(|fault| {
        let revision = logged.revision;
        Unplanned::Failed(format!(
            "the weights of revision {revision}, made for file {then}, do not fit file {now}: {}: {}",
            fault.path, fault.message
        ))
    })?;
    let again = request.again(&snapshot).ok_or_else(|| {
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

/// The line, and the file it is in. A log that cannot be read is no log without the line.
fn find(logs: &[PathBuf], id: &str) -> Result<(PathBuf, String), Unplanned> {
    let wanted = format!("\"request_id\":{}", serde_json::Value::from(id));
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for path in logs {
        match find_in(path, wanted.as_bytes()) {
            Ok(Some(line)) => return Ok((path.clone(), line)),
            Ok(None) => read.push(path.display().to_string()),
            // The file of a partition that nobody has asked for is not there, and one put aside may have been removed.
            Err(error) if error.kind() == ErrorKind::NotFound && logs.len() > 1 => {}
            Err(error) => unread.push(format!("{}: {error}", path.display())),
        }
    }
    Err(Unplanned::Failed(match (&*read, &*unread) {
        ([], []) if logs.is_empty() => {
            "the file has no log in JSON to look in; name one with --log".into()
        }
        ([], []) => "there is no file of a log yet".into(),
        ([], unread) => unread.join("; "),
        (read, []) => format!("no line of {} has the request id {id}", read.join(", ")),
        (read, unread) => format!(
            "no line of {} has the request id {id}, and not all could be read: {}",
            read.join(", "),
            unread.join("; ")
        ),
    }))
}

fn find_in(path: &Path, wanted: &[u8]) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    if path
        .extension()
        .is_some_and(|it| COMPRESSED.iter().any(|kind| it == *kind))
    {
        return Err(io::Error::other("is compressed, and is not looked into"));
    }
    for line in BufReader::with_capacity(256 << 10, file).split(b'\n') {
        let line = line?;
        if memchr::memmem::find(&line, wanted).is_some() {
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
    }
    Ok(None)
}
