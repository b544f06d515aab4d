//! Series of shadows.

use prometheus::{IntCounter, IntCounterVec};

use super::own::Own;

pub(super) struct Shadow {
    copies: IntCounterVec,
}

impl Shadow {
    pub(super) fn new(own: &Own<'_>) -> Self {
        Self {
            copies: own.counters(
                "kanaria_shadow_total",
                "Requests of a route that were to be copied for its shadow pool, by what became of the copy.",
                &["route", "result"],
            ),
        }
    }

    pub(super) fn of(&self, route: &str, result: &str) -> IntCounter {
        self.copies.with_label_values(&[route, result])
    }
}
