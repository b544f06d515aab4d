//! A small page for people who open the address in a browser: what is in force, read only, without scripts.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::model::Role;
use sha2::{Digest, Sha256};

use super::guard::Caller;
use super::views::{PoolView, RouteView, Status, status_of};
use super::{Problem, Shared, tagged};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem 1rem .3rem 0;text-align:left;vertical-align:top}\
th{border-bottom:1px solid}.warning{border-left:.4rem solid #c60;padding-left:.6rem}";

/// Only our own style, by its hash: nothing else on the page may load or run.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// What is in force, as a page.
#[utoipa::path(get, path = "/", tag = "look", responses((status = 200, body = String, content_type = "text/html"), (status = "4XX", body = Problem)))]
pub(super) async fn page(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let status = status_of(&admin);
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY.as_str())];
    let page = (policy, Html(written(&status))).into_response();
    Ok(tagged(status.revision, page))
}

fn written(status: &Status) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>\
         <title>kanaria</title><style>{STYLE}</style><h1>kanaria</h1>\
         <p>revision {}, config {}</p>",
        status.revision,
        escaped(&status.config_digest)
    );
    for warning in &status.warnings {
        page += &format!("<p class=warning>{}</p>", escaped(warning));
    }
    page += "<table><tr><th>route<th>weights<th>state<th>since<th>by<th>why";
    page.extend(status.routes.iter().map(route_row));
    page += "</table><table><tr><th>pool<th>healthy targets";
    page.extend(status.pools.iter().map(pool_row));
    page + "</table>"
}

fn route_row(route: &RouteView) -> String {
    let weights: Vec<_> = route
        .weights
        .iter()
        .map(|(pool, weight)| format!("{pool}={weight}"))
        .collect();
    let text = |text: &Option<String>| escaped(text.as_deref().unwrap_or_default());
    format!(
        "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
        escaped(&route.name),
        escaped(route.answer.as_deref().unwrap_or(&weights.join(" "))),
        route.state,
        text(&route.since),
        text(&route.actor),
        text(&route.reason)
    )
}

fn pool_row(pool: &PoolView) -> String {
    let count = |n: Option<usize>| n.map_or_else(|| "?".into(), |n| n.to_string());
    format!(
        "<tr><td>{}<td>{} of {}",
        escaped(&pool.name),
        count(pool.healthy),
        count(pool.total)
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            other => escaped.push(other),
        }
    }
    escaped
}
