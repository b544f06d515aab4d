//! `kanaria guard replay`: makes evidence again from what was written down, and says how far apart the two are.

use std::io;
use std::path::Path;

use canary::guard::{Evidence, Metric, Taken};

use super::ledger::{self, Line};

/// What came of making the evidence of a route again.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Replayed {
    /// The route.
    pub route: String,
    /// Files read.
    pub files: usize,
    /// Windows made again.
    pub windows: u64,
    /// Evidence made again, of all metrics.
    pub verdicts: u64,
    /// The largest difference to what was written.
    pub largest_difference: f64,
    /// Why the canary was to be taken back, each time.
    pub trips: Vec<String>,
}

/// Differences up to this come from writing numbers down.
pub const ALLOWED: f64 = 1e-9;

impl Replayed {
    /// Whether what was written follows from what was counted.
    pub fn holds(&self) -> bool {
        self.largest_difference <= ALLOWED
    }
}

/// Makes the evidence of every route in the state folder again, or of `route` alone.
///
/// # Errors
/// When there is no evidence, or it cannot be read.
pub fn replay(state_dir: &Path, route: Option<&str>) -> io::Result<Vec<Replayed>> {
    let folder = state_dir.join(super::FOLDER);
    let routes = match route {
        Some(route) => vec![route.to_owned()],
        None => routes(&folder)?,
    };
    let replayed = routes.into_iter().map(|route| one(&folder, route));
    replayed.collect()
}

fn routes(folder: &Path) -> io::Result<Vec<String>> {
    let mut routes = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        routes.extend(name.to_str().and_then(ledger::route).map(str::to_owned));
    }
    routes.sort();
    Ok(routes)
}

fn one(folder: &Path, route: String) -> io::Result<Replayed> {
    let paths = ledger::paths(folder, &route);
    if paths.is_empty() {
        let message = format!(
            "there is no evidence of route `{route}` in `{}`",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let mut replayed = Replayed {
        route,
        files: paths.len(),
        ..Replayed::default()
    };
    let mut evidence = None;
    for path in paths {
        for line in ledger::lines(&path)? {
            replayed.take(&mut evidence, line);
        }
    }
    Ok(replayed)
}

impl Replayed {
    fn take(&mut self, evidence: &mut Option<Box<Evidence>>, line: Line) {
        match line {
            Line::State {
                evidence: written, ..
            } => *evidence = Some(written),
            Line::Trip { why, .. } => self.trips.push(why),
            Line::Window { taken, .. } => {
                let Some(evidence) = evidence else { return };
                self.windows += 1;
                for (metric, taken) in taken {
                    self.compare(evidence, metric, &taken);
                }
            }
        }
    }

    fn compare(&mut self, evidence: &mut Evidence, metric: Metric, written: &Taken) {
        let made = evidence.take(metric, written.window);
        let gates = made.gate.zip(written.gate);
        let gate = gates.map_or(0.0, |(made, written)| (made - written).abs());
        let difference = (made.log_e - written.log_e).abs().max(gate);
        self.verdicts += 1;
        self.largest_difference = self.largest_difference.max(difference);
    }
}
