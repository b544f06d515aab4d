//! A line on a terminal that says how far something is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it is written anew.
const REFRESH: Duration = Duration::from_millis(100);

/// The line; only where somebody sits before standard error.
pub(super) struct Meter {
    shown: bool,
    last: Option<Instant>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    /// Says what `news` says, unless something was said just before.
    pub(super) fn tell(&mut self, news: impl FnOnce() -> String) {
        let due = self.last.is_none_or(|last| last.elapsed() >= REFRESH);
        if !self.shown || !due {
            return;
        }
        self.last = Some(Instant::now());
        // Whoever closed it needs no news.
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", news());
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.last.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
