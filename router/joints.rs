//! Where the command line meets the rest of the program.

mod foretell;
mod look_up;
mod rerun;
mod simulate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::bucket::Secret;
use config::live::{Live, Routes, fresh};
use config::model::Flag;
use config::problem::Problem;
use config::snapshot::Snapshot;
use router::cli::{Code, Invalid, Program, Replayed, Summary, Verified};
use router::control::RampView;
use router::run::{Loaded, StartError};
use router::tls::Terminators;
use router::{admin, guard, journal, run};
use serde_json::Value;

/// What the command line starts.
pub(crate) const PROGRAM: Program = Program {
    run: start,
    upgrade,
    check,
    schema: config::schema::schema,
    explain,
    state_dir,
    plan: foretell::plan,
    simulate: simulate::simulate,
    look_up: look_up::look_up,
    rerun: rerun::rerun,
    verify,
    replay,
    ramp,
    flags,
};

fn start(path: &Path) -> Code {
    ended(path, run::run(path))
}

fn upgrade(path: &Path) -> Code {
    ended(path, run::upgrade(path))
}

fn ended(path: &Path, outcome: Result<(), StartError>) -> Code {
    match outcome {
        Ok(()) => Code::Done,
        Err(StartError::Refused(problems)) => {
            complain(&told(&problems).complaint(path));
            Code::Invalid
        }
        Err(StartError::Failed(why)) => {
            complain(&format!("kanaria: {why}\n"));
            Code::Failed
        }
    }
}

/// The log may be filtered away; why there is no router must not be.
#[expect(clippy::print_stderr, reason = "the one sentence before the exit code")]
fn complain(text: &str) {
    eprint!("{text}");
}

fn check(path: &Path) -> Result<Summary, Invalid> {
    let loaded = run::load_with(path, &Terminators::default());
    let structure = loaded.map_err(|problems| told(&problems))?.structure;
    let names = |names: Vec<&Arc<str>>| names.into_iter().map(ToString::to_string).collect();
    Ok(Summary {
        digest: structure.digest.to_string(),
        listeners: names(
            structure
                .listeners
                .iter()
                .map(|listener| &listener.name)
                .collect(),
        ),
        pools: names(structure.pools.iter().map(|pool| &pool.name).collect()),
        routes: names(structure.routes.iter().map(|route| &route.name).collect()),
    })
}

/// Explains by the weights of the file, and a secret of zeros: offline there is no other.
fn explain(path: &Path, question: &Value) -> Result<Value, Invalid> {
    let structure = Arc::new(load(path)?.structure);
    let live: Live = fresh(&Routes::of_structure(&structure));
    let snapshot = Snapshot::compile(structure, &live, &Secret::new([0; 32]));
    let snapshot = snapshot.map_err(|fault| Invalid {
        text: format!("{}: {}\n", fault.path, fault.message),
        problems: Value::Null,
    })?;
    admin::answer(&snapshot, question).map_err(|problem| Invalid {
        text: format!("{problem}\n"),
        problems: Value::Null,
    })
}

fn state_dir(path: &Path) -> Result<PathBuf, Invalid> {
    run::state_dir(path).map_err(|problems| told(&problems))
}

fn verify(path: &Path) -> Result<Verified, Vec<String>> {
    match journal::verify(path) {
        Ok(summary) => Ok(Verified {
            entries: summary.entries,
            first_revision: summary.first_revision,
            last_revision: summary.last_revision,
            last_time: summary.last_time,
        }),
        Err(broken) => Err(broken.iter().map(ToString::to_string).collect()),
    }
}

fn replay(path: &Path, route: Option<&str>) -> Result<Vec<Replayed>, String> {
    let replayed = guard::replay::replay(path, route).map_err(|error| error.to_string())?;
    let told = replayed.into_iter().map(|route| Replayed {
        ok: route.holds(),
        route: route.route,
        windows: route.windows,
        verdicts: route.verdicts,
        largest_difference: route.largest_difference,
        trips: route.trips,
    });
    Ok(told.collect())
}

fn ramp(path: &Path, route: &str) -> Result<Option<Value>, Invalid> {
    let structure = load(path)?.structure;
    let route = structure.route_named(route);
    let view = route.and_then(|route| RampView::of(&route.settings, None, None));
    Ok(view.and_then(|view| serde_json::to_value(view).ok()))
}

fn flags(path: &Path, route: &str) -> Result<Option<Vec<Flag>>, Invalid> {
    let structure = load(path)?.structure;
    let route = structure.route_named(route);
    Ok(route.map(|route| route.settings.flags.clone()))
}

fn load(path: &Path) -> Result<Loaded, Invalid> {
    run::load(path).map_err(|problems| told(&problems))
}

fn told(problems: &[Problem]) -> Invalid {
    Invalid::of(problems)
}
