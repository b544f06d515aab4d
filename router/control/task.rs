//! The task: takes one event after the other, and finishes each before the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Structure;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use super::carry::Plan;
use super::{
    Action, Asked, Done, Event, House, Invalid, Notice, Observation, Order, Rejection, Standing,
    change,
};
use crate::journal::Writer;
use crate::publish::{Older, Publisher};
use crate::state::Beginning;

/// Between two tries to write what could not be written: from, to.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Ends of the channels, and what is shared.
pub(super) struct Wiring {
    pub(super) house: Arc<dyn House>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) standing: watch::Sender<Arc<Standing>>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) inbox: mpsc::Receiver<Event>,
    pub(super) urgent: mpsc::Receiver<Event>,
    pub(super) again: mpsc::WeakSender<Event>,
}

pub(super) struct Task {
    pub(super) wiring: Wiring,
    pub(super) writer: Writer,
    /// Events that came while a change was being written.
    pub(super) early: VecDeque<Event>,
    pub(super) older: Older,
    /// Orders whose file is being read, and those that came after reading began.
    loading: Vec<Asked>,
    reloads: Vec<Asked>,
    pub(super) retry: Option<Retry>,
}

pub(super) struct Retry {
    at: Instant,
    pause: Duration,
}

impl Task {
    pub(super) fn new(wiring: Wiring, beginning: Beginning) -> std::io::Result<Self> {
        let unwritten = !beginning.unwritten.is_empty();
        Ok(Self {
            wiring,
            writer: Writer::start(beginning.journal)?,
            early: VecDeque::new(),
            older: Older::default(),
            loading: Vec::new(),
            reloads: Vec::new(),
            retry: unwritten.then(Retry::at_once),
        })
    }

    pub(super) async fn run(mut self) {
        while let Some(event) = self.next().await {
            match event {
                Event::Order(asked) => self.ordered(asked).await,
                Event::Loaded(outcome) => self.loaded(*outcome).await,
                Event::Lend(wish) => {
                    if self.lend(wish).await {
                        drop(tokio::task::spawn_blocking(|| self.writer.close()).await);
                        return;
                    }
                }
                Event::RetryDurable => self.retry().await,
                Event::Shutdown(done) => {
                    self.retry().await;
                    let closed = tokio::task::spawn_blocking(|| self.writer.close()).await;
                    // Whoever waited may have lost patience.
                    drop(closed.map(|()| done.send(())));
                    return;
                }
            }
        }
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.early.pop_front() {
            return Some(event);
        }
        let retry_at = self.retry.as_ref().map(|retry| retry.at);
        tokio::select! {
            biased;
            event = self.wiring.urgent.recv() => event,
            () = due(retry_at) => Some(Event::RetryDurable),
            event = self.wiring.inbox.recv() => event,
        }
    }

