//! The migration of a route as data.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use config::model::Role;

use super::changes::Name;
use super::guard::Caller;
use super::{Problem, Shared, tagged, views};
use crate::control::ReportView;

/// The migration of a route: stages with their evidence, incidents, who did what.
#[utoipa::path(get, path = "/api/v1/routes/{name}/report", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = ReportView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn report(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    views::known(&admin.control.standing(), &name)?;
    let report = admin.control.report(&name).await?;
    Ok(tagged(report.revision, Json(report)))
}
