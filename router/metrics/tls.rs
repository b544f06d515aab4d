//! Series of TLS: how handshakes end, and how long certificates last.

use std::sync::Arc;

use super::family::Family;
use super::measure::{Counter, Gauge};
use super::own::Own;

/// Every way a handshake ends.
const RESULTS: [&str; 4] = ["failed", "full", "resumed", "timed_out"];

pub(super) struct Tls {
    handshakes: Arc<Family<Counter>>,
    expiry: Arc<Family<Gauge>>,
}

impl Tls {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            handshakes: own.counters(
                "kanaria_tls_handshakes_total",
                "Handshakes of clients, by how they ended.",
                &["listener", "result"],
            ),
            expiry: own.gauges(
                "kanaria_certificate_expiry_seconds",
                "Seconds until a certificate expires; below 0 once it has.",
                &["name"],
            ),
        }
    }

    /// Shows the series of `listener` from 0 on, so that an alert sees the first failure.
    pub(super) fn show(&self, listener: &str) {
        for result in RESULTS {
            self.handshakes.of(&[listener, result]);
        }
    }

    pub(super) fn shaken(&self, listener: &str, result: &'static str) {
        self.handshakes.of(&[listener, result]).inc();
    }

    /// Names and ends of certificates, which are seconds since 1970 as `now` is. Those that are gone have no series any more.
    pub(super) fn set<'a>(&self, certificates: impl Iterator<Item = (&'a str, i64)>, now: i64) {
        self.expiry.reset();
        for (name, end) in certificates {
            self.expiry.of(&[name]).set(end - now);
        }
    }
}
