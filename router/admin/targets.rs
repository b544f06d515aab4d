//! Targets of a pool: who they are, how they are, and calls that register and deregister them.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use config::live::{self, Refusal, target_address};
use config::model::Role;
use serde::Serialize;

use super::changes::{Changed, Name, asked, bounds, carry_out};
use super::guard::Caller;
use super::openapi::{DeregisterBody, ForceBody, IfMatch, RegisterBody};
use super::{Admin, Problem, Shared, tagged};
use crate::control::{Action, Rejection, Standing, TargetView};
use crate::state::Touch;

/// Most targets of a pool that a status names.
const OUT: usize = 10;

/// One target of a pool.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Target {
    /// Where it listens.
    #[schema(value_type = String)]
    address: SocketAddr,
    /// `initial`, `healthy`, `unhealthy`, `draining` or `unused`.
    state: &'static str,
    /// Why it takes no requests.
    reason: Option<&'static str>,
    /// What its last health check saw, for people.
    description: Option<String>,
    /// Its part of the pool's requests, relative to the others.
    weight: u32,
    /// Requests it has now.
    in_flight: u32,
    /// Since when it is in this state; `null` of one that nobody names any more.
    since: Option<String>,
    /// Who names it: `registered`, `file` or `discovered`; `null` when nobody does any more.
    source: Option<&'static str>,
    /// The change that registered or deregistered it.
    change: Option<TargetChange>,
}

/// The change that registered or deregistered a target.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TargetChange {
    /// The revision it made.
    revision: u64,
    /// When.
    time: String,
    /// By whom.
    actor: String,
    /// Why.
    reason: Option<String>,
}

/// A pool and the address of one of its targets, in the path.
pub(super) struct OneTarget {
    pool: String,
    address: SocketAddr,
}

impl<S: Send + Sync> FromRequestParts<S> for OneTarget {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((pool, address))) = path else {
            return Err(Problem::malformed(format!(
                "a name in `{}` is not UTF-8",
                parts.uri.path()
            )));
        };
        match target_address(&address) {
            Ok(address) => Ok(Self { pool, address }),
            Err(message) => Err(Problem::invalid(vec![("address".into(), message)])),
        }
    }
}

/// Targets of a pool, those that drain, and those that operators left out.
#[utoipa::path(get, path = "/api/v1/pools/{name}/targets", tag = "look", params(("name" = String, Path, description = "The pool")),
    responses((status = 200, body = Vec<Target>), (status = "4XX", body = Problem)))]
pub(super) async fn list(
    State(admin): Shared,
    caller: Caller,
    Name(pool): Name,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let standing = admin.control.standing();
    let targets = targets(&admin, &standing, &pool)?;
    Ok(tagged(standing.revision(), Json(targets)))
}

/// One target of a pool.
#[utoipa::path(get, path = "/api/v1/pools/{name}/targets/{address}", tag = "look",
    params(("name" = String, Path, description = "The pool"), ("address" = String, Path, description = "IP address and port")),
    responses((status = 200, body = Target), (status = "4XX", body = Problem)))]
pub(super) async fn one(
    State(admin): Shared,
    caller: Caller,
    OneTarget { pool, address }: OneTarget,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let standing = admin.control.standing();
    let mut targets = targets(&admin, &standing, &pool)?;
    let Some(position) = targets.iter().position(|target| target.address == address) else {
        let known = targets.iter().map(|target| target.address.to_string());
        let refusal = Refusal::UnknownTargets {
            pool,
            unknown: vec![(0, address)],
            known: known.collect(),
        };
        return Err(Problem::from(Rejection::from(refusal)).of_one_target());
    };
    Ok(tagged(
        standing.revision(),
        Json(targets.swap_remove(position)),
    ))
}

/// Adds targets to a pool, or gives them another weight.
#[utoipa::path(post, path = "/api/v1/pools/{name}/targets", tag = "changes",
    params(("name" = String, Path, description = "The pool"), IfMatch), request_body = RegisterBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn register(
    State(admin): Shared,
    caller: Caller,
    Name(pool): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let (targets, terms) = asked(request, |fields| fields.registrations()).await?;
    carry_out(&admin, caller, terms, Action::Register { pool, targets }).await
}

