//! `kanaria plan`: two files and a log brought together. Everything is read, nothing is written.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use config::bucket::Secret;
use config::live::{self, Live, Routes};
use config::snapshot::{Snapshot, Structure};
use router::cli::{Plan, Unplanned};
use router::plan::{Report, replay};
use router::{journal, secret};

/// Bytes of the log that are read at a time.
const PIECE: usize = 256 << 10;

/// Carries it out; `progress` is told the part done, when that can be known, and how many lines that are.
pub(super) fn plan(
    plan: &Plan,
    progress: &mut dyn FnMut(Option<f64>, u64),
) -> Result<Report, Unplanned> {
    let in_force = structure(&plan.config)?;
    let planned = structure(&plan.file)?;
    let mut notes = Vec::new();
    let secret = read_secret(&in_force, &mut notes);
    let before = state(&in_force, &mut notes);
    let change = live::reload(&before, &Routes::of_structure(&planned));
    let held = change.held.iter();
    notes.extend(held.map(|held| format!("route `{}` is held: {}", held.route, held.reason)));
    let before = compiled(in_force, &before, &secret)?;
    let after = compiled(planned, &change.live, &secret)?;
    let (mut log, size) = open(&plan.replay)?;
    let mut tell = |n_bytes: u64, n_lines: u64| {
        let part = size.filter(|size| *size > 0);
        progress(part.map(|size| n_bytes as f64 / size as f64), n_lines);
    };
    let report = replay(&before, &after, &mut log, &mut tell);
    let mut report = report.map_err(|error| failed(&plan.replay, &error))?;
    report.notes = notes;
    Ok(report)
}

pub(super) fn structure(path: &Path) -> Result<Arc<Structure>, Unplanned> {
    let loaded = super::load(path).map_err(|invalid| Unplanned::Invalid(path.into(), invalid))?;
    Ok(Arc::new(loaded.structure))
}

/// The live state under the file in force, as a start would find it.
fn state(structure: &Structure, notes: &mut Vec<String>) -> Live {
    let routes = Routes::of_structure(structure);
    let folder = &structure.server.state_dir;
    match journal::read(folder) {
        Ok(chain) if !chain.entries.is_empty() => {
            let known = journal::replay_all(&chain.entries);
            let mut live = live::reload(&known, &routes).live;
            live.revision = known.revision;
            live
        }
        _ => {
            let folder = folder.display();
            notes.push(format!(
                "`{folder}` has no journal that can be read: compared with the weights of the file"
            ));
            live::fresh(&routes)
        }
    }
}

/// Only clients that an address places need the router's own: a bucket that the log tells is one under any.
pub(super) fn read_secret(structure: &Structure, notes: &mut Vec<String>) -> Secret {
    let server = &structure.server;
    let read = match &server.secret {
        Some(text) => secret::from_text(text).ok(),
        None if server.secret_file.exists() => secret::from_file(&server.secret_file).ok(),
        None => None,
    };
    let by_address = |route: &config::snapshot::Route| {
        let keys = &route.settings.sticky.keys;
        keys.iter().any(|key| key == "ip")
    };
    if read.is_none() && structure.routes.iter().any(by_address) {
        notes.push(
            "the secret cannot be read: clients known by their address are placed otherwise".into(),
        );
    }
    Secret::new(read.unwrap_or([0; 32]))
}

fn compiled(
    structure: Arc<Structure>,
    live: &Live,
    secret: &Secret,
) -> Result<Snapshot, Unplanned> {
    let snapshot = Snapshot::compile(structure, live, secret);
    snapshot.map_err(|fault| Unplanned::Failed(format!("{}: {}", fault.path, fault.message)))
}

/// The log and its size, where that is known.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Unplanned> {
    if path == Path::new("-") {
        return Ok((
            Box::new(BufReader::with_capacity(PIECE, std::io::stdin())),
            None,
        ));
    }
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let size = fs::metadata(path).map(|metadata| metadata.len()).ok();
    Ok((Box::new(BufReader::with_capacity(PIECE, file)), size))
}

pub(super) fn failed(path: &Path, error: &dyn std::error::Error) -> Unplanned {
    Unplanned::Failed(format!("{}: {error}", path.display()))
}
