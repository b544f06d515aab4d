//! The watch over the files of certificates.
//!
//! It looks twice a second, as `discovery` does at its files and for its reasons: a rename, a rewrite in place and a
//! swapped link are all seen, on any file system.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Terminators;

/// From one look to the next: two and the time to read a pair are less than a second.
const POLL: Duration = Duration::from_millis(400);

/// Refreshes `terminators` until `stop` turns true.
pub async fn watch(terminators: Arc<Terminators>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(POLL) => {}
        }
        let terminators = Arc::clone(&terminators);
        // Thousands of files are some milliseconds, and a disk may be slow.
        let look = tokio::task::spawn_blocking(move || terminators.refresh());
        if look.await.is_err() {
            tracing::error!("a look at the certificates ended by a defect of the router");
        }
    }
}
