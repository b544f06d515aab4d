//! Control: the one task that changes what is in force.
//!
//! Every cause of change is an `Event`. Each is worked out by the pure rules of `config::live`, compiled, made durable,
//! published, and its coming into force measured, before it is answered; a rollback is published first and made durable after.
//! Nothing here touches a request, and reading what is in force never waits for this task.

mod carry;
mod change;
mod comparison;
mod cookies;
mod forecast;
mod house;
mod lend;
mod notice;
mod order;
mod persist;
mod ramps;
mod report;
mod standing;
mod targets;
mod task;
mod verdict;

#[cfg(test)]
pub(crate) mod fixture;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::live::Live;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::journal::{self, Entry};
use crate::publish::Publisher;
use crate::state::Beginning;

pub(crate) use change::in_file_order;
pub use comparison::{
    ComparedPath, ComparedPool, Comparison, Figures, Hits, Load, OLDEST, Part, Quantile, Question,
};
pub use cookies::{CacheableView, CookieView, CookiesView, FindingView, SkewView, TwiceView};
pub use forecast::{ForecastView, HarmForecast, StepForecast, forecast, rules};
pub use house::{
    DiscoveryView, DriftCause, DriftView, Form, Health, House, Invalid, Observation, Probing,
    RangeView, Share, TargetView,
};
pub use lend::{Loan, Settled, Terms};
pub use notice::Notice;
pub use order::{Action, Done, Order, Rejection, Shift};
pub use ramps::{Around, may_turn, probed};
pub use report::{
    Account, ChangeView, HarmView, IncidentView, ReportView, StageView, StepOf, SumView,
};
pub use standing::Standing;
pub use verdict::{
    BudgetView, GateView, GuardView, MetricView, Pace, RampView, Sides, SpentView, StepView,
    UsualView,
};

/// Orders waiting at the same time; more wait outside.
const QUEUE: usize = 256;
/// Notices that a slow reader may fall behind.
const NOTICES: usize = 1024;

/// Everything that wakes control.
pub(crate) enum Event {
    /// Somebody asked for a change, or a signal did.
    Order(Asked),
    /// The file was read for the orders that wait for it.
    Loaded(Box<Result<config::snapshot::Structure, Invalid>>),
    /// Another process asks for the state.
    Lend(lend::Wish),
    /// It is time to try again to write what could not be written.
    RetryDurable,
    /// The router ends.
    Shutdown(oneshot::Sender<()>),
}

/// An order on its way.
pub(crate) struct Asked {
    order: Order,
    /// When it came: what "in force" is measured from.
    at: Instant,
    reply: oneshot::Sender<Result<Done, Rejection>>,
}

/// The way to control, and to what it last said. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    inbox: mpsc::Sender<Event>,
    urgent: mpsc::Sender<Event>,
    standing: watch::Receiver<Arc<Standing>>,
    notices: broadcast::Sender<Notice>,
    house: Arc<dyn House>,
    publisher: Arc<Publisher>,
    folder: Arc<Path>,
}

/// What control starts with.
pub struct Setup {
    /// The state at start; its structure is the one the publisher's snapshot was compiled from.
    pub beginning: Beginning,
    /// Where snapshots are published.
    pub publisher: Arc<Publisher>,
    /// The rest of the program.
    pub house: Arc<dyn House>,
    /// When the router started, RFC 3339.
    pub started_at: String,
}

/// The task to run, once.
pub struct Run(task::Task);

/// Makes the handle and the task. Nothing happens before the task runs.
pub fn new(setup: Setup) -> io::Result<(Control, Run)> {
    let folder: Arc<Path> = setup.beginning.journal.folder().into();
    let (inbox, inbox_end) = mpsc::channel(QUEUE);
    let (urgent, urgent_end) = mpsc::channel(QUEUE);
    let (notices, _) = broadcast::channel(NOTICES);
    let standing = Standing::first(
        &setup.beginning,
        &setup.publisher.current().snapshot,
        setup.started_at,
    );
    let (standing, standing_end) = watch::channel(Arc::new(standing));
    let task = task::Task::new(
        task::Wiring {
            house: Arc::clone(&setup.house),
            publisher: Arc::clone(&setup.publisher),
            standing,
            notices: notices.clone(),
            inbox: inbox_end,
            urgent: urgent_end,
            again: inbox.downgrade(),
        },
        setup.beginning,
    )?;
    let control = Control {
        inbox,
        urgent,
        standing: standing_end,
        notices,
        house: setup.house,
        publisher: setup.publisher,
        folder,
    };
    Ok((control, Run(task)))
}

impl Run {
    /// Carries out orders until `Control::shutdown`.
    pub async fn run(self) {
        self.0.run().await;
    }
}

impl Control {
    /// Asks for a change and waits for its outcome. A rollback overtakes everything that waits.
    pub async fn order(&self, order: Order) -> Result<Done, Rejection> {
        let lane = match order.action {
            Action::Rollback { .. } => &self.urgent,
            _ => &self.inbox,
        };
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            order,
            at: Instant::now(),
            reply,
        };
        if lane.send(Event::Order(asked)).await.is_err() {
            return Err(Rejection::Closed);
        }
        answer.await.unwrap_or(Err(Rejection::Closed))
    }

    /// What is in force and who made it so. Never waits.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing.borrow())
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<crate::publish::Published> {
        self.publisher.current()
    }

    /// The rest of the program.
    pub fn house(&self) -> &Arc<dyn House> {
        &self.house
    }

    /// Changes and news from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Tells everybody who listens something that is no change: a target's state.
    pub fn announce(&self, notice: Notice) {
        // Nobody may be listening.
        drop(self.notices.send(notice));
    }

    /// The last `limit` changes, newest first; those that could not be written yet are among them.
    pub async fn history(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let unwritten = self.standing();
        let unwritten = unwritten.unwritten.iter().map(|entry| Entry::clone(entry));
        let mut entries = self.written().await?;
        let last = entries.last().map_or(0, |entry| entry.revision);
        entries.extend(unwritten.filter(|entry| entry.revision > last));
        Ok(entries.into_iter().rev().take(limit).collect())
    }

    /// The live state at `revision`, as the journal has it.
    pub async fn state_at(&self, revision: u64) -> Result<Live, Rejection> {
        let entries = self
            .written()
            .await
            .map_err(|error| Rejection::NoJournal(error.to_string()))?;
        journal::replay(&entries, revision).ok_or_else(|| Rejection::NoRevision {
            revision,
            first: entries.first().map_or(0, |entry| entry.revision),
            last: entries.last().map_or(0, |entry| entry.revision),
        })
    }

    async fn written(&self) -> io::Result<Vec<Entry>> {
        let folder: PathBuf = self.folder.to_path_buf();
        let read = tokio::task::spawn_blocking(move || journal::read(&folder)).await;
        match read.map_err(io::Error::other)? {
            Ok(chain) => Ok(chain.entries),
            Err(error) if is_gone(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Ends the task after what it is doing, with a last try to write what is unwritten; waits at most `patience`.
    pub async fn shutdown(&self, patience: Duration) {
        let (done, ended) = oneshot::channel();
        if self.urgent.send(Event::Shutdown(done)).await.is_ok() {
            drop(tokio::time::timeout(patience, ended).await);
        }
    }
}

/// Whether there is no journal, rather than one that cannot be read.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests;
