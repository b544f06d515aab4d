//! Numbers that series count: one atomic each, moved without a lock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::family::{Kind, Measure};
use super::messages::{Metric, Number};
use super::text;

/// What only grows.
// On a cache line of its own: threads that count different series must not take the line from each other.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Counter(AtomicU64);

/// A whole number that goes up and down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Gauge(AtomicI64);

/// A number with a fraction, which is set.
#[derive(Debug, Default)]
pub(super) struct Ratio(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// So many more.
    pub fn inc_by(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// What is counted elsewhere stands at `n`.
    pub(super) fn copy(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

impl Gauge {
    /// One more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(super) fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }
}

impl Ratio {
    pub(super) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

impl Measure for Counter {
    const KIND: Kind = Kind::Counter;

    fn lines(&self, name: &str, labels: &str, text: &mut String) {
        text::line(name, labels, self.get(), text);
    }

    fn metric(&self) -> Metric {
        Metric {
            counter: Some(Number::of(self.get() as f64)),
            ..Metric::default()
        }
    }
}

impl Measure for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn lines(&self, name: &str, labels: &str, text: &mut String) {
        text::line(name, labels, self.0.load(Relaxed), text);
    }

    fn metric(&self) -> Metric {
        Metric {
            gauge: Some(Number::of(self.0.load(Relaxed) as f64)),
            ..Metric::default()
        }
    }
}

impl Measure for Ratio {
    const KIND: Kind = Kind::Gauge;

    fn lines(&self, name: &str, labels: &str, text: &mut String) {
        text::line(name, labels, self.get(), text);
    }

    fn metric(&self) -> Metric {
        Metric {
            gauge: Some(Number::of(self.get())),
            ..Metric::default()
        }
    }
}
