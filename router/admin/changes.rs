//! Calls that change something: each an order for control.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use config::live::{Bounds, Held, TargetShift};
use config::model::Role;
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{self, Fields, SMALL, Terms};
use super::guard::Caller;
use super::openapi::{
    AnnotationBody, DrainBody, ForceBody, IfMatch, ReasonBody, RestoreBody, WeightsBody,
};
use super::{Admin, Problem, Shared, tagged};
use crate::control::{Action, Done, Order, Shift};

/// Bytes of an annotation.
const LONGEST_NOTE: usize = 1000;

/// A change carried out, or what it would have been.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Changed {
    /// The revision after it.
    revision: u64,
    /// Digest of the file it was carried out on.
    config_digest: String,
    /// Weights before: of the route asked for, else of each route by name; of targets by address, `null` for none.
    #[schema(value_type = Object)]
    before: Value,
    /// Weights after, in the same form.
    #[schema(value_type = Object)]
    after: Value,
    /// From being asked for to the last request decided by an older revision; `null` for a dry run.
    in_force_ms: Option<f64>,
    /// Whether it survives a restart; `null` for a dry run.
    durable: Option<bool>,
    /// Nothing was changed: this is what would have been.
    dry_run: bool,
    /// Mark of the route asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Owner of the weights of the route asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'static str>,
    /// The pool whose targets were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// Routes whose changed block in the file was not applied.
    held: Vec<HeldRoute>,
    /// What to worry about.
    warnings: Vec<String>,
    /// What else to know.
    note: Option<String>,
}

/// A route whose changed block in the file was not applied.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HeldRoute {
    /// The route.
    route: String,
    /// Why, and what to do.
    reason: String,
}

impl Changed {
    pub(super) fn new(done: Done) -> Self {
        let single = done.route.is_some();
        let shift = done.shifts.first().filter(|_| single);
        let (before, after) = match &done.pool {
            Some(_) => (
                by_address(&done.targets, |shift| shift.before),
                by_address(&done.targets, |shift| shift.after),
            ),
            None => (
                by_route(&done.shifts, single, |shift| &shift.before),
                by_route(&done.shifts, single, |shift| &shift.after),
            ),
        };
        Self {
            revision: done.revision,
            config_digest: done.config_digest,
            before,
            after,
            in_force_ms: done
                .in_force
                .map(|time| (time.as_secs_f64() * 1e6).round() / 1e3),
            durable: done.durable,
            dry_run: done.in_force.is_none(),
            state: shift.map(|shift| shift.state.as_str()),
            owner: shift.map(|shift| shift.owner.as_str()),
            pool: done.pool,
            held: done.held.into_iter().map(HeldRoute::new).collect(),
            warnings: done.warnings,
            note: (!done.notes.is_empty()).then(|| done.notes.join("; ")),
        }
    }
}

impl HeldRoute {
    fn new(held: Held) -> Self {
        Self {
            route: held.route,
            reason: held.reason,
        }
    }
}

fn by_route(shifts: &[Shift], single: bool, pick: fn(&Shift) -> &Vec<(String, u32)>) -> Value {
    let one = |shift: &Shift| -> Value {
        pick(shift)
            .iter()
            .map(|(pool, weight)| (pool.clone(), Value::from(*weight)))
            .collect::<Map<_, _>>()
            .into()
    };
    if single {
        return shifts
            .first()
            .map_or_else(|| Value::Object(Map::new()), one);
    }
    let routes: Map<_, _> = shifts
        .iter()
        .map(|shift| (shift.route.clone(), one(shift)))
        .collect();
    routes.into()
}

fn by_address(shifts: &[TargetShift], pick: fn(&TargetShift) -> Option<u32>) -> Value {
    let targets = shifts.iter();
    let targets = targets.map(|shift| (shift.address.to_string(), Value::from(pick(shift))));
    targets.collect::<Map<_, _>>().into()
}

/// A name in the path.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Problem::malformed(format!(
                "the name in `{}` is not UTF-8",
                parts.uri.path()
            ))),
        }
    }
}

/// Sets the weights of a route.
#[utoipa::path(put, path = "/api/v1/routes/{name}/weights", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = WeightsBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn weights(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((weights, bounds), terms) = asked(request, |fields| {
        (fields.weights("weights"), bounds(fields))
    })
    .await?;
    let action = Action::Weights {
        route,
        weights,
        bounds,
    };
    carry_out(&admin, caller, terms, action).await
}

/// Takes every route back to its stable pool, now.
#[utoipa::path(post, path = "/api/v1/rollback", tag = "changes", params(IfMatch), request_body = Option<ReasonBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem)))]
pub(super) async fn rollback_all(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    rollback(&admin, caller, None, request).await
}

