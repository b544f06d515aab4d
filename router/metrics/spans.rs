//! Series of spans.

use std::sync::Arc;

use super::family::Family;
use super::measure::Counter;
use super::own::Own;

pub(super) struct Spans(Arc<Family<Counter>>);

/// What becomes of spans; each is counted once.
#[derive(Clone)]
pub struct SpanSeries {
    /// The collector has them.
    pub exported: Arc<Counter>,
    /// It will not take them.
    pub rejected: Arc<Counter>,
    /// It did not take them in time.
    pub failed: Arc<Counter>,
    /// They were never sent, because too many waited.
    pub dropped: Arc<Counter>,
}

impl Spans {
    pub(super) fn new(own: &Own) -> Self {
        Self(own.counters(
            "kanaria_spans_total",
            "Spans of requests, by what became of them.",
            &["result"],
        ))
    }

    /// From 0 on, so that the first loss is seen as a rise.
    pub(super) fn series(&self) -> SpanSeries {
        let series = |result| self.0.of(&[result]);
        SpanSeries {
            exported: series("exported"),
            rejected: series("rejected"),
            failed: series("failed"),
            dropped: series("dropped"),
        }
    }
}
