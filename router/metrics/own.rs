//! Making families, so that a family is one statement where it is used, and showing all that were made.

use std::cell::RefCell;
use std::sync::Arc;

use super::family::{Family, Measure, Shown};
use super::measure::{Counter, Gauge, Ratio};
use super::process::Process;
use super::times::Times;

/// Makes families, and keeps them to be shown.
#[derive(Default)]
pub(super) struct Own(RefCell<Vec<Arc<dyn Shown>>>);

/// All that `/metrics` shows, in the order of the names.
pub(super) struct Exposition(Vec<Arc<dyn Shown>>);

impl Own {
    fn family<T: Measure + 'static>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        new: fn() -> T,
    ) -> Arc<Family<T>> {
        let family = Arc::new(Family::new(name, help, labels, new));
        let shown = Arc::clone(&family);
        self.0.borrow_mut().push(shown);
        family
    }

    pub(super) fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Arc<Family<Counter>> {
        self.family(name, help, labels, Counter::default)
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> Arc<Counter> {
        self.counters(name, help, &[]).of(&[])
    }

    pub(super) fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Arc<Family<Gauge>> {
        self.family(name, help, labels, Gauge::default)
    }

    pub(super) fn gauge(&self, name: &'static str, help: &'static str) -> Arc<Gauge> {
        self.gauges(name, help, &[]).of(&[])
    }

    pub(super) fn ratios(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Arc<Family<Ratio>> {
        self.family(name, help, labels, Ratio::default)
    }

    /// Histograms of times, each of which begins as `new` says.
    pub(super) fn times(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        new: fn() -> Times,
    ) -> Arc<Family<Times>> {
        self.family(name, help, labels, new)
    }

    pub(super) fn process(&self) {
        self.0.borrow_mut().push(Arc::new(Process::new()));
    }

    /// All that was made.
    pub(super) fn exposition(self) -> Exposition {
        let mut shown = self.0.into_inner();
        shown.sort_unstable_by_key(|shown| shown.name());
        let is_unique = shown
            .windows(2)
            .all(|pair| pair[0].name() != pair[1].name());
        assert!(is_unique, "each name is that of one family");
        Exposition(shown)
    }
}

impl Exposition {
    /// Writes everything in the text format.
    pub(super) fn write_text(&self, text: &mut String) {
        for shown in &self.0 {
            shown.write_text(text);
        }
    }

    /// Writes everything as messages.
    pub(super) fn write_messages(&self, messages: &mut Vec<u8>) {
        for shown in &self.0 {
            shown.write_messages(messages);
        }
    }
}
