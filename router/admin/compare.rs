//! The pools of a route beside each other.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use config::live::{self, Weights};
use config::model::Role;
use config::snapshot::Route;
use config::units::Duration;
use jiff::Timestamp;

use super::changes::Name;
use super::guard::Caller;
use super::{Problem, Shared, tagged, views};
use crate::control::{Comparison, OLDEST, Question, Standing};
use crate::journal::Entry;

/// How far back one looks who does not say.
const USUAL: Duration = Duration::seconds(600);
const SHORTEST: Duration = Duration::seconds(60);
const LONGEST: Duration = Duration::seconds(3600);
/// Marks that are told of.
const MARKS: usize = 1000;

/// All pools of a route over the same time: rates, times, bytes, the paths that a canary harms, and what was changed.
#[utoipa::path(get, path = "/api/v1/routes/{name}/compare", tag = "look",
    params(("name" = String, Path, description = "The route"), ("window" = Option<String>, Query, description = "How far back, 1m to 1h; 10m when absent")),
    responses((status = 200, body = Comparison), (status = "4XX", body = Problem)))]
pub(super) async fn compare(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let window = window(&uri)?;
    let standing = admin.control.standing();
    let route = views::known(&standing, &name)?;
    if route.forward().is_none() {
        return Err(Problem::missing(format!(
            "route `{name}` answers by itself: it has no pools to compare"
        )));
    }
    // A journal that cannot be read hides the marks, not the figures.
    let history = admin.control.history(MARKS).await;
    let (history, unread) = match history {
        Ok(history) => (history, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let now = SystemTime::now();
    let mut marks = marks(history, &name, now - window.0 - OLDEST);
    let question = Question {
        route: &name,
        stable: route.settings.stable_pool(),
        pools: asked(&standing, route, &marks),
        window: window.0,
    };
    marks.retain(|entry| is_since(entry, now - window.0));
    let mut comparison = admin.control.house().compare(&question, now);
    let n_changes = marks
        .iter()
        .filter(|it| it.delta.routes.contains_key(&name));
    if n_changes.count() > 0 {
        let note = "the route was changed in this time: figures are of before and after";
        comparison.notes.push(note.into());
    }
    let unread =
        unread.map(|error| format!("marks are not known: the journal cannot be read: {error}"));
    comparison.notes.extend(unread);
    comparison.marks = marks;
    Ok(tagged(standing.revision(), Json(comparison)))
}

fn window(uri: &Uri) -> Result<Duration, Problem> {
    let Some(value) = views::only("window", uri)? else {
        return Ok(USUAL);
    };
    let wrong = match value.parse::<Duration>() {
        Ok(window) if (SHORTEST..=LONGEST).contains(&window) => return Ok(window),
        Ok(_) => format!("must be one time from {SHORTEST} to {LONGEST}, not `{value}`"),
        Err(error) => error.to_string(),
    };
    Err(Problem::invalid(vec![("window".into(), wrong)]))
}

/// What happened to `route`, or to all routes, since `since`.
fn marks(history: Vec<Entry>, route: &str, since: SystemTime) -> Vec<Entry> {
    let is_of = |entry: &Entry| {
        let delta = &entry.delta;
        let is_here = match &entry.annotation {
            Some(annotation) => annotation.route.as_ref().is_none_or(|of| of == route),
            // What touches another route alone is nothing to this one.
            None => delta.routes.contains_key(route) || delta.routes.is_empty(),
        };
        is_here && is_since(entry, since)
    };
    history.into_iter().filter(is_of).collect()
}

fn is_since(entry: &Entry, since: SystemTime) -> bool {
    let since = Timestamp::try_from(since).unwrap_or_default();
    entry
        .time
        .parse::<Timestamp>()
        .is_ok_and(|time| time >= since)
}

/// Pools in file order, and the largest part that each had of what it and stable had together, in what `marks` tell of or
/// now.
fn asked(standing: &Standing, route: &Route, marks: &[Entry]) -> Vec<(String, f64)> {
    let name = &route.settings.name;
    let now = standing.live.routes.get(name).map(|live| &live.weights);
    let edits = marks
        .iter()
        .filter_map(|entry| entry.delta.routes.get(name));
    let edits = edits.flat_map(|edit| [&edit.before, &edit.after]).flatten();
    let then: Vec<&Weights> = edits.map(|live| &live.weights).chain(now).collect();
    let stable = route.settings.stable_pool();
    let part = |weights: &Weights, pool: &str| {
        let [own, other] = [pool, stable].map(|pool| live::Share::of(weights, pool).ratio());
        if own > 0.0 { own / (own + other) } else { 0.0 }
    };
    let most = |pool: &str| {
        let parts = then.iter().map(|weights| part(weights, pool));
        (pool.to_owned(), parts.fold(0.0, f64::max))
    };
    match &route.settings.weights {
        weights if weights.is_empty() => vec![most(stable)],
        weights => weights.iter().map(|(pool, _)| most(pool)).collect(),
    }
}
