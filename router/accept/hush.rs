//! Log lines that clients cause: one a second at most, with how many were left out, so that nobody fills a disk with them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A kind of line.
#[derive(Debug)]
pub(super) struct Hush {
    began: Instant,
    /// The second after which the next line may come, since `began`.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Default for Hush {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Hush {
    /// Whether a line may be written now, and how many were left out before it.
    pub(super) fn admits(&self) -> Option<u64> {
        self.admits_at(self.began.elapsed().as_secs())
    }

    fn admits_at(&self, second: u64) -> Option<u64> {
        let next = self.next.load(Relaxed);
        let first = second >= next
            && self
                .next
                .compare_exchange(next, second + 1, Relaxed, Relaxed)
                .is_ok();
        if first {
            return Some(self.left_out.swap(0, Relaxed));
        }
        self.left_out.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_second_says_how_many_were_left_out() {
        let hush = Hush::default();
        let said: Vec<_> = [0, 0, 0, 1, 5, 5]
            .map(|second| hush.admits_at(second))
            .into();
        assert_eq!(said, [Some(0), None, None, Some(2), Some(0), None]);
    }
}