    pub(super) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.wiring.standing.borrow())
    }

    async fn ordered(&mut self, asked: Asked) {
        if matches!(asked.order.action, Action::Reload) {
            self.reloads.push(asked);
            self.read_file();
            return;
        }
        let outcome = self.changed(&asked.order, asked.at).await;
        self.answer(asked, outcome);
    }

    async fn changed(&mut self, order: &Order, asked_at: Instant) -> Result<Done, Rejection> {
        let standing = self.standing();
        change::precondition(&standing, order)?;
        let plan = Plan {
            order,
            asked_at,
            structure: Arc::clone(&standing.structure),
            change: change::worked_out(&standing, &*self.wiring.house, &order.action)?,
        };
        drop(standing);
        self.carry_out(plan).await
    }

    /// Starts reading the file for all who wait, unless it is being read: what is read now may be older than their order.
    fn read_file(&mut self) {
        if !self.loading.is_empty() || self.reloads.is_empty() {
            return;
        }
        self.loading = std::mem::take(&mut self.reloads);
        let (house, again) = (Arc::clone(&self.wiring.house), self.wiring.again.clone());
        tokio::spawn(async move {
            let load = tokio::task::spawn_blocking(move || house.load());
            let outcome = load.await.unwrap_or_else(|_| Err(Invalid::panicked()));
            if let Some(inbox) = again.upgrade() {
                drop(inbox.send(Event::Loaded(Box::new(outcome))).await);
            }
        });
    }

    async fn loaded(&mut self, outcome: Result<Structure, Invalid>) {
        let outcome = outcome.map(Arc::new);
        for asked in std::mem::take(&mut self.loading) {
            let before = self.standing().revision();
            let outcome = self.reloaded(&asked, &outcome).await;
            if !asked.order.dry_run {
                self.reported(&asked.order, before, &outcome);
            }
            self.answer(asked, outcome);
        }
        self.read_file();
    }

    async fn reloaded(
        &mut self,
        asked: &Asked,
        outcome: &Result<Arc<Structure>, Invalid>,
    ) -> Result<Done, Rejection> {
        let standing = self.standing();
        change::precondition(&standing, &asked.order)?;
        let structure = outcome
            .as_ref()
            .map_err(|i| Rejection::Invalid(i.clone()))?;
        change::needs_restart(&standing.structure, structure)?;
        let mut change = change::reloaded(&standing, structure);
        let at_start = change::read_at_start(&standing.structure, structure);
        change.notes.extend(at_start);
        let plan = Plan {
            order: &asked.order,
            asked_at: asked.at,
            structure: Arc::clone(structure),
            change,
        };
        drop(standing);
        self.carry_out(plan).await
    }

    /// A refused file has to be seen by those who did not ask, too.
    fn reported(&self, order: &Order, before: u64, outcome: &Result<Done, Rejection>) {
        let (result, refused) = match outcome {
            Ok(done) if !done.held.is_empty() => ("held", None),
            Ok(done) if done.revision == before => ("unchanged", None),
            Ok(_) => ("applied", None),
            Err(rejection) => ("refused", Some(in_a_line(rejection))),
        };
        self.wiring.house.observe(Observation::Reloaded(result));
        if let Err(rejection) = outcome {
            tracing::error!(actor = order.actor, "reload refused: {rejection}");
            let problems = match rejection {
                Rejection::Invalid(invalid) => invalid.problems.clone(),
                other => vec![serde_json::json!({ "message": other.to_string() })],
            };
            self.announce(Notice::refused(&order.actor, &problems));
        }
        self.wiring
            .standing
            .send_modify(|standing| Arc::make_mut(standing).refused = refused);
    }

    pub(super) fn announce(&self, notice: Notice) {
        // Nobody may be listening.
        drop(self.wiring.notices.send(notice));
    }

    fn answer(&self, asked: Asked, outcome: Result<Done, Rejection>) {
        // Who asked may have gone; the change stands all the same.
        drop(asked.reply.send(outcome));
    }
}

impl Retry {
    fn at_once() -> Self {
        Self {
            at: Instant::now(),
            pause: RETRY.0,
        }
    }

    pub(super) fn soon() -> Self {
        Self {
            at: Instant::now() + RETRY.0,
            pause: RETRY.0,
        }
    }

    pub(super) fn later(self) -> Self {
        let pause = (self.pause * 2).min(RETRY.1);
        Self {
            at: Instant::now() + pause,
            pause,
        }
    }
}

impl Invalid {
    fn panicked() -> Self {
        let text = "reading the file failed by a defect of the router".to_owned();
        Self {
            problems: vec![serde_json::json!({ "message": text })],
            text,
        }
    }
}

/// A rejection for a list of warnings: the first line of it, without the sketch of the place, and how many more there are.
fn in_a_line(rejection: &Rejection) -> String {
    let (first, n_more) = match rejection {
        Rejection::Invalid(invalid) => (
            invalid.text.lines().next().unwrap_or_default().to_owned(),
            invalid.problems.len().saturating_sub(1),
        ),
        Rejection::NeedsRestart(why) => (why.clone(), 0),
        other => (other.to_string(), 0),
    };
    match n_more {
        0 => first,
        n_more => format!("{first} (and {n_more} more: `kanaria check` tells all)"),
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