/// Takes targets out of a pool: they get no new request, and what they have may finish.
#[utoipa::path(delete, path = "/api/v1/pools/{name}/targets", tag = "changes",
    params(("name" = String, Path, description = "The pool"), IfMatch), request_body = DeregisterBody,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn deregister(
    State(admin): Shared,
    caller: Caller,
    Name(pool): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let ((targets, bounds), terms) =
        asked(request, |fields| (fields.addresses(), bounds(fields))).await?;
    let action = Action::Deregister {
        pool,
        targets,
        bounds,
    };
    carry_out(&admin, caller, terms, action).await
}

/// Takes one target out of a pool: it gets no new request, and what it has may finish.
#[utoipa::path(delete, path = "/api/v1/pools/{name}/targets/{address}", tag = "changes",
    params(("name" = String, Path, description = "The pool"), ("address" = String, Path, description = "IP address and port"), IfMatch),
    request_body = Option<ForceBody>,
    responses((status = 200, body = Changed), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn deregister_one(
    State(admin): Shared,
    caller: Caller,
    OneTarget { pool, address }: OneTarget,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let (bounds, terms) = asked(request, bounds).await?;
    let action = Action::Deregister {
        pool,
        targets: vec![address],
        bounds,
    };
    let outcome = carry_out(&admin, caller, terms, action).await;
    outcome.map_err(Problem::of_one_target)
}

/// The targets of `pool` as its pool has them, then those that are left out and that nobody names any more.
fn targets(admin: &Admin, standing: &Standing, pool: &str) -> Result<Vec<Target>, Problem> {
    live::find(&standing.structure, pool).map_err(Rejection::from)?;
    let targets = admin.control.house().targets(pool).unwrap_or_default();
    let edits = standing.live.targets.get(pool);
    let left_out = edits.into_iter().flat_map(|edits| &edits.deregistered);
    let unnamed: Vec<_> = left_out
        .filter(|address| !targets.iter().any(|target| target.address == **address))
        .map(|address| unnamed(standing, pool, *address))
        .collect();
    let known = targets
        .into_iter()
        .map(|target| view(standing, pool, target));
    Ok(known.chain(unnamed).collect())
}

/// Targets of `pool` that are not healthy, the first ten: whom to look after.
pub(super) fn out(admin: &Admin, standing: &Standing, pool: &str) -> Vec<Target> {
    let targets = admin.control.house().targets(pool).unwrap_or_default();
    let out = targets.into_iter();
    let out = out.filter(|target| matches!(target.state, "initial" | "unhealthy"));
    let out = out.take(OUT).map(|target| view(standing, pool, target));
    out.collect()
}

fn view(standing: &Standing, pool: &str, target: TargetView) -> Target {
    Target {
        address: target.address,
        state: target.state,
        reason: target.reason,
        description: target.description.as_deref().map(str::to_owned),
        weight: target.weight,
        in_flight: target.in_flight,
        source: source(standing, pool, &target),
        since: Some(target.since),
        change: change(standing, pool, target.address),
    }
}

fn unnamed(standing: &Standing, pool: &str, address: SocketAddr) -> Target {
    Target {
        address,
        state: "unused",
        reason: Some("Target.NotRegistered"),
        description: None,
        weight: 1,
        in_flight: 0,
        since: None,
        source: None,
        change: change(standing, pool, address),
    }
}

fn source(standing: &Standing, pool: &str, target: &TargetView) -> Option<&'static str> {
    let edits = standing.live.targets.get(pool);
    if edits.is_some_and(|edits| edits.registered.contains_key(&target.address)) {
        return Some("registered");
    }
    let written = live::find(&standing.structure, pool).ok()?.targets.iter();
    let mut written = written.map(|target| target.address);
    if written.any(|address| address == target.address) {
        return Some("file");
    }
    // One that drains may be named by nobody any more.
    (target.state != "draining").then_some("discovered")
}

fn change(standing: &Standing, pool: &str, address: SocketAddr) -> Option<TargetChange> {
    let Touch {
        revision,
        time,
        actor,
        reason,
    } = Touch::clone(standing.touched.targets.get(pool)?.get(&address)?);
    Some(TargetChange {
        revision,
        time,
        actor,
        reason,
    })
}
