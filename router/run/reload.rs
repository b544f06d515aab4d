//! Reading the file again: on SIGHUP, and with `server.watch` when it has changed. The admin API asks control itself.
//!
//! A change on disk counts once it looks the same twice in a row, so that an editor in the middle of writing and a deploy that
//! swaps several files are waited for. What was read is not read again before it changes, taken or refused.

use std::sync::Arc;
use std::time::Duration;

use super::notify;
use crate::control::{Action, Control, Order, Rejection};
use crate::source::{Mark, Watched};

/// From one look to the next.
const POLL: Duration = Duration::from_millis(250);
/// A file that could not be taken for a reason outside of it is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// An order to read the file again, asked for by `actor` because of `reason`.
fn order(actor: &str, reason: &str) -> Order {
    Order {
        action: Action::Reload,
        actor: actor.into(),
        reason: Some(reason.into()),
        if_revision: None,
        dry_run: false,
    }
}

/// Reads the file again; the outcome is in the log and the journal.
pub(super) fn on_signal(control: Control) {
    notify::reloading();
    tokio::spawn(async move {
        match control.order(order("local", "SIGHUP")).await {
            Ok(done) => {
                tracing::info!("reloaded: revision {}", done.revision);
                notify::ready("serving");
            }
            Err(rejection) => {
                tracing::error!("reload refused: {rejection}");
                notify::ready("serving; the file on disk is refused, `kanaria status` says why");
            }
        }
    });
}

/// Watches for as long as the file asks for it, and looks whether it does for as long as the router runs.
pub(super) async fn watch(control: Control, watched: Arc<Watched>) {
    let mut before = None;
    loop {
        tokio::time::sleep(POLL).await;
        if !control.standing().structure.server.watch {
            before = None;
            continue;
        }
        let now = look(&watched).await;
        let is_settled = now.is_some() && now == before;
        let is_new = now.as_ref().is_some_and(|mark| !watched.has_taken(mark));
        if is_settled && is_new {
            take(&control, &watched).await;
        }
        before = now;
    }
}

/// On a thread of its own: a network file system may take its time.
async fn look(watched: &Arc<Watched>) -> Option<Mark> {
    let watched = Arc::clone(watched);
    tokio::task::spawn_blocking(move || watched.look())
        .await
        .ok()
}

async fn take(control: &Control, watched: &Watched) {
    match control.order(order("file", "the file changed")).await {
        Ok(done) => tracing::info!("the file changed: revision {}", done.revision),
        Err(Rejection::Undurable(_)) => {
            watched.forget();
            tokio::time::sleep(AGAIN).await;
        }
        // Control has said why, and says so in the status.
        Err(_) => {}
    }
}
