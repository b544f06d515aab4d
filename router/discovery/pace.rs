//! When to look again. Chance is an argument.

use std::time::Duration;

use config::discovery::SHORTEST_REFRESH;

/// After this many failures in a row the pause grows no more.
const LONGEST: Duration = Duration::from_secs(30);

/// After an answer that counts for `lifetime`: a TTL of 0 must not spin.
pub(super) fn after_answer(lifetime: Duration, refresh: Duration) -> Duration {
    lifetime.min(refresh).max(SHORTEST_REFRESH.0)
}

/// After the nth failure in a row, with `draw` from 0 to 1: soon, then later and later, never all routers together.
pub(super) fn after_failure(n: u32, refresh: Duration, draw: f64) -> Duration {
    let doubled = SHORTEST_REFRESH.0 * (1 << n.saturating_sub(1).min(5));
    let pause = doubled.min(refresh.min(LONGEST)).max(SHORTEST_REFRESH.0);
    pause.mul_f64(0.8 + 0.4 * draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_shorter_of_ttl_and_refresh_counts_and_at_least_a_second() {
        for (ttl, refresh, expected) in [(60, 5, 5), (2, 5, 2), (0, 5, 1), (1, 1, 1), (9, 3600, 9)]
        {
            let pause = after_answer(seconds(ttl), seconds(refresh));
            assert_eq!(pause, seconds(expected), "TTL {ttl}, refresh {refresh}");
        }
    }

    #[test]
    fn failures_are_retried_soon_then_later_then_at_the_pace_of_the_refresh() {
        let pauses = |refresh| [1, 2, 3, 4, 9].map(|n| after_failure(n, seconds(refresh), 0.5));
        assert_eq!(pauses(5), [1, 2, 4, 5, 5].map(seconds));
        assert_eq!(pauses(3600), [1, 2, 4, 8, 30].map(seconds));
        assert_eq!(pauses(1), [1; 5].map(seconds));
        assert_eq!(
            after_failure(1, seconds(5), 0.0),
            Duration::from_millis(800)
        );
        assert_eq!(
            after_failure(1, seconds(5), 1.0),
            Duration::from_millis(1200)
        );
    }
}
