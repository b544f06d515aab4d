//! Series of shadows.

use std::sync::Arc;

use super::family::Family;
use super::measure::Counter;
use super::own::Own;

pub(super) struct Shadow {
    copies: Arc<Family<Counter>>,
}

impl Shadow {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            copies: own.counters(
                "kanaria_shadow_total",
                "Requests of a route that were to be copied for its shadow pool, by what became of the copy.",
                &["route", "result"],
            ),
        }
    }

    pub(super) fn of(&self, route: &str, result: &str) -> Arc<Counter> {
        self.copies.of(&[route, result])
    }
}
