//! `kanaria simulate`: a file and a scenario brought together. Nothing of the router's own is written.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use config::id;
use config::ids::RouteId;
use config::load::Text;
use config::scenario::{self, SHIPPED, Shipped, Written};
use config::snapshot::Structure;
use config::units::Duration;
use jiff::Timestamp;
use router::cli::{Invalid, Simulate, Unplanned};
use router::simulate::{Report, Seen, Setup, simulate as run};
use serde_json::json;

use super::foretell::{failed, read_secret, structure};

/// Carries it out; `progress` is told the part that is over.
pub(super) fn simulate(
    simulate: &Simulate,
    progress: &mut dyn FnMut(f64),
) -> Result<Report, Unplanned> {
    let structure = structure(&simulate.file)?;
    let (path, mut written) = scenario(&simulate.scenario)?;
    if let Some(days) = simulate.days {
        written.scenario.length = Duration::seconds(u64::from(days) * 86_400);
    }
    let route = route(&structure, simulate.route.as_deref())?;
    let secret = read_secret(&structure, &mut Vec::new());
    let setup = Setup {
        structure,
        secret,
        route,
        scenario: &written.scenario,
        seed: simulate.seed,
    };
    let report = match &simulate.requests {
        None => run(&setup, progress, &mut |_| ()),
        Some(file) => {
            let mut lines = Lines::create(file)?;
            let report = run(&setup, progress, &mut |seen| lines.write(seen));
            lines.finish()?;
            report
        }
    };
    report.map_err(|fault| Unplanned::Invalid(path, Invalid::of(&[written.place(&fault)])))
}

/// The scenario of this name, else in this file.
fn scenario(name: &str) -> Result<(PathBuf, Written), Unplanned> {
    let path = PathBuf::from(name);
    let text = match Shipped::named(name) {
        Some(shipped) => shipped.text(),
        None => Text {
            text: fs::read_to_string(&path).map_err(|error| unknown(name, &path, &error))?,
            name: name.to_owned(),
        },
    };
    match scenario::read(text) {
        Ok(written) => Ok((path, written)),
        Err(problems) => Err(Unplanned::Invalid(path, Invalid::of(&problems))),
    }
}

fn unknown(name: &str, path: &Path, error: &std::io::Error) -> Unplanned {
    if path.extension().is_some() || name.contains('/') {
        return failed(path, error);
    }
    let known: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    let known = known.join(", ");
    Unplanned::Failed(format!(
        "no scenario is called `{name}`; there are {known}; any other one is a file"
    ))
}

/// The route called `name`; without a name the first one with a ramp, else with a guard, else with more than one pool.
fn route(structure: &Structure, name: Option<&str>) -> Result<RouteId, Unplanned> {
    let routes = || structure.routes.iter();
    let found = match name {
        Some(name) => routes().find(|route| &*route.name == name),
        None => routes()
            .find(|route| route.settings.ramp.is_some())
            .or_else(|| routes().find(|route| route.settings.guard.is_some()))
            .or_else(|| routes().find(|route| route.settings.weights.iter().count() > 1)),
    };
    if let Some(route) = found {
        return Ok(route.id);
    }
    let known: Vec<&str> = routes().map(|route| &*route.name).collect();
    let known = known.join(", ");
    Err(Unplanned::Failed(match name {
        Some(name) => format!("route `{name}` does not exist; routes are {known}"),
        None => "no route has more than one pool".into(),
    }))
}

/// Every request, one JSON object a line.
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, Unplanned> {
        let file = File::create(path).map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            failed: None,
        })
    }

    fn write(&mut self, seen: &Seen<'_>) {
        if self.failed.is_some() {
            return;
        }
        let id = seen.id.map(|id| {
            let text = id::encode(&id).map(char::from);
            text.iter().collect::<String>()
        });
        let time = Timestamp::from_second(seen.time as i64).unwrap_or_default();
        let line = json!({
            "time": time.to_string(),
            // Clients that keep no cookie have no number.
            "client": (seen.client != u64::MAX).then_some(seen.client),
            "id": id,
            "revision": seen.revision,
            "pool": seen.pool,
            "reason": seen.reason,
            "bucket": seen.bucket,
            "status": seen.status,
        });
        self.failed = writeln!(self.file, "{line}").err();
    }

    fn finish(mut self) -> Result<(), Unplanned> {
        let error = self.failed.take().or_else(|| self.file.flush().err());
        error.map_or(Ok(()), |error| Err(failed(&self.path, &error)))
    }
}