/// Takes a route back to its stable pool, now.
#[utoipa::path(post, path = "/api/v1/routes/{name}/rollback", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = Option<ReasonBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem)))]
pub(super) async fn rollback_one(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    rollback(&admin, caller, Some(route), request).await
}

async fn rollback(
    admin: &Admin,
    caller: Caller,
    route: Option<String>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((), terms) = asked(request, |_| ()).await?;
    carry_out(admin, caller, terms, Action::Rollback { route }).await
}

/// Lifts the mark of a route that was rolled back or frozen; moves no traffic.
#[utoipa::path(post, path = "/api/v1/routes/{name}/resume", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = Option<ReasonBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn resume(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((), terms) = asked(request, |_| ()).await?;
    carry_out(&admin, caller, terms, Action::Resume { route }).await
}

/// Notes something, as a deploy, beside the figures of that time; no weight changes.
#[utoipa::path(post, path = "/api/v1/annotations", tag = "changes", params(IfMatch), request_body = AnnotationBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn annotate(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((text, route), terms) = asked(request, |fields| {
        let text = fields.text("text", LONGEST_NOTE);
        let text = fields.needed("text", text);
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            fields.wrong("text", "must say something".to_owned());
        }
        (text, fields.text("route", 256))
    })
    .await?;
    let text = text.ok_or_else(|| Problem::malformed("text is missing"))?;
    carry_out(&admin, caller, terms, Action::Annotate { route, text }).await
}

/// Gives a pool of a route in mode `pin` no new clients; who is pinned to it may finish.
#[utoipa::path(post, path = "/api/v1/routes/{name}/drain", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = DrainBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn drain(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((pool, bounds), terms) = asked(request, |fields| {
        let pool = fields.text("pool", 256);
        (fields.needed("pool", pool), bounds(fields))
    })
    .await?;
    let pool = pool.ok_or_else(|| Problem::malformed("pool is missing"))?;
    let action = Action::Drain {
        route,
        pool,
        bounds,
    };
    carry_out(&admin, caller, terms, action).await
}

/// Gives every user of the route's cohort another place.
#[utoipa::path(post, path = "/api/v1/routes/{name}/reshuffle", tag = "changes",
    params(("name" = String, Path, description = "The route"), IfMatch), request_body = Option<ForceBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reshuffle(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Admin)?;
    let (bounds, terms) = asked(request, bounds).await?;
    carry_out(&admin, caller, terms, Action::Reshuffle { route, bounds }).await
}

/// Brings back the weights of an earlier revision.
#[utoipa::path(post, path = "/api/v1/restore", tag = "changes", params(IfMatch), request_body = RestoreBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn restore(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Admin)?;
    let ((revision, bounds), terms) = asked(request, |fields| {
        let revision = fields.number("revision");
        (fields.needed("revision", revision), bounds(fields))
    })
    .await?;
    let revision = revision.ok_or_else(|| Problem::malformed("revision is missing"))?;
    let earlier = admin.control.state_at(revision).await?;
    carry_out(&admin, caller, terms, Action::Restore { earlier, bounds }).await
}

/// Reads the file again.
#[utoipa::path(post, path = "/api/v1/reload", tag = "changes", params(IfMatch), request_body = Option<ReasonBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reload(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Admin)?;
    let ((), terms) = asked(request, |_| ()).await?;
    carry_out(&admin, caller, terms, Action::Reload).await
}

/// What a call asks, and on which terms.
pub(super) async fn asked<T>(
    request: Request,
    read: impl FnOnce(&mut Fields) -> T,
) -> Result<(T, Terms), Problem> {
    let headers = request.headers().clone();
    let mut fields = body::read(request, SMALL).await?;
    let asked = read(&mut fields);
    let terms = fields.terms(&headers)?;
    fields.finish()?;
    Ok((asked, terms))
}

pub(super) fn bounds(fields: &mut Fields) -> Bounds {
    if fields.flag("force") {
        Bounds::Overridden
    } else {
        Bounds::Kept
    }
}

pub(super) async fn carry_out(
    admin: &Admin,
    caller: Caller,
    terms: Terms,
    action: Action,
) -> Result<Response, Problem> {
    let order = Order {
        action,
        actor: caller.actor,
        reason: terms.reason,
        if_revision: terms.if_revision,
        dry_run: terms.dry_run,
    };
    let done = admin.control.order(order).await?;
    // A dry run has changed nothing: what is in force is another revision than the one it speaks of.
    let revision = match done.in_force {
        Some(_) => done.revision,
        None => admin.control.standing().revision(),
    };
    Ok(tagged(revision, Json(Changed::new(done))))
}
