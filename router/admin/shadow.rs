//! What became of copies, and what they showed.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use config::model::Role;

use super::changes::Name;
use super::guard::Caller;
use super::views::of_route;
use super::{Problem, Shared, tagged};
use crate::diff::ShadowView;

/// What the shadow of a route brought to light.
#[utoipa::path(get, path = "/api/v1/routes/{name}/shadow", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = ShadowView), (status = "4XX", body = Problem)))]
pub(super) async fn one(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    of_route(&admin, &caller, &name, |_, _| {
        let view = admin.control.house().shadow(&name);
        view.ok_or_else(|| {
            Problem::missing(format!(
                "route `{name}` has no shadow; `[routes.shadow]` in the file gives it one"
            ))
        })
    })
}

/// The same of every route that has one.
#[utoipa::path(get, path = "/api/v1/shadows", tag = "look", responses((status = 200, body = [ShadowView]), (status = "4XX", body = Problem)))]
pub(super) async fn all(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let revision = admin.control.standing().revision();
    Ok(tagged(revision, Json(admin.control.house().shadows())))
}
