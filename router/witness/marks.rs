//! A set of units that many threads mark and one takes out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use canary::guard::Units;

const WORDS: usize = (1 << 16) / 64;

/// Marked units, 8 KiB.
#[derive(Debug)]
pub(super) struct Marks(Box<[AtomicU64]>);

impl Default for Marks {
    fn default() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Marks {
    /// Marks `unit`; whether it was not marked before. Of two threads at once one is told so.
    pub(super) fn mark(&self, unit: u16) -> bool {
        let word = &self.0[usize::from(unit) / 64];
        let bit = 1 << (unit % 64);
        // Most units are marked already, and a load leaves the line where it is.
        word.load(Relaxed) & bit == 0 && word.fetch_or(bit, Relaxed) & bit == 0
    }

    /// Moves all marks into `units`.
    pub(super) fn take(&self, units: &mut Units) {
        for (at, word) in self.0.iter().enumerate() {
            if word.load(Relaxed) != 0 {
                units.insert_word(at, word.swap(0, Relaxed));
            }
        }
    }

    /// Takes all marks away.
    pub(super) fn clear(&self) {
        for word in &self.0 {
            if word.load(Relaxed) != 0 {
                word.store(0, Relaxed);
            }
        }
    }
}
