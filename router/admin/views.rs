//! Calls that only look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use config::live;
use config::model::{self, Failover, Role};
use config::snapshot::Route;
use serde::Serialize;
use serde_json::{Map, Value};

use super::changes::Name;
use super::guard::Caller;
use super::shares::{self, Shares};
use super::targets::{self, Target};
use super::{Admin, Phase, Problem, Shared, scrape, tagged};
use crate::control::{
    CookiesView, DiscoveryView, GuardView, RampView, Rejection, Standing, in_file_order,
};
use crate::journal::Entry;
use crate::state::Touch;

/// Most entries of a history answer.
const HISTORY: usize = 10_000;

/// The router as a whole.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Status {
    /// Version of the program.
    version: &'static str,
    /// Number of the live state.
    pub(super) revision: u64,
    /// First 12 hex digits of SHA-256 of the file's meaning.
    pub(super) config_digest: String,
    /// When the router started.
    started_at: String,
    /// Where the live state came from at start: `kept`, `new`, `missing` or `unreadable`.
    state: &'static str,
    /// Whether what is in force survives a restart.
    durable: bool,
    /// What to worry about.
    pub(super) warnings: Vec<String>,
    /// Routes in the order they are tried.
    pub(super) routes: Vec<RouteView>,
    /// Pools in file order.
    pub(super) pools: Vec<PoolView>,
}

/// One route.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RouteView {
    /// Its name.
    pub(super) name: String,
    /// What it does: `forward`, `redirect` or `respond`.
    action: &'static str,
    /// What it answers by itself; absent when targets answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<String>,
    /// The pool that a rollback returns to; none when the route answers by itself.
    stable: Option<String>,
    /// Live weights by pool, in file order.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub(super) weights: Map<String, Value>,
    /// Who set them: `file` or `live`.
    owner: &'static str,
    /// `normal`, `rolled_back` or `frozen`.
    pub(super) state: &'static str,
    /// Pools without a weight whose pinned clients may finish.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    draining: Vec<String>,
    /// The schedule of its weights, and where it is; none without one.
    ramp: Option<RampView>,
    /// Evidence of harm by its canaries; none without a guard.
    guard: Option<GuardView>,
    /// Asked and achieved shares.
    share: Shares,
    /// The cohort that places its users.
    cohort: String,
    /// Largest rise of a canary in one change, in percent points; 0 means any.
    max_step: f64,
    /// What each canary gets at most; none.
    cap: Option<CapView>,
    /// When it was changed last.
    pub(super) since: Option<String>,
    /// By whom.
    pub(super) actor: Option<String>,
    /// Why.
    pub(super) reason: Option<String>,
}

/// What each canary of a route gets at most from this router, and has now.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CapView {
    /// Requests a second; 0 means no limit.
    max_rps: u32,
    /// Requests at a time; 0 means no limit.
    max_concurrent: u32,
    /// By canary.
    canaries: BTreeMap<String, CanaryView>,
}

/// A canary under a cap.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CanaryView {
    /// Requests it has.
    in_flight: u32,
    /// Requests it may get at once, as far as `max_rps` goes; none without it.
    tokens: Option<u32>,
}

/// One pool.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PoolView {
    /// Its name.
    pub(super) name: String,
    /// Healthy targets.
    pub(super) healthy: Option<usize>,
    /// All targets.
    pub(super) total: Option<usize>,
    /// Targets that operators registered.
    registered: usize,
    /// Targets that operators deregistered.
    deregistered: usize,
    /// Targets that are not healthy, the first ten.
    pub(super) out: Vec<Target>,
    /// How it finds its targets, and how that goes; `null` when the file lists them.
    pub(super) discovery: Option<DiscoveryView>,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, body = String)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether traffic is taken.
