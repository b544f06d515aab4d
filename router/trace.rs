//! Traces: which requests belong to one, what a target is told of it, and spans for a collector.
//!
//! One span of kind SERVER a request (decision 25), made when the request is over and given into a queue that nobody waits
//! for. A thread of its own sends what is in it. Without `[telemetry]` there is no tracer, no thread and no queue.

mod context;
mod encode;
mod export;
mod registry;
mod reply;
mod sampler;
mod span;

use rand::Rng;
use tokio::sync::mpsc::Sender;

pub use context::{Context, Parent, SpanId, TraceId};
pub use registry::Traces;
pub use sampler::{Fresh, Sampler, Told};
pub use span::Span;

use crate::metrics::SpanSeries;

/// What the requests of one file are traced by.
pub struct Tracer {
    sampler: Sampler,
    spans: Sender<Box<Span>>,
    series: SpanSeries,
}

impl Tracer {
    /// Where a request is in its trace, by what it says.
    pub fn context(&self, told: Told<'_>) -> Context {
        let mut random = rand::rng();
        let span = random.random_range(1..=u64::MAX);
        let trace = random.random_range(1..=u128::MAX);
        let fresh = Fresh {
            span: span.to_be_bytes(),
            trace: trace.to_be_bytes(),
        };
        self.sampler.context(told, fresh)
    }

    /// One more span for the collector; never waits.
    pub fn give(&self, span: Box<Span>) {
        if self.spans.try_send(span).is_err() {
            self.series.dropped.inc();
        }
    }
}
