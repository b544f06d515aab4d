//! Server-sent events: every change and every piece of news, as it happens. What was before is in the history.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use config::model::Role;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::guard::Caller;
use super::{Problem, Shared};
use crate::control::Notice;

/// Streams at the same time.
pub(super) const STREAMS: usize = 64;
/// A comment keeps the connection alive through whatever stands between.
const QUIET: Duration = Duration::from_secs(15);

/// Changes, refused files and states of targets, as server-sent events.
#[utoipa::path(get, path = "/api/v1/events", tag = "look",
    responses((status = 200, description = "events `change`, `config_refused`, `cookie_conflict`, `guard_trip`, `ramp_step`, `ramp_held`, `target`, and `lagged` when some were missed", body = String, content_type = "text/event-stream"),
        (status = "4XX", body = Problem)))]
pub(super) async fn events(State(admin): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let place = Arc::clone(&admin.streams)
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("as many event streams as there may be are open"))?;
    let (sender, channel) = Channel::<Bytes>::new(16);
    tokio::spawn(stream(sender, admin.control.notices(), place));
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((kind, Body::new(channel)).into_response())
}

/// Ends when the client went away or control did.
async fn stream(
    mut sender: Sender<Bytes>,
    mut notices: broadcast::Receiver<Notice>,
    place: OwnedSemaphorePermit,
) {
    let mut text = Bytes::from_static(b"retry: 2000\n\n");
    while sender.send_data(text).await.is_ok() {
        text = match tokio::time::timeout(QUIET, notices.recv()).await {
            Err(_) => Bytes::from_static(b": quiet\n\n"),
            Ok(Ok(notice)) => written(&notice),
            Ok(Err(RecvError::Lagged(n))) => {
                Bytes::from(format!("event: lagged\ndata: {{\"missed\":{n}}}\n\n"))
            }
            Ok(Err(RecvError::Closed)) => break,
        };
    }
    drop(place);
}

fn written(notice: &Notice) -> Bytes {
    let id = notice
        .revision
        .map_or_else(String::new, |revision| format!("id: {revision}\n"));
    // JSON has no raw newline, so one data line is enough.
    Bytes::from(format!(
        "event: {}\n{id}data: {}\n\n",
        notice.event, notice.data
    ))
}