#[utoipa::path(get, path = "/readyz", tag = "probes", responses((status = 200, body = String), (status = 503, body = String)))]
pub(super) async fn readyz(State(admin): Shared) -> (StatusCode, &'static str) {
    match *admin.phase.borrow() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving => (StatusCode::OK, "ok\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

/// Metrics as Prometheus text, or as the messages that `Accept` asks for.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses((status = 200, body = String), (status = "4XX", body = Problem)))]
pub(super) async fn metrics(State(admin): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    // Who may see them is the guard's business: every role may look.
    let form = scrape::form(&headers);
    let kind = [(header::CONTENT_TYPE, scrape::content_type(form))];
    let house = Arc::clone(admin.control.house());
    // Tens of thousands of lines take their time, and an order must not wait for them.
    let made = tokio::task::spawn_blocking(move || house.metrics(form)).await;
    let metrics =
        made.map_err(|_| Problem::unavailable("counting failed by a defect of the router"))?;
    Ok((kind, metrics).into_response())
}

/// The router as a whole.
#[utoipa::path(get, path = "/api/v1/status", tag = "look", responses((status = 200, body = Status), (status = "4XX", body = Problem)))]
pub(super) async fn status(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let status = status_of(&admin);
    Ok(tagged(status.revision, Json(status)))
}

pub(super) fn status_of(admin: &Admin) -> Status {
    let standing = admin.control.standing();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        revision: standing.revision(),
        config_digest: standing.structure.digest.to_string(),
        started_at: standing.started_at.clone(),
        state: standing.origin.as_str(),
        durable: standing.unwritten.is_empty(),
        warnings: warnings(admin, &standing),
        routes: all_routes(admin, &standing),
        pools: pools(admin, &standing),
    }
}

/// What an operator who looks should be told first: of the state and the file, then of pools that cannot serve.
fn warnings(admin: &Admin, standing: &Standing) -> Vec<String> {
    let mut warnings = standing.warnings();
    for pool in &standing.structure.pools {
        let found = admin.control.house().discovery(&pool.name);
        warnings.extend(found.and_then(|found| found.warning(&pool.name)));
        let health = admin.control.house().health(&pool.name);
        if health.is_some_and(|health| health.healthy == 0) {
            let consequence = consequence(standing, &pool.name);
            warnings.extend(consequence.map(|consequence| {
                format!("pool `{}` has no healthy target: {consequence}", pool.name)
            }));
        }
    }
    warnings
}

/// What becomes of the requests of a pool without a healthy target; `None` when it gets none.
fn consequence(standing: &Standing, pool: &str) -> Option<String> {
    let routes = || {
        standing
            .structure
            .routes
            .iter()
            .map(|route| &route.settings)
    };
    let has_weight = |route: &model::Route| {
        let live = standing.live.routes.get(&route.name);
        live.is_some_and(|live| live.weights.get(pool).is_some_and(|weight| *weight > 0))
    };
    if routes().any(|route| route.stable_pool() == pool) {
        return Some("requests go to all of its targets all the same".into());
    }
    let route = routes().find(|route| has_weight(route))?;
    Some(match route.failover {
        Failover::Stable => format!("`{}` serves in its place", route.stable_pool()),
        Failover::None => "its requests are answered 503".into(),
    })
}

/// All routes.
#[utoipa::path(get, path = "/api/v1/routes", tag = "look", responses((status = 200, body = Vec<RouteView>), (status = "4XX", body = Problem)))]
pub(super) async fn routes(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let standing = admin.control.standing();
    let routes = all_routes(&admin, &standing);
    Ok(tagged(standing.revision(), Json(routes)))
}

/// One route.
#[utoipa::path(get, path = "/api/v1/routes/{name}", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = RouteView), (status = "4XX", body = Problem)))]
pub(super) async fn route(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    of_route(&admin, &caller, &name, |standing, route| {
        view(&admin, standing, route).ok_or_else(|| unknown(standing, name.clone()))
    })
}

/// What the guard of a route says.
#[utoipa::path(get, path = "/api/v1/routes/{name}/guard", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = GuardView), (status = "4XX", body = Problem)))]
pub(super) async fn guard(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    of_route(&admin, &caller, &name, |_, _| {
        let guard = admin.control.house().guard(&name);
        guard.ok_or_else(|| {
            Problem::missing(format!(
                "route `{name}` has no guard; `[routes.guard]` in the file gives it one"
            ))
        })
    })
}

/// The cookies of a route, and what will go wrong with them.
#[utoipa::path(get, path = "/api/v1/routes/{name}/cookies", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = CookiesView), (status = "4XX", body = Problem)))]
pub(super) async fn cookies(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    of_route(&admin, &caller, &name, |_, _| {
        let cookies = admin.control.house().cookies(&name);
        cookies.ok_or_else(|| {
            Problem::missing(format!(
                "route `{name}` has no two pools whose cookies could get into each other's way"
            ))
        })
    })
}

/// The same of all routes with two pools or more.
#[utoipa::path(get, path = "/api/v1/cookies", tag = "look",
    responses((status = 200, body = Vec<CookiesView>), (status = "4XX", body = Problem)))]
pub(super) async fn all_cookies(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let standing = admin.control.standing();
    let house = admin.control.house();
    let routes = standing.structure.routes.iter();
    let all = routes.filter_map(|route| house.cookies(&route.name));
    let all: Vec<CookiesView> = all.collect();
    Ok(tagged(standing.revision(), Json(all)))
}

/// What `find` knows of the route `name`, for who may look.
pub(super) fn of_route<T: Serialize>(
    admin: &Admin,
    caller: &Caller,
    name: &str,
    find: impl FnOnce(&Standing, &Route) -> Result<T, Problem>,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let standing = admin.control.standing();
    let found = find(&standing, known(&standing, name)?)?;
    Ok(tagged(standing.revision(), Json(found)))
}

pub(super) fn known<'a>(standing: &'a Standing, name: &str) -> Result<&'a Route, Problem> {
    let route = standing.structure.route_named(name);
    route.ok_or_else(|| unknown(standing, name.to_owned()))
}

fn unknown(standing: &Standing, route: String) -> Problem {
    let routes = standing.structure.routes.iter();
    let known = routes.map(|route| route.name.to_string()).collect();
    Rejection::from(live::Refusal::UnknownRoute { route, known }).into()
}

