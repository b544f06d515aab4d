//! `[routes.ramp]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hours::Hours;
use crate::probe::Probe;
use crate::units::{Amount, Duration};

/// A schedule by which a canary is raised. It runs once somebody says `kanaria ramp start ROUTE`; a change of it counts from
/// the next start on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ramp {
    /// The pool that is raised; absent: the only canary.
    pub canary: Option<String>,
    /// What it gets, step by step, and for how long.
    pub steps: Vec<Step>,
    /// `false`: every step waits for `kanaria ramp advance`.
    pub auto: bool,
    /// A step opens only with evidence that the canary does no harm. The evidence is gathered also without `[routes.guard]`.
    pub require_evidence: bool,
    /// Targets of the canary that must be healthy, as a number or a percentage, one at least; with fewer no step opens.
    pub min_healthy: Amount,
    /// An address, as `"https://www.example.com/healthz"`, that each healthy target of the canary is asked for before each
    /// step, over the connection settings of its pool. Any answer but 2xx, or none within 5 seconds, and no step opens; it
    /// is asked again every 5 seconds. Empty: nothing is asked.
    pub probe: Probe,
    /// A step that is held for longer than this beyond its time is reported; it never opens by itself. 0 means never.
    pub hold_max: Duration,
    /// Steps open only in these hours, `"Mon-Thu 10:00-17:00 Asia/Tokyo"`; empty: at any time.
    pub window: Hours,
}

impl Default for Ramp {
    fn default() -> Self {
        Self {
            canary: None,
            steps: Vec::new(),
            auto: true,
            require_evidence: true,
            min_healthy: Amount::Percent(50),
            probe: Probe::default(),
            hold_max: Duration::seconds(0),
            window: Hours::default(),
        }
    }
}

impl Ramp {
    /// How many of `total` targets of the canary must be healthy: one at least, whatever the file says, for a pool without
    /// a target can take nobody.
    pub fn targets_needed(&self, total: usize) -> usize {
        self.min_healthy.of(total).max(1)
    }
}

/// One step of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The canary's share, down to 0.01.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub percent: f64,
    /// How long it has that share, at least.
    pub hold: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_targets_never_has_enough() {
        for (min_healthy, total, needed) in [
            (Amount::Percent(50), 0, 1),
            (Amount::Count(0), 0, 1),
            (Amount::Percent(0), 8, 1),
            (Amount::Percent(50), 5, 3),
            (Amount::Count(2), 5, 2),
        ] {
            let ramp = Ramp {
                min_healthy,
                ..Ramp::default()
            };
            assert_eq!(
                ramp.targets_needed(total),
                needed,
                "{min_healthy:?} of {total}"
            );
        }
    }
}
