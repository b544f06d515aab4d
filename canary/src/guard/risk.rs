//! Who is at risk: a unit counts once a window, and after its first bad window no more until the epoch ends.
//!
//! So a bot that fails all its requests counts once an hour, whatever it does.

use super::{Row, Rows, Units};

/// When an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// After so many milliseconds,
    pub length_ms: u64,
    /// or when more than this part of a side's units have failed,
    pub max_failed: f64,
    /// if it has had so many.
    pub min_seen: usize,
}

impl Default for Epoch {
    fn default() -> Self {
        Self {
            length_ms: 3_600_000,
            max_failed: 0.5,
            min_seen: 100,
        }
    }
}

/// The units of one metric.
#[derive(Clone, Debug, Default)]
pub struct RiskSet {
    canary: Side,
    stable: Side,
    begun_ms: Option<u64>,
    before: usize,
}

#[derive(Clone, Debug, Default)]
struct Side {
    seen: Units,
    failed: Units,
}

/// A window closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Counts by group.
    pub rows: Rows,
    /// Distinct units of the canary in this epoch or in the one before, whichever are more.
    pub units_c: u32,
    /// A new epoch begins with this window.
    pub is_new_epoch: bool,
}

impl RiskSet {
    /// Closes the window that began at `start_ms`, in which `active` had requests and `bad` of them bad ones; first the
    /// canary's, then stable's.
    pub fn close(
        &mut self,
        epoch: &Epoch,
        start_ms: u64,
        active: [&Units; 2],
        bad: [&Units; 2],
    ) -> Closed {
        let is_new_epoch = self.turn(epoch, start_ms);
        let mut rows = Rows::default();
        let [active_c, active_b] = active;
        let [bad_c, bad_b] = bad;
        self.canary.count(active_c, bad_c, |group, bad| {
            rows.0[group] += Row {
                n_c: 1,
                k_c: bad,
                ..Row::default()
            };
        });
        self.stable.count(active_b, bad_b, |group, bad| {
            rows.0[group] += Row {
                n_b: 1,
                k_b: bad,
                ..Row::default()
            };
        });
        Closed {
            rows,
            units_c: self.canary.seen.len().max(self.before) as u32,
            is_new_epoch,
        }
    }

    /// Distinct units of this epoch, of canary and stable.
    pub fn seen(&self) -> (usize, usize) {
        (self.canary.seen.len(), self.stable.seen.len())
    }

    /// Units that are out until the epoch ends, of canary and stable.
    pub fn failed(&self) -> (usize, usize) {
        (self.canary.failed.len(), self.stable.failed.len())
    }

    /// Begins a new epoch when it is time, before the data of the window is looked at.
    fn turn(&mut self, epoch: &Epoch, start_ms: u64) -> bool {
        let begun = *self.begun_ms.get_or_insert(start_ms);
        let is_over = start_ms.saturating_sub(begun) >= epoch.length_ms;
        if !(is_over || self.canary.is_spent(epoch) || self.stable.is_spent(epoch)) {
            return false;
        }
        self.before = self.canary.seen.len();
        for side in [&mut self.canary, &mut self.stable] {
            side.seen.clear();
            side.failed.clear();
        }
        self.begun_ms = Some(start_ms);
        true
    }
}

impl Side {
    fn is_spent(&self, epoch: &Epoch) -> bool {
        let (seen, failed) = (self.seen.len(), self.failed.len());
        seen >= epoch.min_seen && failed as f64 > epoch.max_failed * seen as f64
    }

    fn count(&mut self, active: &Units, bad: &Units, mut at_risk: impl FnMut(usize, u32)) {
        for unit in active.iter() {
            self.seen.insert(unit);
            if !self.failed.contains(unit) {
                at_risk(usize::from(unit & 7), u32::from(bad.contains(unit)));
            }
        }
        self.failed.extend(bad.iter());
    }
}
