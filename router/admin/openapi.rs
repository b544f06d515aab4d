//! The OpenAPI 3.1 document, made from the calls themselves.

use axum::Json;
use config::model::Role;
use serde_json::Value;
use utoipa::OpenApi;

use super::guard::Caller;
use super::{
    Problem, changes, compare, events, explain, flags, page, ramp, report, shadow, targets, views,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kanaria admin API",
        description = "Who is asking: a bearer token, or nobody on a loopback or unix socket. Every change takes If-Match with the revision from ETag."
    ),
    paths(
        page::page,
        views::livez,
        views::readyz,
        views::metrics,
        document,
        views::status,
        views::routes,
        views::route,
        views::guard,
        views::cookies,
        views::all_cookies,
        shadow::one,
        shadow::all,
        compare::compare,
        ramp::look,
        ramp::foretell,
        ramp::change,
        report::report,
        targets::list,
        targets::one,
        views::history,
        events::events,
        changes::weights,
        changes::rollback_all,
        changes::rollback_one,
        changes::resume,
        changes::drain,
        changes::annotate,
        changes::reshuffle,
        changes::restore,
        changes::reload,
        targets::register,
        targets::deregister,
        targets::deregister_one,
        flags::mint,
        explain::check,
        explain::explain,
    )
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "look", responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub(super) async fn document(caller: Caller) -> Result<Json<Value>, Problem> {
    caller.may(Role::Viewer)?;
    let document = serde_json::to_value(Document::openapi());
    document
        .map(Json)
        .map_err(|error| Problem::unavailable(error.to_string()))
}

/// The precondition of a change.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "describes a header in the OpenAPI document; `body` reads it"
)]
pub(super) struct IfMatch {
    /// The revision the caller has seen, in quotes; another one in force is answered 412.
    #[param(rename = "If-Match", required = false)]
    if_match: Option<String>,
}

/// Weights to set.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct WeightsBody {
    /// Weight of every pool of the route's block, 0 to 1,000,000.
    weights: std::collections::BTreeMap<String, u32>,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Override a mark and `max_step`.
    force: Option<bool>,
}

/// Targets to register: `targets`, or one as `address` and `weight`.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct RegisterBody {
    /// Each an address, or an object with `address` and perhaps `weight`.
    #[schema(value_type = Option<Vec<Object>>)]
    targets: Option<Value>,
    /// The only target: IP address and port, IPv6 in brackets.
    address: Option<String>,
    /// Its part relative to the others, 1 to 1000; absent: what it has, or 1.
    weight: Option<u32>,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
}

/// Targets to deregister.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct DeregisterBody {
    /// Each an address, or an object with `address`; not when the path has the address.
    #[schema(value_type = Option<Vec<Object>>)]
    targets: Option<Value>,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Also the last target of the pool.
    force: Option<bool>,
}

/// What to note.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct AnnotationBody {
    /// In words, at most 1000 bytes.
    text: String,
    /// The route it is about; absent: all.
    route: Option<String>,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
}

/// A pool to drain.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct DrainBody {
    /// The pool.
    pool: String,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Override a mark and `max_step`.
    force: Option<bool>,
}

/// The flag that a value is made for.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct MintBody {
    /// The flag's name.
    flag: String,
    /// How long the value counts, as `8h`; from 1s to 90d.
    expires: String,
}

/// What to do with a ramp.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct RampBody {
    /// `start`, `pause`, `resume`, `advance`, `abort` or `finalize`.
    action: String,
    /// `start`: also before the guard knows 180 minutes of stable.
    cold: Option<bool>,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Override a mark and `max_step`.
    force: Option<bool>,
}

/// A change that needs no values.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct ReasonBody {
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
}

/// A change that may be forced.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct ForceBody {
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Do it although a canary has users, or although the pool keeps no target.
    force: Option<bool>,
}

/// A revision to bring back.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct RestoreBody {
    /// Its number.
    revision: u64,
    /// Why, for the journal.
    reason: Option<String>,
    /// Only say what would happen.
    dry_run: Option<bool>,
    /// Override marks and `max_step`.
    force: Option<bool>,
}

/// A file to check; without a text the one on disk.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct CheckBody {
    /// Its text.
    text: Option<String>,
    /// Its name: JSON when it ends in `.json`, else TOML.
    name: Option<String>,
}

/// A request to explain.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body in the OpenAPI document; `body` reads it"
)]
pub(super) struct ExplainBody {
    /// `GET` when absent.
    method: Option<String>,
    /// `http://HOST/PATH`, or `/PATH` with a Host header.
    url: String,
    /// An object of values or lists of values by name, or a list of pairs.
    #[schema(value_type = Option<Object>)]
    headers: Option<Value>,
    /// `127.0.0.1` when absent.
    client_ip: Option<String>,
    /// The first listener when absent.
    listener: Option<String>,
}
