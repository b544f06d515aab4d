//! Making a change durable without waiting for a disk longer than the change is worth.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Event;
use crate::journal::{Entry, Undurable, Writer};

/// A change waits this long for the disk before it is refused.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// A rollback is in force already, and waits this long before it is answered.
pub(super) const URGENT: Duration = Duration::from_millis(250);
/// A change that a rollback overtakes gets this long to finish.
const GRACE: Duration = Duration::from_millis(50);

/// Writes `entries`, unless a rollback comes or `PATIENCE` ends first. What comes in the meantime is kept in `early`.
pub(super) async fn write(
    writer: &Writer,
    entries: Vec<Arc<Entry>>,
    urgent: &mut mpsc::Receiver<Event>,
    early: &mut VecDeque<Event>,
) -> Result<(), Undurable> {
    let mut pending = writer.append(entries);
    tokio::select! {
        biased;
        outcome = pending.settled() => return outcome,
        () = overtaken(urgent, early) => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    pending.withdraw().await
}

async fn overtaken(urgent: &mut mpsc::Receiver<Event>, early: &mut VecDeque<Event>) {
    match urgent.recv().await {
        Some(event) => early.push_back(event),
        None => std::future::pending().await,
    }
    tokio::time::sleep(GRACE).await;
}

/// Writes `entries`, or gives up after `patience`.
pub(super) async fn write_within(
    writer: &Writer,
    entries: Vec<Arc<Entry>>,
    patience: Duration,
) -> Result<(), Undurable> {
    let mut pending = writer.append(entries);
    match tokio::time::timeout(patience, pending.settled()).await {
        Ok(outcome) => outcome,
        Err(_) => pending.withdraw().await,
    }
}
