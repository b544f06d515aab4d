//! What became of copies, and what they showed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use config::model::Role;

use super::changes::Name;
use super::guard::Caller;
use super::views::of_route;
use super::{Admin, Problem, Shared, tagged};
use crate::control::House;
use crate::diff::ShadowView;

/// What the shadow of a route brought to light.
#[utoipa::path(get, path = "/api/v1/routes/{name}/shadow", tag = "look", params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = ShadowView), (status = "4XX", body = Problem)))]
pub(super) async fn one(
    State(admin): Shared,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let asked = name.clone();
    let view = told(&admin, move |house| house.shadow(&asked)).await?;
    of_route(&admin, &caller, &name, |_, _| {
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
    let views = told(&admin, |house| house.shadows()).await?;
    let revision = admin.control.standing().revision();
    Ok(tagged(revision, Json(views)))
}

/// What is written down of copies belongs to a thread that everybody else goes before, and an order must not wait for it.
async fn told<T: Send + 'static>(
    admin: &Admin,
    ask: impl FnOnce(&dyn House) -> T + Send + 'static,
) -> Result<T, Problem> {
    let house = Arc::clone(admin.control.house());
    let told = tokio::task::spawn_blocking(move || ask(&*house)).await;
    told.map_err(|_| Problem::unavailable("telling failed by a defect of the router"))
}
