//! The ramp of a route: where it is, and what is asked of it.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use config::live::{Phase, RampOrder, Refusal};
use config::model::{self, Role};
use serde::Serialize;

use super::changes::{Changed, Name, asked, bounds};
use super::guard::Caller;
use super::openapi::{IfMatch, RampBody};
use super::{Admin, Problem, Shared, tagged, views};
use crate::control::{self, Action, ForecastView, Order, RampView, Rejection, Standing, forecast};

/// A change of a ramp, and the ramp after it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RampChanged {
    #[serde(flatten)]
    changed: Changed,
    /// The ramp as it is now.
    ramp: Option<RampView>,
}

/// What can be asked, and its word.
const ACTIONS: [(&str, Option<RampOrder>); 6] = [
    ("start", Some(RampOrder::Start)),
    ("pause", Some(RampOrder::Pause)),
    ("resume", Some(RampOrder::Resume)),
    ("advance", Some(RampOrder::Advance)),
    // A rollback, which overtakes everything.
    ("abort", None),
    ("finalize", Some(RampOrder::Finalize)),
];

pub(super) fn view(admin: &Admin, standing: &Standing, route: &model::Route) -> Option<RampView> {
    let live = standing.live.routes.get(&route.name);
    let live = live.and_then(|live| live.ramp.as_ref());
    RampView::of(route, live, admin.control.house().pace(&route.name))
}

/// The ramp of a route.
#[utoipa::path(get, path = "/api/v1/routes/{name}/ramp", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = RampView), (status = "4XX", body = Problem)))]
pub(super) async fn look(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    views::of_route(&admin, &caller, &name, |standing, route| {
        view(&admin, standing, &route.settings).ok_or_else(|| none(&name))
    })
}

/// What harm the guard would see in each step, and how soon.
#[utoipa::path(get, path = "/api/v1/routes/{name}/forecast", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = ForecastView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn foretell(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    views::of_route(&admin, &caller, &name, |_, route| {
        if route.settings.ramp.is_none() {
            return Err(none(&name));
        }
        let guard = admin.control.house().guard(&name);
        let forecast = guard.and_then(|guard| forecast(&route.settings, &guard));
        forecast.ok_or_else(|| {
            Problem::unavailable(format!(
                "nothing is known of the traffic of `{name}` yet: stable must be seen for a minute"
            ))
        })
    })
}

fn none(route: &str) -> Problem {
    let route = route.to_owned();
    Rejection::from(Refusal::NoRamp { route }).into()
}

/// Starts, pauses, resumes, advances, aborts or finalizes the ramp of a route.
#[utoipa::path(post, path = "/api/v1/routes/{name}/ramp", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = RampBody,
    responses((status = 200, body = RampChanged), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn change(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((asked, bounds, cold), terms) = asked(request, |fields| {
        let action = fields.text("action", 20);
        let action = fields.needed("action", action);
        let known = action
            .as_ref()
            .map(|word| ACTIONS.iter().find(|(known, _)| known == word));
        if known == Some(None) {
            let words: Vec<_> = ACTIONS.iter().map(|(word, _)| *word).collect();
            fields.wrong("action", format!("must be one of {}", words.join(", ")));
        }
        (known.flatten(), bounds(fields), fields.flag("cold"))
    })
    .await?;
    let (_, order) = asked.ok_or_else(|| Problem::malformed("action is missing"))?;
    let standing = admin.control.standing();
    let action = match order {
        Some(order) => Action::Ramp {
            route: name.clone(),
            order: *order,
            bounds,
            cold,
        },
        None => aborted(&standing, &name)?,
    };
    let answer = order
        .as_ref()
        .and_then(|order| control::probed(&admin.control, &name, *order, bounds));
    let order = Order {
        action,
        actor: caller.actor,
        reason: match (terms.reason, cold) {
            (Some(reason), true) => Some(format!("{reason} (cold start)")),
            (None, true) => Some("cold start".into()),
            (reason, false) => reason,
        },
        if_revision: terms.if_revision,
        dry_run: terms.dry_run,
    };
    if let Some(answer) = answer {
        probed(&admin, &order, answer).await?;
    }
    let done = admin.control.order(order).await?;
    let standing = admin.control.standing();
    let route = views::known(&standing, &name)?;
    let answer = RampChanged {
        changed: Changed::new(done),
        ramp: view(&admin, &standing, &route.settings),
    };
    Ok(tagged(standing.revision(), Json(answer)))
}

/// Asks what only targets can answer, once nothing else forbids `order`.
async fn probed(
    admin: &Admin,
    order: &Order,
    answer: impl Future<Output = Result<(), Refusal>>,
) -> Result<(), Problem> {
    let trial = Order {
        dry_run: true,
        ..order.clone()
    };
    admin.control.order(trial).await?;
    Ok(answer.await.map_err(Rejection::from)?)
}

/// The rollback that ends a ramp which is under way.
fn aborted(standing: &Standing, name: &str) -> Result<Action, Problem> {
    views::known(standing, name)?;
    let live = standing.live.routes.get(name);
    let phase = live
        .and_then(|live| live.ramp.as_ref())
        .map(|ramp| ramp.phase);
    match phase {
        Some(Phase::Running | Phase::Paused | Phase::Complete) => Ok(Action::Rollback {
            route: Some(name.to_owned()),
        }),
        phase => Err(Rejection::from(Refusal::RampIsOff {
            route: name.to_owned(),
            phase,
        })
        .into()),
    }
}
