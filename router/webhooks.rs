//! Webhooks: services that are told what happens, in order, signed, and tried again until they take it.
//!
//! One task listens to control's notices, and each hook has a queue and a task of its own. Nobody waits for any of
//! them: what does not fit into a queue is dropped and counted.

mod body;
mod queue;
mod sign;

use std::time::Duration;

use config::model::Webhook;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::control::{Control, Notice};
use crate::metrics::Metrics;
use body::Event;
use queue::Hook;

/// How often the file in force is looked at when nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Tells the webhooks of the file in force, until `stop` is true and what was in the queues has had a last try.
pub async fn run(control: Control, metrics: std::sync::Arc<Metrics>, stop: watch::Receiver<bool>) {
    let mut notices = control.notices();
    let mut teller = Teller {
        metrics,
        stop: stop.clone(),
        settings: Vec::new(),
        hooks: Vec::new(),
        tasks: JoinSet::new(),
    };
    let mut stopped = stop;
    loop {
        teller.align(&control.standing().structure.webhooks);
        tokio::select! {
            notice = notices.recv() => match notice {
                Ok(notice) => {
                    // The hooks of the file that the notice may be about.
                    teller.align(&control.standing().structure.webhooks);
                    teller.tell(&notice);
                }
                Err(RecvError::Lagged(n)) => teller.missed(n),
                Err(RecvError::Closed) => break,
            },
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    teller.end(&mut notices).await;
}

struct Teller {
    metrics: std::sync::Arc<Metrics>,
    stop: watch::Receiver<bool>,
    settings: Vec<Webhook>,
    hooks: Vec<Hook>,
    tasks: JoinSet<()>,
}

impl Teller {
    /// Takes the hooks of a file into use. One that is as it was goes on; one that is gone, or is another one now, tells
    /// what it has.
    fn align(&mut self, webhooks: &[Webhook]) {
        if self.settings == webhooks {
            return;
        }
        let mut before = std::mem::take(&mut self.hooks);
        for settings in webhooks {
            let known = before.iter().position(|hook| hook.has(settings));
            let hook = match known {
                Some(known) => before.swap_remove(known),
                None => {
                    let (hook, work) = Hook::new(settings, &self.metrics, self.stop.clone());
                    self.tasks.spawn(work.run());
                    hook
                }
            };
            self.hooks.push(hook);
        }
        self.settings = webhooks.to_vec();
        // Those that have told everything.
        while self.tasks.try_join_next().is_some() {}
    }

    fn tell(&self, notice: &Notice) {
        for hook in &self.hooks {
            if let Some(event) = Event::of(notice, hook.events()) {
                hook.push(event);
            }
        }
    }

    /// Too much happened at once for this task.
    fn missed(&self, n: u64) {
        self.hooks.iter().for_each(|hook| hook.missed(n));
    }

    async fn end(mut self, notices: &mut broadcast::Receiver<Notice>) {
        loop {
            match notices.try_recv() {
                Ok(notice) => self.tell(&notice),
                Err(TryRecvError::Lagged(n)) => self.missed(n),
                Err(_) => break,
            }
        }
        // A task ends with its queue, which ends with its hook.
        self.hooks.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}
