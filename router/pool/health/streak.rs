//! From results of checks to the health of a target: it changes when enough results in a row speak against it.

use config::health::Check;

use crate::pool::target::Health;

/// Results in a row that speak against the present health of one target.
pub(super) struct Streak {
    healthy_threshold: u32,
    unhealthy_threshold: u32,
    contrary: u32,
}

impl Streak {
    pub(super) fn new(check: &Check) -> Self {
        Self {
            healthy_threshold: check.healthy_threshold,
            unhealthy_threshold: check.unhealthy_threshold,
            contrary: 0,
        }
    }

    /// The health after `result`, which is `Healthy` or the kind of failure.
    pub(super) fn next(&mut self, health: Health, result: Health) -> Health {
        let threshold = match (health, result.up()) {
            // One success is enough for a target that has not failed yet.
            (Health::Initial, true) => 1,
            (_, true) => self.healthy_threshold,
            (_, false) => self.unhealthy_threshold,
        };
        let agrees = health != Health::Initial && health.up() == result.up();
        self.contrary = if agrees { 0 } else { self.contrary + 1 };
        if agrees || self.contrary >= threshold {
            self.contrary = 0;
            // Of a target that stays unhealthy the last failure is told.
            return result;
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use Health::{Failed, Healthy, Initial, Timeout, Unchecked, WrongStatus};

    use super::*;

    #[track_caller]
    fn check(start: Health, results: &[Health], expected: &[Health]) {
        let mut streak = Streak {
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            contrary: 0,
        };
        let mut health = start;
        let states: Vec<_> = results
            .iter()
            .map(|&result| {
                health = streak.next(health, result);
                health
            })
            .collect();
        assert_eq!(states, expected);
    }

    #[test]
    fn a_new_target_needs_one_success() {
        check(Initial, &[Healthy], &[Healthy]);
    }

    #[test]
    fn a_new_target_stays_unproven_until_enough_failures() {
        check(
            Initial,
            &[Timeout, WrongStatus, Healthy, Healthy, Healthy],
            &[Initial, WrongStatus, WrongStatus, WrongStatus, Healthy],
        );
    }

    #[test]
    fn a_new_target_that_failed_once_still_needs_one_success() {
        check(Initial, &[Failed, Healthy], &[Initial, Healthy]);
    }

    #[test]
    fn failures_must_come_in_a_row() {
        check(
            Healthy,
            &[Failed, Healthy, Failed, Failed],
            &[Healthy, Healthy, Healthy, Failed],
        );
    }

    #[test]
    fn successes_must_come_in_a_row() {
        check(
            Failed,
            &[Healthy, Healthy, Timeout, Healthy, Healthy, Healthy],
            &[Failed, Failed, Timeout, Timeout, Timeout, Healthy],
        );
    }

    #[test]
    fn a_target_that_was_not_checked_before_counts_as_healthy() {
        check(Unchecked, &[Failed, Failed], &[Unchecked, Failed]);
    }
}
