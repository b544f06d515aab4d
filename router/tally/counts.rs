//! Counters of one partition in one pool of a route.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Kind;
use crate::record::Record;

/// What requests add to.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    refused: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    busy_us: AtomicU64,
}

/// What they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that the weights, or a pin, sent to the pool.
    pub requests: u64,
    /// Of these, answered 5xx.
    pub failed: u64,
    /// Of these, not answered: no connection, no answer in time, a broken one, or stable served in its place.
    pub unanswered: u64,
    /// Of these, answered 401, 403, 404 or 429.
    pub refused: u64,
    /// Bytes from their clients.
    pub bytes_in: u64,
    /// Bytes to their clients.
    pub bytes_out: u64,
    /// How long they took together, in microseconds; WebSockets are left out.
    pub busy_us: u64,
}

impl Counts {
    pub(super) fn add(&self, record: &Record) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes_in.fetch_add(record.bytes_in, Relaxed);
        self.bytes_out.fetch_add(record.bytes_out, Relaxed);
        if record.status != 101 {
            let busy_us = record.duration.as_micros() as u64;
            self.busy_us.fetch_add(busy_us, Relaxed);
        }
    }

    pub(super) fn bad(&self, kind: Kind) {
        let counter = match kind {
            Kind::Failed => &self.failed,
            Kind::Refused => &self.refused,
            Kind::Unanswered => &self.unanswered,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn look(&self) -> Totals {
        self.each(|counter| counter.load(Relaxed))
    }

    pub(super) fn take(&self) -> Totals {
        self.each(|counter| counter.swap(0, Relaxed))
    }

    /// What went wrong is read first, so that it is never more than there were requests.
    fn each(&self, read: impl Fn(&AtomicU64) -> u64) -> Totals {
        let (failed, unanswered, refused) = (
            read(&self.failed),
            read(&self.unanswered),
            read(&self.refused),
        );
        Totals {
            failed,
            unanswered,
            refused,
            requests: read(&self.requests),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            busy_us: read(&self.busy_us),
        }
    }
}

impl Totals {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.busy_us += other.busy_us;
    }
}
