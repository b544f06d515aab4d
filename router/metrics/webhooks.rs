//! Series of webhooks.

use prometheus::{IntCounter, IntCounterVec};

use super::own::Own;

pub(super) struct Webhooks(IntCounterVec);

/// What one hook counts.
#[derive(Clone)]
pub struct HookSeries {
    /// Events that it took.
    pub delivered: IntCounter,
    /// Tries that failed and were followed by another one.
    pub retried: IntCounter,
    /// Events that it did not take.
    pub failed: IntCounter,
    /// Events that were never sent, because too many waited.
    pub dropped: IntCounter,
}

impl Webhooks {
    pub(super) fn new(own: &Own<'_>) -> Self {
        Self(own.counters(
            "kanaria_webhook_deliveries_total",
            "Events for webhooks by what became of them; further tries are counted as `retried`.",
            &["hook", "result"],
        ))
    }

    /// From 0 on, so that the first failure is seen as a rise.
    pub(super) fn of(&self, hook: &str) -> HookSeries {
        let series = |result| self.0.with_label_values(&[hook, result]);
        HookSeries {
            delivered: series("delivered"),
            retried: series("retried"),
            failed: series("failed"),
            dropped: series("dropped"),
        }
    }
}
