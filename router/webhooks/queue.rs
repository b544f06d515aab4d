//! One hook: what waits for it, and the task that tells it, one event after the other.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use config::model::{Webhook, WebhookEvent};
use http::{Request, header};
use http_body_util::Full;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::body::Event;
use super::sign::signature;
use crate::client::Trust;
use crate::dial::{self, Address, Silence};
use crate::metrics::{HookSeries, Metrics};

/// Events that wait for one hook; more are dropped.
const QUEUE: usize = 256;
/// From a try that failed to the next one, at first; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest of these.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Where events for a hook go.
pub(super) struct Hook {
    settings: Arc<Webhook>,
    series: HookSeries,
    queue: mpsc::Sender<Event>,
}

/// What tells them.
pub(super) struct Work {
    settings: Arc<Webhook>,
    series: HookSeries,
    queue: mpsc::Receiver<Event>,
    stop: watch::Receiver<bool>,
    address: Address,
    name: String,
}

/// What came of a try.
enum Tried {
    Taken,
    /// It may be taken later.
    Later(String),
    /// It will not be taken, whenever it is sent.
    Never(String),
}

impl Hook {
    /// The hook of `settings`, and the task that serves it until it is dropped.
    pub(super) fn new(
        settings: &Webhook,
        metrics: &Metrics,
        stop: watch::Receiver<bool>,
    ) -> (Self, Work) {
        let settings = Arc::new(settings.clone());
        let address = Address::of(&settings.url);
        let name = settings.name.clone();
        let name = name.unwrap_or_else(|| address.authority.clone());
        let series = metrics.webhook(&name);
        let (queue, end) = mpsc::channel(QUEUE);
        let hook = Self {
            settings: Arc::clone(&settings),
            series: series.clone(),
            queue,
        };
        let work = Work {
            settings,
            series,
            queue: end,
            stop,
            address,
            name,
        };
        (hook, work)
    }

    pub(super) fn has(&self, settings: &Webhook) -> bool {
        *self.settings == *settings
    }

    pub(super) fn events(&self) -> &[WebhookEvent] {
        &self.settings.events
    }

    /// One more; never waits.
    pub(super) fn push(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.series.dropped.inc();
        }
    }

    /// Events that never came here.
    pub(super) fn missed(&self, n: u64) {
        self.series.dropped.inc_by(n);
    }
}

impl Work {
    /// Tells one event after the other, until the hook is dropped and nothing waits.
    pub(super) async fn run(mut self) {
        while let Some(event) = self.queue.recv().await {
            self.deliver(&event).await;
        }
    }

    async fn deliver(&mut self, event: &Event) {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            // Asked before the try, so that a last one follows the end.
            let is_last = *self.stop.borrow();
            let why = match self.attempt(event).await {
                Tried::Taken => return self.series.delivered.inc(),
                Tried::Never(why) => return self.give_up(event, &why),
                Tried::Later(why) => why,
            };
            if is_last || began.elapsed() + pause > self.settings.retry_for.0 {
                return self.give_up(event, &why);
            }
            self.series.retried.inc();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stop.wait_for(|stop| *stop) => {}
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn give_up(&self, event: &Event, why: &str) {
        self.series.failed.inc();
        tracing::warn!(
            "webhook {}: event {} `{}` was not taken: {why}",
            self.name,
            event.id,
            event.name
        );
    }

    async fn attempt(&mut self, event: &Event) -> Tried {
        let request = match self.request(event) {
            Ok(request) => request,
            Err(error) => return Tried::Never(error.to_string()),
        };
        let patience = self.settings.timeout.0;
        match timeout(patience, self.send(request)).await {
            Err(_) => Tried::Later(format!("no answer within {}", self.settings.timeout)),
            Ok(Err(error)) => Tried::Later(error.to_string()),
            Ok(Ok(200..=299)) => Tried::Taken,
            Ok(Ok(status @ (408 | 429 | 500..))) => Tried::Later(format!("it answers {status}")),
            Ok(Ok(status)) => Tried::Never(format!("it answers {status}")),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<u16, Silence> {
        let trust = || Trust::default().connector();
        let stream = self.address.connect(trust).await?;
        dial::ask_status(stream, request).await
    }

    fn request(&self, event: &Event) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(&self.address.path)
            .header(header::HOST, &self.address.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("kanaria/", env!("CARGO_PKG_VERSION")),
            )
            .header("kanaria-event", event.name)
            .header("kanaria-delivery", &event.id);
        if let Some(secret) = &self.settings.secret {
            // Made anew for each try: a receiver may refuse an old time.
            let value = signature(secret, now(), &event.body);
            request = request.header("kanaria-signature", value);
        }
        request.body(Full::new(event.body.clone()))
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
