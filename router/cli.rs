//! The `kanaria` command: what was typed, carried out, and told.
//!
//! Verbs that ask a router answer quickly and once; nothing here knows how a router works.
//! What is printed is made as text first, so that a closed pipe or a slow terminal cannot stop a change halfway.

mod again;
mod answers;
mod arguments;
mod ask;
mod execute;
mod meter;
mod metrics;
mod offline;
mod plan;
mod rerun;
mod session;
mod show;
mod simulate;
mod table;
mod watch;
mod words;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use config::model::Flag;
use serde::Serialize;
use serde_json::Value;

use crate::plan::{Again, Report};
use crate::rerun::Summary as RerunSummary;
use crate::simulate::Report as Simulated;

pub use again::Lookup;
pub use arguments::{
    Annotate, Arguments, AuditVerb, Change, Cookies, Deregister, Drain, Explain, FailOn, Field,
    FlagVerb, GuardVerb, HistoryVerb, NotAnArgument, Plan, PoolWeight, Ramp, RampVerb, Register,
    Remote, Rerun, Reshuffle, Restore, Session, Shadow, ShadowVerb, Simulate, TargetsVerb,
    Unwanted, Verb, Weights,
};
pub use execute::{Surroundings, execute};
pub use metrics::Form;
pub use plan::Unplanned;
pub use rerun::NotRerun;

/// How a command ended, as the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// There are differences, and they were asked for.
    Different = 2,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// No router answers (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// Not every router did it (`EX_TEMPFAIL`).
    Partial = 75,
    /// Not authorized (`EX_NOPERM`).
    Denied = 77,
    /// The configuration is invalid (`EX_CONFIG`).
    Invalid = 78,
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// What a command tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub code: Code,
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
}

impl Outcome {
    /// Done, with `out` to tell.
    pub fn done(out: String) -> Self {
        Self {
            code: Code::Done,
            out,
            err: String::new(),
        }
    }

    /// Not done: `complaint` is the line after `kanaria: `.
    pub fn failed(code: Code, complaint: &str) -> Self {
        Self {
            code,
            out: String::new(),
            err: format!("kanaria: {complaint}\n"),
        }
    }
}

/// The rest of the program, as far as a command line starts it.
#[derive(Clone, Copy)]
pub struct Program {
    /// Runs the router of a file in the foreground, until a signal ends it.
    pub run: fn(&Path) -> Code,
    /// As `run`, taking over from the router that runs.
    pub upgrade: fn(&Path) -> Code,
    /// Reads and compiles a file.
    pub check: fn(&Path) -> Result<Summary, Invalid>,
    /// The JSON Schema of a file.
    pub schema: fn() -> Value,
    /// Explains a request by a file's initial weights: question and answer as the admin API's.
    pub explain: fn(&Path, &Value) -> Result<Value, Invalid>,
    /// The `state_dir` of a file.
    pub state_dir: fn(&Path) -> Result<PathBuf, Invalid>,
    /// Decides the requests of a log by the file in force and by a new one; is told how far it is: part, when that is known, and lines.
    pub plan: Foretell,
    /// Runs a scenario against a file; is told the part that is over.
    pub simulate: Imagine,
    /// Finds a line of a log by its request id, and decides on its request once more.
    pub look_up: fn(&Lookup<'_>) -> Result<Again, Unplanned>,
    /// Sends recorded requests to a pool.
    pub rerun: fn(&Rerun) -> Result<RerunSummary, NotRerun>,
    /// Checks the chain of a journal, which is a file or in a folder.
    pub verify: fn(&Path) -> Result<Verified, Vec<String>>,
    /// The ramp of a route of a file, as the admin API tells it; `None` when there is none.
    pub ramp: fn(&Path, &str) -> Result<Option<Value>, Invalid>,
    /// The flags of a route of a file; `None` when it has no such route.
    pub flags: Flags,
    /// Makes the guard's evidence in a `state_dir` again, of all routes or of one.
    pub replay: fn(&Path, Option<&str>) -> Result<Vec<Replayed>, String>,
}

/// How `Program::flags` is called.
pub type Flags = fn(&Path, &str) -> Result<Option<Vec<Flag>>, Invalid>;

/// How `Program::plan` is called.
pub type Foretell = fn(&Plan, &mut dyn FnMut(Option<f64>, u64)) -> Result<Report, Unplanned>;

/// How `Program::simulate` is called.
pub type Imagine = fn(&Simulate, &mut dyn FnMut(f64)) -> Result<Simulated, Unplanned>;

/// What a valid file describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// First 12 hex digits of SHA-256 of its meaning.
    pub digest: String,
    /// Names of the listeners.
    pub listeners: Vec<String>,
    /// Names of the pools.
    pub pools: Vec<String>,
    /// Names of the routes.
    pub routes: Vec<String>,
}

/// All that is wrong with a file, or with what was asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// For people: every problem with its place.
    pub text: String,
    /// For programs: a list of problems.
    pub problems: Value,
}

impl Invalid {
    /// Everything that is wrong, in order.
    pub fn of<P: Display + Serialize>(problems: &[P]) -> Self {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self {
            text: texts.join("\n\n"),
            problems: serde_json::json!(problems),
        }
    }

    /// What is told of `file`: every problem, and how many there are.
    pub fn complaint(&self, file: &Path) -> String {
        let n = self.problems.as_array().map_or(1, Vec::len);
        format!(
            "{}\n\nkanaria: {} is not valid: {}\n",
            self.text.trim_end(),
            file.display(),
            words::count(n, "problem"),
        )
    }
}

/// What came of making the guard's evidence of a route again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The route.
    pub route: String,
    /// Whether what was written follows from what was counted.
    pub ok: bool,
    /// Windows made again.
    pub windows: u64,
    /// Evidence made again, of all metrics.
    pub verdicts: u64,
    /// The largest difference to what was written.
    pub largest_difference: f64,
    /// Why a canary was to be taken back, each time.
    pub trips: Vec<String>,
}

/// What an intact journal holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Changes written down.
    pub entries: usize,
    /// Revision after the first one.
    pub first_revision: u64,
    /// Revision after the last one.
    pub last_revision: u64,
    /// When the last one was asked for, RFC 3339.
    pub last_time: String,
}
