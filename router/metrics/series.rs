//! The series that finished requests move, and which of them one request does.

use std::sync::Arc;

use config::decision::Reason;
use config::snapshot::Snapshot;

use super::family::Family;
use super::key::Key;
use super::measure::Counter;
use super::own::Own;
use super::shares::Line;
use super::switches::Stamp;
use super::times::Times;
use crate::record::Record;
use crate::tally::Seat;

/// Series of finished requests, by their labels.
pub(super) struct Vectors {
    requests: Arc<Family<Counter>>,
    duration: Arc<Family<Times>>,
    upstream: Arc<Family<Times>>,
    received: Arc<Family<Counter>>,
    sent: Arc<Family<Counter>>,
    /// What is counted by who remembers clients.
    pub(super) switches: Arc<Family<Counter>>,
    sticky: Arc<Family<Counter>>,
}

/// The series that one request moves.
pub(super) struct Series {
    requests: Arc<Counter>,
    duration: Arc<Times>,
    upstream: Option<Arc<Times>>,
    received: Arc<Counter>,
    sent: Arc<Counter>,
    sticky: Option<Arc<Counter>>,
    /// Where pools are compared; none when it is charged to none.
    pub(super) seat: Option<Seat>,
    /// Where its requests count to the shares of their route.
    pub(super) line: Option<Arc<Line>>,
    /// What its requests have in common for the memory of clients.
    pub(super) stamp: Stamp,
}

impl Vectors {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            requests: own.counters(
                "kanaria_requests_total",
                "Finished requests; code 000 means that nothing was sent, 460 that the client was gone.",
                &["route", "partition", "pool", "reason", "code"],
            ),
            duration: own.times(
                "kanaria_request_duration_seconds",
                "From a request's first byte to its end; upgraded connections are left out.",
                &["route", "partition", "pool"],
                Times::of_requests,
            ),
            upstream: own.times(
                "kanaria_upstream_duration_seconds",
                "From the head sent to a target to the first byte of its answer.",
                &["route", "pool"],
                Times::of_requests,
            ),
            received: own.counters(
                "kanaria_received_bytes_total",
                "Bytes read from clients: heads and bodies of requests that finished.",
                &["route", "partition", "pool"],
            ),
            sent: own.counters(
                "kanaria_sent_bytes_total",
                "Bytes sent to clients: heads and bodies of the answers to them.",
                &["route", "partition", "pool"],
            ),
            switches: own.counters(
                "kanaria_pool_switches_total",
                "Known clients that were served by another pool than the time before, and requests of others that another pool served in place of the one chosen.",
                &["route", "cause"],
            ),
            sticky: own.counters(
                "kanaria_sticky_total",
                "What requests said of their client's place.",
                &["route", "result"],
            ),
        }
    }

    pub(super) fn series(&self, key: &Key, record: &Record, snapshot: &Snapshot) -> Series {
        let structure = &*snapshot.structure;
        let choice = record.decision.and_then(|decision| decision.choice);
        let route = record.decision.and_then(|decision| decision.route);
        let route = route.map_or("", |id| &structure.routes[id.0 as usize].name);
        let pool = choice.map_or("", |choice| &structure.pools[choice.pool.0 as usize].name);
        let partition = key.partition.map_or("", |id| snapshot.partition_name(id));
        let reason = key.reason.map_or("", Reason::as_str);
        Series {
            requests: self
                .requests
                .of(&[route, partition, pool, reason, &key.code()]),
            duration: self.duration.of(&[route, partition, pool]),
            received: self.received.of(&[route, partition, pool]),
            sent: self.sent.of(&[route, partition, pool]),
            upstream: choice.map(|_| self.upstream.of(&[route, pool])),
            sticky: key
                .sticky
                .map(|sticky| self.sticky.of(&[route, sticky.as_str()])),
            seat: None,
            line: None,
            stamp: Stamp::NOBODY,
        }
    }
}

impl Series {
    pub(super) fn count(&self, record: &Record) {
        self.requests.inc();
        self.received.inc_by(record.bytes_in);
        self.sent.inc_by(record.bytes_out);
        if record.status != 101 {
            self.duration.observe(record.duration);
        }
        let ttfb = record.upstream.and_then(|upstream| upstream.ttfb);
        if let (Some(upstream), Some(ttfb)) = (&self.upstream, ttfb) {
            upstream.observe(ttfb);
        }
        if let Some(sticky) = &self.sticky {
            sticky.inc();
        }
        let choice = record.decision.as_ref().and_then(|it| it.choice.as_ref());
        if let (Some(seat), Some(choice)) = (&self.seat, choice) {
            seat.count(record, choice);
        }
    }
}
