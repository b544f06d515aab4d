//! Which targets of a pool fail more often than the others, as arithmetic over counts.
//!
//! The rule is that of Envoy's success-rate outlier detection, with a margin: a standard deviation of nearly nothing
//! would otherwise make an outlier of a target with one failure. Who is really taken out, and for how long, is settled
//! elsewhere.

use config::model;

/// What came of the requests of one target within an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Outcomes {
    pub(in crate::pool) requests: u32,
    pub(in crate::pool) failures: u32,
}

/// When a target is an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::pool) struct Rule {
    /// Microseconds from one comparison to the next.
    pub(super) interval: u64,
    min_targets: usize,
    min_requests: u32,
    deviations: f64,
    margin: f64,
}

impl Outcomes {
    fn success_rate(self) -> f64 {
        // Both counters are read one after the other, so a failure may be seen before its request.
        1.0 - f64::from(self.failures.min(self.requests)) / f64::from(self.requests)
    }
}

impl Rule {
    pub(in crate::pool) fn new(settings: &model::SuccessRate) -> Self {
        Self {
            interval: settings.interval.0.as_micros() as u64,
            min_targets: settings.min_targets as usize,
            min_requests: settings.min_requests,
            deviations: settings.deviations,
            margin: settings.margin,
        }
    }

    /// Positions of the outliers, the worst first.
    pub(super) fn outliers(&self, outcomes: &[Outcomes]) -> Vec<usize> {
        let compared = outcomes.iter().enumerate();
        let compared = compared.filter(|(_, outcomes)| outcomes.requests >= self.min_requests);
        let mut rates: Vec<(usize, f64)> = compared
            .map(|(position, outcomes)| (position, outcomes.success_rate()))
            .collect();
        if rates.len() < self.min_targets {
            return Vec::new();
        }
        let threshold = self.threshold(&rates);
        rates.retain(|(_, rate)| *rate < threshold);
        rates.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        rates.into_iter().map(|(position, _)| position).collect()
    }

    fn threshold(&self, rates: &[(usize, f64)]) -> f64 {
        let n_targets = rates.len() as f64;
        let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / n_targets;
        let squares = rates.iter().map(|(_, rate)| (rate - mean).powi(2));
        let deviation = (squares.sum::<f64>() / n_targets).sqrt();
        mean - (self.deviations * deviation).max(self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: model::SuccessRate, outcomes: &[(u32, u32)], expected: &[usize]) {
        let outcomes = outcomes
            .iter()
            .map(|&(requests, failures)| Outcomes { requests, failures });
        let outliers = Rule::new(&rule).outliers(&outcomes.collect::<Vec<_>>());
        assert_eq!(outliers, expected);
    }

    fn standard() -> model::SuccessRate {
        model::SuccessRate::default()
    }

    #[test]
    fn the_one_that_fails_more_than_the_others_is_an_outlier() {
        check(
            standard(),
            &[(100, 0), (100, 1), (100, 30), (100, 0), (100, 2)],
            &[2],
        );
    }

    #[test]
    fn the_worst_comes_first() {
        let mut outcomes = vec![(100, 0); 20];
        outcomes.extend([(100, 70), (100, 90)]);
        check(standard(), &outcomes, &[21, 20]);
    }

    #[test]
    fn a_pool_that_fails_as_a_whole_has_no_outlier() {
        check(
            standard(),
            &[(100, 60), (100, 62), (100, 58), (100, 61), (100, 63)],
            &[],
        );
        check(standard(), &[(100, 100); 5], &[]);
        check(standard(), &[(100, 0); 5], &[]);
    }

    #[test]
    fn one_failure_in_a_faultless_pool_is_no_outlier() {
        let outcomes = [(100, 1), (100, 0), (100, 0), (100, 0), (100, 0)];
        check(standard(), &outcomes, &[]);
        let without_margin = model::SuccessRate {
            margin: 0.0,
            ..standard()
        };
        check(without_margin, &outcomes, &[0]);
    }

    #[test]
    fn too_few_targets_or_requests_are_not_compared() {
        let outcomes = [(100, 0), (100, 0), (100, 0), (100, 99)];
        check(standard(), &outcomes, &[]);
        let four = model::SuccessRate {
            min_targets: 4,
            deviations: 1.5,
            ..standard()
        };
        check(four.clone(), &outcomes, &[3]);
        check(four.clone(), &[(100, 0), (100, 0), (100, 0), (99, 99)], &[]);
        check(four, &[], &[]);
    }

    #[test]
    fn counts_read_at_different_moments_do_no_harm() {
        check(
            standard(),
            &[(100, 101), (100, 0), (100, 0), (100, 0), (100, 0)],
            &[0],
        );
    }
}
