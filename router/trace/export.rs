//! The thread that sends spans: in batches, one after the other, each tried again for a while.
//!
//! It alone waits for the collector. What it sends in the end has one try more, and the end has a bound of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use config::model::Telemetry;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::encode;
use super::reply::Reply;
use super::span::Span;
use crate::client::Trust;
use crate::dial::{self, Address, Silence};
use crate::metrics::SpanSeries;

/// Spans that wait at most; more are dropped. Each has a few hundred bytes.
pub(super) const QUEUE: usize = 8192;
/// Spans that are sent at a time.
const BATCH: usize = 512;
/// No span waits longer for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);
/// From a try that failed to the next one, at first; then twice as long each time, until one is taken.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A batch is tried again for so long.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Who takes spans.
#[derive(Clone)]
pub(super) struct Collector {
    address: Address,
    headers: HeaderMap,
    timeout: Duration,
    resource: Resource,
}

impl Collector {
    /// The one of `telemetry`, which is told that the process is `instance`.
    pub(super) fn of(telemetry: &Telemetry, instance: &str) -> Self {
        let base = telemetry.otlp.trim_end_matches('/');
        let headers = telemetry.headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        Self {
            address: Address::of(&format!("{base}/v1/traces")),
            headers: headers.collect(),
            timeout: telemetry.timeout.0,
            resource: encode::resource(telemetry, instance),
        }
    }

    async fn ask(&mut self, body: Bytes) -> Result<Response<Bytes>, Silence> {
        let mut request = Request::post(&self.address.path)
            .header(header::HOST, &self.address.authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(
                header::USER_AGENT,
                concat!("kanaria/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(body))?;
        request.headers_mut().extend(self.headers.clone());
        let trust = || Trust::default().connector();
        let stream = self.address.connect(trust).await?;
        dial::ask(stream, request, LARGEST_ANSWER).await
    }

    async fn attempt(&mut self, body: Bytes) -> Reply {
        let patience = self.timeout;
        let later = |why| Reply::Later { why, pause: None };
        match timeout(patience, self.ask(body)).await {
            Err(_) => later(format!("no answer within {} s", patience.as_secs_f64())),
            Ok(Err(error)) => later(error.to_string()),
            Ok(Ok(answer)) => Reply::of(&answer, SystemTime::now()),
        }
    }
}

/// What sends spans.
pub(super) struct Exporter {
    spans: mpsc::Receiver<Box<Span>>,
    collector: Collector,
    /// Another one takes what waits when the file names another one.
    named: watch::Receiver<Arc<Collector>>,
    stop: watch::Receiver<bool>,
    series: SpanSeries,
    pause: Duration,
    /// What was last said of a collector that does not take spans.
    complaint: Option<String>,
}

impl Exporter {
    pub(super) fn new(
        spans: mpsc::Receiver<Box<Span>>,
        named: watch::Receiver<Arc<Collector>>,
        stop: watch::Receiver<bool>,
        series: SpanSeries,
    ) -> Self {
        let collector = Collector::clone(&named.borrow());
        Self {
            spans,
            collector,
            named,
            stop,
            series,
            pause: FIRST_PAUSE,
            complaint: None,
        }
    }

    /// Sends what comes, until `stop` is true and nothing waits.
    pub(super) async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            self.deliver(&batch).await;
        }
    }

    /// The next batch: as many as go into one, or what came within the delay. Empty at the end.
    async fn gather(&mut self) -> Vec<Box<Span>> {
        let mut batch = Vec::new();
        let stopped = |stop: &bool| *stop;
        tokio::select! {
            biased;
            _ = self.spans.recv_many(&mut batch, BATCH) => {}
            Ok(_) = self.stop.wait_for(stopped) => {}
        }
        let end = Instant::now() + DELAY;
        while batch.len() < BATCH && !*self.stop.borrow() {
            let room = BATCH - batch.len();
            let more = self.spans.recv_many(&mut batch, room);
            tokio::select! {
                more = timeout_at(end, more) => match more {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return batch,
                },
                Ok(_) = self.stop.wait_for(stopped) => {}
            }
        }
        while batch.len() < BATCH {
            match self.spans.try_recv() {
                Ok(span) => batch.push(span),
                Err(_) => break,
            }
        }
        batch
    }

    /// Tries until they are taken, or will not be. Who asked for a pause has it also from the next batch.
    async fn deliver(&mut self, batch: &[Box<Span>]) {
        let n_spans = batch.len() as u64;
        let began = Instant::now();
        loop {
            // Asked before the try, so that a last one follows the end.
            let is_last = *self.stop.borrow();
            let (why, pause) = match self.attempt(batch).await {
                Reply::Taken { rejected, why } => return self.taken(n_spans, rejected, why),
                Reply::Never(why) => {
                    self.series.rejected.inc_by(n_spans);
                    return self.complain(why);
                }
                Reply::Later { why, pause } => (why, pause),
            };
            self.complain(why);
            let is_spent = is_last || began.elapsed() > RETRY_FOR;
            if is_spent {
                self.series.failed.inc_by(n_spans);
            }
            if !is_last {
                self.wait(pause).await;
            }
            if is_spent {
                return;
            }
        }
    }

    async fn attempt(&mut self, batch: &[Box<Span>]) -> Reply {
        if self.named.has_changed().unwrap_or(false) {
            self.collector = Collector::clone(&self.named.borrow_and_update());
        }
        let message = encode::message(batch, &self.collector.resource);
        self.collector.attempt(message.encode_to_vec().into()).await
    }

    fn taken(&mut self, n_spans: u64, rejected: u64, why: String) {
        self.pause = FIRST_PAUSE;
        let rejected = rejected.min(n_spans);
        self.series.rejected.inc_by(rejected);
        self.series.exported.inc_by(n_spans - rejected);
        if rejected > 0 {
            self.complain(format!("it does not take some of them: {why}"));
        } else if self.complaint.take().is_some() {
            tracing::info!("spans are taken again by {}", self.authority());
        }
    }

    /// Waits for as long as it `asks` for, else longer each time, and a bit longer than others; not beyond another collector
    /// or the end.
    async fn wait(&mut self, asks: Option<Duration>) {
        let jitter = rand::rng().random_range(1.0..1.25);
        let pause = asks.unwrap_or(self.pause).mul_f64(jitter);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // No sender goes before the end.
            Ok(()) = self.named.changed() => {
                self.pause = FIRST_PAUSE;
                self.named.mark_changed();
            }
            Ok(_) = self.stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Says why spans are not taken, once as long as it is the same.
    fn complain(&mut self, why: String) {
        if self.complaint.as_ref() != Some(&why) {
            tracing::warn!("spans are not taken by {}: {why}", self.authority());
            self.complaint = Some(why);
        }
    }

    fn authority(&self) -> &str {
        &self.collector.address.authority
    }
}
