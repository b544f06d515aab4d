//! A shadow pool that answers nothing of use is left alone for a while: connections to it cost as much as copies.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::fate::Fate;

/// Copies in a row that got no whole answer.
const TOLERATED: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether copies of a route go out. Requests read it; only the thread that sends copies changes it.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    paused: AtomicBool,
    /// Copies that got no whole answer since the last one that did.
    in_row: AtomicU32,
}

impl Backoff {
    /// Whether no copy goes out at present.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Relaxed)
    }

    /// A copy met `fate`. From here on there is a pause when one is returned, and whoever is told ends it with `resume`.
    ///
    /// Those that wait until their timeout have the bound of `max_in_flight`, and are no reason for a pause.
    pub(super) fn met(&self, fate: Fate) -> Option<Duration> {
        match fate {
            Fate::Answered => self.in_row.store(0, Relaxed),
            Fate::Cut | Fate::Failed | Fate::Unreachable if !self.is_paused() => {
                let in_row = self.in_row.load(Relaxed) + 1;
                self.in_row.store(in_row, Relaxed);
                let n_pauses = in_row.checked_sub(TOLERATED)?;
                self.paused.store(true, Relaxed);
                return Some((FIRST * 2_u32.pow(n_pauses.min(8))).min(LONGEST));
            }
            _ => {}
        }
        None
    }

    /// The pause is over: the next copy shows whether the pool is well again.
    pub(super) fn resume(&self) {
        self.paused.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses in milliseconds, 0 for none, each over before the next copy meets its fate.
    fn pauses(backoff: &Backoff, fates: &[Fate]) -> Vec<u128> {
        let pauses = fates.iter().map(|fate| {
            let pause = backoff.met(*fate);
            assert_eq!(backoff.is_paused(), pause.is_some());
            backoff.resume();
            pause.map_or(0, |pause| pause.as_millis())
        });
        pauses.collect()
    }

    #[test]
    fn pauses_grow_until_a_copy_is_answered() {
        use Fate::{Answered, Cut, Failed, Unreachable};
        let backoff = Backoff::default();
        let bad = [Cut, Failed, Unreachable, Failed, Failed, Failed];
        assert_eq!(pauses(&backoff, &bad), [0, 0, 0, 0, 100, 200]);
        assert_eq!(pauses(&backoff, &[Failed; 4]), [400, 800, 1000, 1000]);
        assert_eq!(pauses(&backoff, &[Answered, Failed, Failed]), [0; 3]);
    }

    #[test]
    fn what_was_underway_at_a_pause_makes_it_no_longer() {
        let backoff = Backoff::default();
        let fates = [Fate::Failed; 12];
        let told: Vec<_> = fates.iter().filter_map(|fate| backoff.met(*fate)).collect();
        assert_eq!(told, [FIRST]);
    }

    #[test]
    fn silence_is_no_reason() {
        let backoff = Backoff::default();
        assert_eq!(pauses(&backoff, &[Fate::Timeout; 9]), [0; 9]);
    }
}
