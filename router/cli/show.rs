//! How answers read: what is live, what changed, what to type next. Pure: an answer in, a text out.

mod change;
mod compare;
mod cookies;
mod drift;
mod explanation;
mod forecast;
mod history;
pub(super) mod ramp;
mod report;
pub(super) mod shadow;
mod status;
mod targets;

use serde::Deserialize;
use serde_json::Value;

use super::answers::Changed;
use super::ask::Show;
use super::execute::Surroundings;
use super::words::{clean, duration};
use crate::client::Failure;

pub(super) use cookies::conflict;
pub(super) use explanation::explanation;

/// An answer of a router about a route or a pool, or about neither.
pub(super) fn answer(
    show: Show,
    answer: &Value,
    about: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    match show {
        Show::Cookies => cookies::cookies(answer, surroundings),
        Show::Annotated => change::annotated(answer, surroundings),
        Show::Comparison => compare::compare(answer, surroundings),
        Show::Deregistered => targets::deregistered(answer, about, surroundings),
        Show::Registered => targets::registered(answer, about, surroundings),
        Show::Targets => targets::list(answer, about, surroundings),
        Show::Explanation => explanation(answer, surroundings),
        Show::History => history::history(answer, surroundings),
        Show::Metrics => answer.as_str().unwrap_or_default().to_owned(),
        Show::Route => status::route(answer, surroundings),
        Show::Shadows => shadow::shadows(answer, surroundings),
        Show::Status => status::status(answer, surroundings),
        Show::Reloaded => change::reloaded(answer, surroundings),
        Show::Reshuffled => change::reshuffled(answer, about, surroundings),
        Show::Restored => change::restored(answer, surroundings),
        Show::Ramp => ramp::status(answer, about, surroundings),
        Show::RampForecast => forecast::forecast(answer, about, surroundings),
        Show::RampPlan => ramp::plan(answer, about, surroundings),
        Show::RampTurned => ramp::turned(answer, about, surroundings),
        Show::Report => report::report(answer),
        Show::Minted => minted(answer, surroundings),
        Show::Resumed => change::resumed(answer, about, surroundings),
        Show::Rollback => change::rolled_back(answer, about, surroundings),
        Show::Weights => change::weights(answer, about, surroundings),
    }
}

/// `kanaria flag mint`: the value alone on its line, and how to use it.
fn minted(answer: &Value, surroundings: &Surroundings) -> String {
    let text = |key: &str| answer[key].as_str().map(clean);
    let value = text("value").unwrap_or_default();
    let carrier = match (text("cookie"), text("header")) {
        (Some(name), _) => format!("cookie {name}={value}"),
        (None, name) => format!("header {}: {value}", name.unwrap_or_default()),
    };
    let left = answer["expires"].as_i64().unwrap_or_default() - surroundings.now.as_second();
    format!(
        "{value}\n  send it as {carrier}\n  it leads to pool {} for {}\n",
        text("pool").unwrap_or_default(),
        duration(left)
    )
}

/// Whose answer follows, when several routers were asked.
pub(super) fn heading(router: &str, surroundings: &Surroundings) -> String {
    format!("{}\n", paint(&format!("== {router}"), BOLD, surroundings))
}

/// Whether a reload left something of the file undone.
pub(super) fn holds(answer: &Value) -> bool {
    Changed::deserialize(answer).is_ok_and(|changed| !changed.held.is_empty())
}

/// Why there is no answer, every error of it, and what to type next.
pub(super) fn failure(failure: &Failure, changing: bool) -> String {
    let told = failure.to_string();
    let mut lines: Vec<String> = told.lines().map(clean).collect();
    if let Failure::Refused(problem) = failure {
        let untold = problem.errors().into_iter();
        let untold = untold.filter(|error| !told.contains(&error.message));
        lines.extend(untold.map(|error| format!("  {}", clean(&error.to_string()))));
    }
    lines.extend(hint(failure, changing).map(|hint| format!("  {hint}")));
    lines.join("\n") + "\n"
}

fn hint(failure: &Failure, changing: bool) -> Option<&'static str> {
    let problem = match failure {
        Failure::Unreachable { .. } => {
            return Some("is it running? another address: --admin URL, or KANARIA_ADMIN=URL");
        }
        Failure::NoAnswer { .. } if changing => {
            return Some("it may have been carried out all the same; look: kanaria status");
        }
        Failure::NoAnswer { .. } => return None,
        Failure::Refused(problem) => problem,
    };
    match problem.status.as_u16() {
        401 => Some("give a token: --token-file FILE, or KANARIA_TOKEN=TOKEN"),
        403 => Some("the token's role does not allow it"),
        412 => Some("somebody changed something in between; look: kanaria status"),
        _ => None,
    }
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "1;31";
const YELLOW: &str = "33";

fn paint(text: &str, color: &str, surroundings: &Surroundings) -> String {
    if surroundings.color {
        format!("\u{1b}[{color}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