fn all_routes(admin: &Admin, standing: &Standing) -> Vec<RouteView> {
    let routes = standing.structure.routes.iter();
    routes
        .filter_map(|route| view(admin, standing, route))
        .collect()
}

fn view(admin: &Admin, standing: &Standing, route: &Route) -> Option<RouteView> {
    match route.action.answer() {
        Some(answer) => Some(answering(route, answer)),
        None => forwarding(admin, standing, &route.settings),
    }
}

/// A route without pools: nothing of it is live.
fn answering(route: &Route, answer: String) -> RouteView {
    RouteView {
        name: route.name.to_string(),
        action: route.action.as_str(),
        answer: Some(answer),
        stable: None,
        weights: Map::new(),
        owner: live::Owner::File.as_str(),
        state: live::Latch::Normal.as_str(),
        draining: Vec::new(),
        ramp: None,
        guard: None,
        cap: None,
        share: Shares::default(),
        cohort: route.settings.cohort.clone(),
        max_step: route.settings.max_step,
        since: None,
        actor: None,
        reason: None,
    }
}

fn forwarding(admin: &Admin, standing: &Standing, route: &model::Route) -> Option<RouteView> {
    let live = standing.live.routes.get(&route.name)?;
    let touch = standing.touched.routes.get(&route.name);
    let weights = in_file_order(route, &live.weights);
    let text = |pick: fn(&Touch) -> &String| touch.map(|touch| pick(touch).clone());
    Some(RouteView {
        name: route.name.clone(),
        action: "forward",
        answer: None,
        stable: route.stable.clone(),
        weights: weights
            .into_iter()
            .map(|(pool, weight)| (pool, weight.into()))
            .collect(),
        owner: live.owner.as_str(),
        state: live.state.as_str(),
        draining: live.draining.iter().cloned().collect(),
        ramp: super::ramp::view(admin, standing, route),
        guard: admin.control.house().guard(&route.name),
        share: shares::of(admin, route, live),
        cohort: route.cohort.clone(),
        max_step: route.max_step,
        cap: cap(admin, &route.name),
        since: text(|touch| &touch.time),
        actor: text(|touch| &touch.actor),
        reason: touch.and_then(|touch| touch.reason.clone()),
    })
}

fn cap(admin: &Admin, route: &str) -> Option<CapView> {
    let published = admin.control.snapshot();
    let structure = &published.snapshot.structure;
    let caps = published.caps.of(structure.route_named(route)?.id);
    let (_, first) = caps.first()?;
    let now = Instant::now();
    let canaries = caps.iter().map(|(pool, cap)| {
        let name = published.snapshot.pool(*pool).name.to_string();
        let view = CanaryView {
            in_flight: cap.in_flight(),
            tokens: cap.tokens(now),
        };
        (name, view)
    });
    Some(CapView {
        max_rps: first.max_rps(),
        max_concurrent: first.max_concurrent(),
        canaries: canaries.collect(),
    })
}

fn pools(admin: &Admin, standing: &Standing) -> Vec<PoolView> {
    let pools = standing.structure.pools.iter();
    pools
        .map(|pool| {
            let health = admin.control.house().health(&pool.name);
            let edits = standing.live.targets.get(&*pool.name);
            PoolView {
                name: pool.name.to_string(),
                healthy: health.map(|health| health.healthy),
                total: health.map(|health| health.total),
                registered: edits.map_or(0, |edits| edits.registered.len()),
                deregistered: edits.map_or(0, |edits| edits.deregistered.len()),
                out: targets::out(admin, standing, &pool.name),
                discovery: admin.control.house().discovery(&pool.name),
            }
        })
        .collect()
}

/// The last changes, newest first.
#[utoipa::path(get, path = "/api/v1/history", tag = "look", params(("limit" = Option<usize>, Query, description = "Most entries; 100 when absent")),
    responses((status = 200, body = Vec<Object>), (status = "4XX", body = Problem)))]
pub(super) async fn history(
    State(admin): Shared,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Vec<Entry>>, Problem> {
    caller.may(Role::Viewer)?;
    let limit = limit(&uri)?;
    let history = admin.control.history(limit).await;
    history
        .map(Json)
        .map_err(|error| Problem::unavailable(format!("the journal cannot be read: {error}")))
}

fn limit(uri: &Uri) -> Result<usize, Problem> {
    let Some(value) = only("limit", uri)? else {
        return Ok(100);
    };
    match value.parse() {
        Ok(n @ 1..=HISTORY) => Ok(n),
        _ => Err(Problem::invalid(vec![(
            "limit".into(),
            format!("must be one whole number from 1 to {HISTORY}, not `{value}`"),
        )])),
    }
}

/// The value of the parameter `key` of `uri`, which has no other one, and this one once.
pub(super) fn only<'a>(key: &str, uri: &'a Uri) -> Result<Option<&'a str>, Problem> {
    let wrong = |key: &str, message: String| Err(Problem::invalid(vec![(key.into(), message)]));
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut found = None;
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != key {
            return wrong(name, format!("unknown parameter; there is only {key}"));
        }
        if found.replace(value).is_some() {
            return wrong(key, "is given more than once".into());
        }
    }
    Ok(found)
}
