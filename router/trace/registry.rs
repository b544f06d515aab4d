//! The tracer of the file in force, and the one thread that sends spans, whatever file they are of.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use config::model::Telemetry;
use config::snapshot::Structure;
use tokio::sync::mpsc::Sender;
use tokio::sync::{mpsc, oneshot, watch};

use super::Tracer;
use super::export::{Collector, Exporter, QUEUE};
use super::sampler::Sampler;
use super::span::Span;
use crate::metrics::Metrics;
use crate::request_id;

/// All tracing of the process. Only control aligns it; requests use the tracer of their snapshot.
pub struct Traces {
    metrics: Arc<Metrics>,
    /// `service.instance.id`: no other process has it.
    instance: String,
    known: Mutex<Known>,
    current: ArcSwapOption<Tracer>,
}

#[derive(Default)]
struct Known {
    settings: Option<Arc<Telemetry>>,
    /// There once a file has had a collector.
    thread: Option<Thread>,
}

/// What sends.
struct Thread {
    spans: Sender<Box<Span>>,
    collector: watch::Sender<Arc<Collector>>,
    stop: watch::Sender<bool>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Default for Traces {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Traces {
    /// None yet; what becomes of spans is counted in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            instance: request_id::fresh(),
            known: Mutex::default(),
            current: ArcSwapOption::empty(),
        }
    }

    /// Takes `[telemetry]` of `structure` into use; returns what of it does not work. What waits for a collector that is gone
    /// goes to the one in its place, and where there is none any more, still to the last.
    pub fn align(&self, structure: &Structure) -> Option<String> {
        let mut known = self.known();
        if known.settings == structure.telemetry {
            return None;
        }
        let Some(telemetry) = &structure.telemetry else {
            known.settings = None;
            self.current.store(None);
            return None;
        };
        let collector = Arc::new(Collector::of(telemetry, &self.instance));
        let thread = match known.thread(collector, &self.metrics) {
            Ok(thread) => thread,
            Err(error) => return Some(format!("no span is made: {error}")),
        };
        let tracer = Tracer {
            sampler: Sampler::of(telemetry),
            spans: thread.spans.clone(),
            series: self.metrics.spans(),
        };
        self.current.store(Some(Arc::new(tracer)));
        known.settings = Some(Arc::clone(telemetry));
        None
    }

    /// What the requests of the file that was aligned last are traced by; `None` without `[telemetry]`.
    pub fn current(&self) -> Option<Arc<Tracer>> {
        self.current.load_full()
    }

    /// Sends what waits, once, within `patience`; to be called when no request is left.
    pub async fn close(&self, patience: Duration) {
        let ended = self.known().thread.as_mut().and_then(Thread::stop);
        let Some(ended) = ended else { return };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("spans that waited for the collector in the end were not sent");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The thread, which sends to `collector` from now on.
    fn thread(&mut self, collector: Arc<Collector>, metrics: &Metrics) -> io::Result<&Thread> {
        match &self.thread {
            Some(thread) => drop(thread.collector.send_replace(collector)),
            None => self.thread = Some(Thread::start(collector, metrics)?),
        }
        self.thread
            .as_ref()
            .ok_or_else(|| io::Error::other("there is no thread"))
    }
}

impl Thread {
    fn start(collector: Arc<Collector>, metrics: &Metrics) -> io::Result<Self> {
        let (spans, waiting) = mpsc::channel(QUEUE);
        let (collector, named) = watch::channel(collector);
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let exporter = Exporter::new(waiting, named, stopped, metrics.spans());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("kanaria-traces".into())
            .spawn(move || {
                runtime.block_on(exporter.run());
                // Nobody listens when the process ends otherwise.
                let _ = end.send(());
            })?;
        Ok(Self {
            spans,
            collector,
            stop,
            ended: Some(ended),
        })
    }

    /// Tells it to end, and when it has; the first call counts.
    fn stop(&mut self) -> Option<oneshot::Receiver<()>> {
        self.stop.send_replace(true);
        self.ended.take()
    }
}
