//! Series of webhooks.

use std::sync::Arc;

use super::family::Family;
use super::measure::Counter;
use super::own::Own;

pub(super) struct Webhooks(Arc<Family<Counter>>);

/// What one hook counts.
#[derive(Clone)]
pub struct HookSeries {
    /// Events that it took.
    pub delivered: Arc<Counter>,
    /// Tries that failed and were followed by another one.
    pub retried: Arc<Counter>,
    /// Events that it did not take.
    pub failed: Arc<Counter>,
    /// Events that were never sent, because too many waited.
    pub dropped: Arc<Counter>,
}

impl Webhooks {
    pub(super) fn new(own: &Own) -> Self {
        Self(own.counters(
            "kanaria_webhook_deliveries_total",
            "Events for webhooks by what became of them; further tries are counted as `retried`.",
            &["hook", "result"],
        ))
    }

    /// From 0 on, so that the first failure is seen as a rise.
    pub(super) fn of(&self, hook: &str) -> HookSeries {
        let series = |result| self.0.of(&[hook, result]);
        HookSeries {
            delivered: series("delivered"),
            retried: series("retried"),
            failed: series("failed"),
            dropped: series("dropped"),
        }
    }
}
