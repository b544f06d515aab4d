//! One line of our log explained: the decision on its request once more, step by step, beside the one that was made.

use std::borrow::Cow;

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
    /// Whether both are the same: route, pool first chosen, and place, where the route needs one.
    pub agrees: bool,
    /// The way to the decision, and the decision.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// What else the operator should know.
    pub notes: Vec<String>,
}

/// A line of our log.
pub struct Request<'a>(Told<'a>);

impl<'a> Request<'a> {
    /// Reads `line`.
    ///
    /// # Errors
    /// When it is no line of ours.
    pub fn read(line: &'a str) -> Result<Self, NotALine> {
        let told = Told::read(line)?;
        if told.is_ours {
            Ok(Self(told))
        } else {
            Err(NotALine)
        }
    }

    /// What the line says of the decision.
    pub fn logged(&self) -> Logged {
        let told = &self.0;
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(str::to_owned);
        Logged {
            time: text(&told.time).unwrap_or_default(),
            revision: told.revision.unwrap_or_default(),
            config_digest: text(&told.digest).unwrap_or_default(),
            route: text(&told.route),
            pool: text(&told.pool),
            served_by: text(&told.served_by).filter(|_| told.served_by != told.pool),
            reason: text(&told.reason),
            bucket: told.bucket,
        }
    }

    /// The decision on it once more by `snapshot`, which is to be the one that decided; `None` when the request could not
    /// be read, so that there was none.
    pub fn again(&self, snapshot: &Snapshot) -> Option<Again> {
        let told = &self.0;
        let logged = self.logged();
        let asked = told.asked.as_ref()?;
        let mut ids = Ids::default();
        let placed = Placed::new(&mut ids, told.bucket, ids::own(asked));
        let explanation = explain(snapshot, &facts(snapshot, told, asked, &placed));
        let decision = &explanation.decision;
        // A route with one pool places nobody: the place in the line is what the client's cookie of other routes says.
        let is_placed = decision.bucket.is_some();
        let agrees = decision.route == logged.route
            && decision.pool == logged.pool
            && (decision.bucket == logged.bucket || !is_placed);
        let is_same_file = *logged.config_digest == *snapshot.structure.digest;
        let notes = (!agrees).then(|| why(&logged, decision.route.as_deref(), is_same_file));
        Some(Again {
            logged,
            agrees,
            explanation,
            notes: notes.map(str::to_owned).into_iter().collect(),
        })
    }
}

/// Why a line may not be had back. A reason speaks for itself only where the route is the logged one.
fn why(logged: &Logged, route: Option<&str>, is_same_file: bool) -> &'static str {
    if !is_same_file {
        return "another file decided, so its decision may differ from this one";
    }
    if route != logged.route.as_deref() {
        return "the route went by a cookie or a field that no log tells";
    }
    match logged.reason.as_deref() {
        Some("flag") => {
            "the client had a flag, which no log tells: without it the request goes as above"
        }
        Some("pin") => {
            "the client was pinned, which no log tells: without its pin the request goes as above"
        }
        // A pin or a flag brought it to the pool that then could not serve.
        Some("cap" | "failover" | "fallback") if logged.served_by.is_some() => {
            "the pool first chosen had a flag or a pin for its reason, which no log tells"
        }
        _ => "the client was placed by what no log tells",
    }
}

#[cfg(test)]
mod tests;
