//! Series of spans.

use prometheus::{IntCounter, IntCounterVec};

use super::own::Own;

pub(super) struct Spans(IntCounterVec);

/// What becomes of spans; each is counted once.
#[derive(Clone)]
pub struct SpanSeries {
    /// The collector has them.
    pub exported: IntCounter,
    /// It will not take them.
    pub rejected: IntCounter,
    /// It did not take them in time.
    pub failed: IntCounter,
    /// They were never sent, because too many waited.
    pub dropped: IntCounter,
}

impl Spans {
    pub(super) fn new(own: &Own<'_>) -> Self {
        Self(own.counters(
            "kanaria_spans_total",
            "Spans of requests, by what became of them.",
            &["result"],
        ))
    }

    /// From 0 on, so that the first loss is seen as a rise.
    pub(super) fn series(&self) -> SpanSeries {
        let series = |result| self.0.with_label_values(&[result]);
        SpanSeries {
            exported: series("exported"),
            rejected: series("rejected"),
            failed: series("failed"),
            dropped: series("dropped"),
        }
    }
}
