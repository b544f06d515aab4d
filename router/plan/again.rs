//! One line of our log explained: the decision on its request once more, step by step, beside the one that was made.

use config::explain::{Explanation, explain};
use config::snapshot::Snapshot;
use serde::Serialize;

use super::ids::{self, Ids, Placed};
use super::line::Told;
use super::{NotALine, facts};

/// What a line says of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// When the first byte of the request was read.
    pub time: String,
    /// The live state that decided.
    pub revision: u64,
    /// The file that decided.
    pub config_digest: String,
    /// The route.
    pub route: Option<String>,
    /// The pool first chosen.
    pub pool: Option<String>,
    /// The pool that served, when it was another one.
    pub served_by: Option<String>,
    /// Why the pool that served did.
    pub reason: Option<String>,
    /// The client's place.
    pub bucket: Option<u16>,
}

/// A decision made once more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Again {
    /// What the line says.
    pub logged: Logged,
    /// Whether both are the same: route, pool first chosen, and place.
    pub agrees: bool,
    /// The way to the decision, and the decision.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// What else the operator should know.
    pub notes: Vec<String>,
}

/// What `line` says of its decision.
///
/// # Errors
/// When it is no line of ours.
pub fn logged(line: &str) -> Result<Logged, NotALine> {
    let told = Told::read(line)?;
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    if !told.is_ours {
        return Err(NotALine);
    }
    Ok(Logged {
        time: text(&told.time).unwrap_or_default(),
        revision: told.revision.unwrap_or_default(),
        config_digest: text(&told.digest).unwrap_or_default(),
        route: text(&told.route),
        pool: text(&told.pool),
        served_by: text(&told.served_by).filter(|_| told.served_by != told.pool),
        reason: text(&told.reason),
        bucket: told.bucket,
    })
}

/// The decision on the request of `line` by `snapshot`, which is to be the one that decided.
///
/// # Errors
/// When it is no line of ours, or of a request that could not be read.
pub fn again(snapshot: &Snapshot, line: &str) -> Result<Again, NotALine> {
    let logged = logged(line)?;
    let told = Told::read(line)?;
    let asked = told.asked.as_ref().ok_or(NotALine)?;
    let mut ids = Ids::default();
    let placed = Placed::new(&mut ids, told.bucket, ids::own(asked));
    let explanation = explain(snapshot, &facts(snapshot, &told, asked, &placed));
    let decision = &explanation.decision;
    let agrees = decision.route == logged.route
        && decision.pool == logged.pool
        && decision.bucket == logged.bucket;
    let mut notes = Vec::new();
    if !agrees {
        notes.push(why(&logged).to_owned());
    }
    Ok(Again {
        logged,
        agrees,
        explanation,
        notes,
    })
}

/// Why a line may not be had back.
fn why(logged: &Logged) -> &'static str {
    match logged.reason.as_deref() {
        Some("flag") => {
            "the client had a flag, which no log tells: without it the request goes as above"
        }
        Some("pin") => {
            "the client was pinned, which no log tells: without its pin the request goes as above"
        }
        _ => "the request went by a cookie or a field that no log tells, or by another file",
    }
}

#[cfg(test)]
mod tests;
