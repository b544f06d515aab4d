//! How many targets may be out, and for how long, as arithmetic.

use config::model;

/// When and how long targets are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) struct Rule {
    failures: u32,
    base: u64,
    max_percent: u8,
}

/// An ejection is at most so many times the base time long.
const LONGEST: u64 = 10;

impl Rule {
    pub(in crate::pool) fn new(settings: &model::Ejection) -> Self {
        Self {
            failures: settings.consecutive_failures,
            base: settings.base_time.0.as_micros() as u64,
            max_percent: settings.max_percent,
        }
    }

    /// How many failures in a row eject a target; `None` when they never do.
    pub(in crate::pool) fn failures(&self) -> Option<u32> {
        (self.failures > 0).then_some(self.failures)
    }

    /// Whether `out` + 1 targets of `total` may be out.
    pub(super) fn allows_one_more(&self, out: usize, total: usize) -> bool {
        (out + 1) * 100 <= usize::from(self.max_percent) * total
    }

    /// The number of the next ejection in its series: a target that stayed in for as long as it had been out starts anew.
    pub(in crate::pool) fn repetition(&self, before: u32, last: u64, calm: u64) -> u32 {
        if calm >= last.max(self.base) {
            return 1;
        }
        before.saturating_add(1)
    }

    /// How long the ejection with this number lasts: twice the one before, up to the longest.
    pub(in crate::pool) fn time(&self, repetition: u32) -> u64 {
        let factor = 1u64 << repetition.saturating_sub(1).min(4);
        self.base.saturating_mul(factor.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use config::units::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn rule(max_percent: u8) -> Rule {
        Rule::new(&model::Ejection {
            consecutive_failures: 5,
            base_time: Duration::seconds(10),
            max_percent,
            success_rate: None,
        })
    }

    #[test]
    fn each_repetition_lasts_twice_as_long_up_to_ten_times() {
        let times: Vec<_> = (1..=7).map(|n| rule(50).time(n) / SECOND).collect();
        assert_eq!(times, [10, 20, 40, 80, 100, 100, 100]);
    }

    #[test]
    fn a_target_that_stayed_in_long_enough_starts_anew() {
        let rule = rule(50);
        assert_eq!(rule.repetition(0, 0, u64::MAX), 1);
        assert_eq!(rule.repetition(2, 20 * SECOND, 19 * SECOND), 3);
        assert_eq!(rule.repetition(2, 20 * SECOND, 20 * SECOND), 1);
    }

    #[test]
    fn the_largest_part_out_is_rounded_down() {
        let allowed = |percent, total| {
            (0..=total)
                .find(|&out| !rule(percent).allows_one_more(out, total))
                .unwrap_or(total)
        };
        assert_eq!(
            [
                allowed(50, 1),
                allowed(50, 2),
                allowed(50, 3),
                allowed(34, 3)
            ],
            [0, 1, 1, 1]
        );
        assert_eq!([allowed(100, 3), allowed(0, 3)], [3, 0]);
    }
}
