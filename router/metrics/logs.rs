//! Series of the access logs.

use std::sync::Arc;

use super::family::Family;
use super::measure::{Counter, Gauge};
use super::own::Own;

pub(super) struct Logs {
    lines: Arc<Family<Counter>>,
    dropped: Arc<Family<Counter>>,
    long: Arc<Family<Counter>>,
    /// Set from the logs' own counts at each look.
    waiting: Arc<Family<Gauge>>,
    blocked: Arc<Family<Gauge>>,
}

/// What one access log counts.
pub(crate) struct LogSeries {
    /// Lines written.
    pub(crate) lines: Arc<Counter>,
    /// Lines lost.
    pub(crate) dropped: Arc<Counter>,
    /// Lines that standard output may cut; `None` for a file.
    pub(crate) long: Option<Arc<Counter>>,
}

impl Logs {
    pub(super) fn new(own: &Own) -> Self {
        Self {
            lines: own.counters(
                "kanaria_access_log_lines_total",
                "Lines written to an access log.",
                &["log"],
            ),
            dropped: own.counters(
                "kanaria_access_log_dropped_total",
                "Lines that could not be written to an access log.",
                &["log"],
            ),
            long: own.counters(
                "kanaria_access_log_long_lines_total",
                "Lines above 16 KiB on standard output, which container runtimes cut.",
                &["log"],
            ),
            waiting: own.gauges(
                "kanaria_access_log_waiting_bytes",
                "Bytes of lines that wait to be written.",
                &["log"],
            ),
            blocked: own.gauges(
                "kanaria_access_log_blocked",
                "1 while no request is taken on because lines of a log with on_full = \"block\" wait, else 0.",
                &["log"],
            ),
        }
    }

    pub(super) fn of(&self, log: &str, is_stdout: bool) -> LogSeries {
        LogSeries {
            lines: self.lines.of(&[log]),
            dropped: self.dropped.of(&[log]),
            long: is_stdout.then(|| self.long.of(&[log])),
        }
    }

    /// Name, waiting bytes, whether the site waits. Logs that are gone have no series any more.
    pub(super) fn set(&self, backlogs: &[(String, usize, bool)]) {
        self.waiting.reset();
        self.blocked.reset();
        for (log, bytes, is_blocked) in backlogs {
            self.waiting.of(&[log]).set(*bytes as i64);
            let blocked = self.blocked.of(&[log]);
            blocked.set(i64::from(*is_blocked));
        }
    }
}
