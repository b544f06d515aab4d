//! Values for signed flags. A value is no change: it stands in no journal, and ends by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use config::flag::Flag;
use config::live::Refusal;
use config::model::Role;
use config::snapshot::{Route, Snapshot};
use config::units::Duration;
use serde::Serialize;

use super::body::{self, Fields, SMALL};
use super::changes::Name;
use super::guard::Caller;
use super::openapi::MintBody;
use super::{Problem, Shared, tagged};
use crate::control::Rejection;

/// No flag is left on for longer: one that is forgotten causes accidents.
const LONGEST: Duration = Duration::seconds(90 * 86_400);

/// A value for a signed flag.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Minted {
    /// The route.
    route: String,
    /// The flag.
    flag: String,
    /// The pool it leads to.
    pool: String,
    /// Cookie to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    /// Header to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// Its value.
    value: String,
    /// Until when it counts, in seconds since 1970.
    expires: u64,
}

/// Makes a value for a signed flag that counts until it expires.
#[utoipa::path(post, path = "/api/v1/routes/{name}/flags", tag = "try",
    params(("name" = String, Path, description = "The route")), request_body = MintBody,
    responses((status = 200, body = Minted), (status = "4XX", body = Problem)))]
pub(super) async fn mint(
    State(admin): Shared,
    caller: Caller,
    Name(route): Name,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Operator)?;
    let mut fields = body::read(request, SMALL).await?;
    let flag = fields.text("flag", 256);
    let flag = fields.needed("flag", flag);
    let lasts = lasts(&mut fields);
    fields.finish()?;
    let (Some(flag), Some(lasts)) = (flag, lasts) else {
        return Err(Problem::malformed("flag and expires are needed"));
    };
    let published = admin.control.snapshot();
    let snapshot = &published.snapshot;
    let minted = minted(snapshot, &route, &flag, now() + lasts.0.as_secs())?;
    Ok(tagged(snapshot.revision, Json(minted)))
}

fn lasts(fields: &mut Fields) -> Option<Duration> {
    let text = fields.text("expires", 32);
    let text = fields.needed("expires", text)?;
    match text.parse::<Duration>() {
        Ok(lasts) if (Duration::seconds(1)..=LONGEST).contains(&lasts) => Some(lasts),
        Ok(lasts) => {
            fields.wrong(
                "expires",
                format!("must be from 1s to {LONGEST}, not {lasts}"),
            );
            None
        }
        Err(error) => {
            fields.wrong("expires", error.to_string());
            None
        }
    }
}

fn minted(snapshot: &Snapshot, route: &str, flag: &str, expires: u64) -> Result<Minted, Problem> {
    let routes = &snapshot.structure.routes;
    let found = snapshot.structure.route_named(route);
    let found = found.ok_or_else(|| {
        let known = routes.iter().map(|route| route.name.to_string()).collect();
        let route = route.to_owned();
        Problem::from(Rejection::from(Refusal::UnknownRoute { route, known }))
    })?;
    let (flag, value) = named(found, flag)
        .and_then(|flag| Some((flag, snapshot.flag_value(flag, expires)?)))
        .ok_or_else(|| {
            let message = format!("route `{route}` has no signed flag called `{flag}`");
            Problem::invalid(vec![("flag".into(), message)])
        })?;
    Ok(Minted {
        route: route.into(),
        flag: flag.name.to_string(),
        pool: snapshot.pool(flag.pool).name.to_string(),
        cookie: flag.cookie().map(str::to_owned),
        header: flag.header().map(str::to_owned),
        value,
        expires,
    })
}

fn named<'a>(route: &'a Route, name: &str) -> Option<&'a Flag> {
    let mut flags = route.forward()?.flags.iter();
    flags.find(|flag| *flag.name == *name)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
