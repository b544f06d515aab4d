//! The admin API: what operators, scripts and pages ask, over HTTP on a socket and a thread of its own.
//!
//! It turns requests into orders for control and answers into JSON. It decides nothing, and never touches traffic.

mod body;
mod changes;
mod compare;
mod events;
mod explain;
mod flags;
mod guard;
mod openapi;
mod page;
mod problem;
mod ramp;
mod report;
mod scrape;
mod serve;
mod shadow;
mod shares;
mod socket;
mod targets;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tokio::sync::{Semaphore, watch};

use crate::control::Control;

pub use explain::answer;
pub use problem::Problem;
pub use serve::{Running, start};
pub use socket::{BindError, Door, Socket, SocketFile};

/// Whether traffic is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Listeners are not bound yet.
    Starting,
    /// It is.
    Serving,
    /// No longer for long.
    Draining,
}

/// What the API needs.
#[derive(Clone)]
pub struct Admin {
    /// Where changes go, and where everything is known from.
    pub control: Control,
    /// Whether traffic is taken.
    pub phase: watch::Receiver<Phase>,
    /// Who can reach the socket.
    pub door: Door,
    streams: Arc<Semaphore>,
}

impl Admin {
    /// An API for `control` behind `door`.
    pub fn new(control: Control, phase: watch::Receiver<Phase>, door: Door) -> Self {
        Self {
            control,
            phase,
            door,
            streams: Arc::new(Semaphore::new(events::STREAMS)),
        }
    }
}

/// All calls.
pub fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/livez", get(views::livez))
        .route("/readyz", get(views::readyz))
        .route("/metrics", get(views::metrics))
        .route("/openapi.json", get(openapi::document))
        .nest("/api/v1", api());
    routes
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&admin),
            guard::guard,
        ))
        .layer(middleware::from_fn(harden))
        .with_state(admin)
}

fn api() -> Router<Arc<Admin>> {
    Router::new()
        .route("/status", get(views::status))
        .route("/routes", get(views::routes))
        .route("/routes/{name}", get(views::route))
        .route("/routes/{name}/guard", get(views::guard))
        .route("/routes/{name}/cookies", get(views::cookies))
        .route("/cookies", get(views::all_cookies))
        .route("/routes/{name}/shadow", get(shadow::one))
        .route("/shadows", get(shadow::all))
        .route("/routes/{name}/compare", get(compare::compare))
        .route("/routes/{name}/ramp", get(ramp::look).post(ramp::change))
        .route("/routes/{name}/forecast", get(ramp::foretell))
        .route("/routes/{name}/report", get(report::report))
        .route("/routes/{name}/weights", put(changes::weights))
        .route("/routes/{name}/rollback", post(changes::rollback_one))
        .route("/routes/{name}/resume", post(changes::resume))
        .route("/routes/{name}/drain", post(changes::drain))
        .route("/routes/{name}/flags", post(flags::mint))
        .route("/routes/{name}/reshuffle", post(changes::reshuffle))
        .route("/annotations", post(changes::annotate))
        .route("/rollback", post(changes::rollback_all))
        .route("/restore", post(changes::restore))
        .route("/reload", post(changes::reload))
        .route("/history", get(views::history))
        .route("/check", post(explain::check))
        .route("/explain", post(explain::explain))
        .route("/events", get(events::events))
        .route(
            "/pools/{name}/targets",
            get(targets::list)
                .post(targets::register)
                .delete(targets::deregister),
        )
        .route(
            "/pools/{name}/targets/{address}",
            delete(targets::deregister_one).get(targets::one),
        )
}

/// Headers that keep answers out of caches, frames and guesses.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    response
}

/// An answer that shows the state of `revision`.
fn tagged(revision: u64, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

type Shared = State<Arc<Admin>>;

#[cfg(test)]
mod tests;
