//! The last hour of a route, minute by minute: what a forecast rests on.

use std::collections::VecDeque;

use super::Row;

/// Minutes that are remembered.
const MINUTES: usize = 60;

/// The last hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Hour {
    minutes: VecDeque<Minute>,
    open: Minute,
}

/// Counts of the windows of a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    total: Row,
    n_windows: u32,
}

/// What an average window of the last hour was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// Units at risk, of both sides.
    pub units: f64,
    /// The part of stable's units that is bad.
    pub bad: f64,
    /// Minutes that this rests on.
    pub minutes: u32,
}

impl Hour {
    /// Takes a window in.
    pub(super) fn close(&mut self, total: Row) {
        self.open.total += total;
        self.open.n_windows += 1;
    }

    /// A minute is over.
    pub(super) fn minute(&mut self) {
        self.minutes.push_back(std::mem::take(&mut self.open));
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    /// The average; `None` before stable was seen for a minute.
    pub(super) fn usual(&self) -> Option<Usual> {
        let (mut total, mut n_windows) = (Row::default(), 0);
        for minute in &self.minutes {
            total += minute.total;
            n_windows += minute.n_windows;
        }
        (total.n_b > 0).then(|| Usual {
            units: f64::from(total.n_c + total.n_b) / f64::from(n_windows.max(1)),
            bad: f64::from(total.k_b) / f64::from(total.n_b),
            minutes: self.minutes.len() as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_averaged_over_its_windows_and_forgets_what_is_older() {
        let mut hour = Hour::default();
        assert_eq!(hour.usual(), None);
        for minute in 0..100u32 {
            for _ in 0..12 {
                hour.close(Row::from([10, 5, if minute < 40 { 1_000 } else { 90 }, 9]));
            }
            hour.minute();
        }
        let usual = hour.usual().unwrap();
        assert_eq!((usual.units, usual.bad, usual.minutes), (100.0, 0.1, 60));
    }
}
