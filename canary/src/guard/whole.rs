//! The guard of one route: from what was counted in a window to a verdict.

use super::evidence::{Evidence, Taken};
use super::hard_limit::{HardLimit, HardTerms, Second};
use super::hour::{Hour, Usual};
use super::metric::{Metric, Rules};
use super::reference::Reference;
use super::{BudgetTerms, Epoch, Recent, RiskSet, Row, Rows, Spent, Standing, Thresholds, Units};

/// What was counted in a window.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// When it began, in milliseconds since 1970.
    pub start_ms: u64,
    /// Units that had requests, of the canary and of stable.
    pub active: [Units; 2],
    /// Those that had failures of the target.
    pub errors: [Units; 2],
    /// Those that had 401, 403, 404 or 429.
    pub client_errors: [Units; 2],
    /// First times of units in a minute, and slow ones, by quantile.
    pub times: [Rows; 3],
    /// Stable's times: bins, and how many fell into each.
    pub bins: Vec<(usize, u32)>,
}

/// Whether the guard may bet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// A canary has a weight.
    Yes,
    /// It only learns what stable is like.
    No,
}

/// Why a canary is to be taken back.
#[derive(Clone, Debug, PartialEq)]
pub enum Trip {
    /// There is enough evidence of harm.
    Evidence {
        /// In this.
        metric: Metric,
        /// So much,
        log_e: f64,
        /// of so much that is needed.
        threshold: f64,
        /// The last minute.
        minute: Row,
    },
    /// Half of what it gets fails.
    HardLimit {
        /// Requests of the canary, bad ones, then of stable, in the seconds looked back on.
        counts: [u64; 4],
    },
}

/// A window closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What was taken in, by metric; empty when nothing was bet.
    pub taken: Vec<(Metric, Taken)>,
    /// Why the canary is to be taken back; said once an attempt.
    pub trip: Option<Trip>,
}

/// The guard of one route.
#[derive(Clone, Debug)]
pub struct Guard {
    evidence: Evidence,
    risks: [RiskSet; 2],
    recents: [Recent; Metric::COUNT],
    reference: Reference,
    hour: Hour,
    hard: HardLimit,
    budget: Option<BudgetTerms>,
    units_c: u32,
    minute: Option<u64>,
    has_tripped: bool,
}

impl Guard {
    /// A guard that has `evidence` already; who was seen and who failed is not known any more.
    pub fn new(evidence: Evidence) -> Self {
        Self {
            has_tripped: evidence.tripped().is_some(),
            evidence,
            risks: Default::default(),
            recents: Default::default(),
            reference: Reference::default(),
            hour: Hour::default(),
            hard: HardLimit::default(),
            budget: None,
            units_c: 0,
            minute: None,
        }
    }

    /// Another attempt begins.
    pub fn begin(&mut self, rules: Rules) {
        self.evidence.begin(rules);
        self.hard.clear();
        self.has_tripped = false;
    }

    /// From now on an attempt may cost so much; nothing is counted for a budget that is not there.
    pub const fn allow(&mut self, budget: Option<BudgetTerms>) {
        self.budget = budget;
    }

    /// The canary was given more.
    pub fn stepped(&mut self) {
        self.evidence.stepped();
    }

    /// Closes a window.
    pub fn close(&mut self, observed: &Observed, armed: Armed) -> Verdict {
        self.turn_minute(observed.start_ms);
        // Asked before this window is looked at, or it would decide about itself.
        let frozen = self.recents[Metric::Errors as usize].is_frozen();
        let rows = self.count(observed);
        for (recent, rows) in self.recents.iter_mut().zip(&rows) {
            recent.close(rows.total());
        }
        // How many units there are may decide about their window; how they fared may not.
        let has_data = self.recents[Metric::Errors as usize].has_data(self.units_c);
        let counts_users = self.budget.is_some_and(|budget| budget.users.is_some());
        if armed == Armed::Yes && counts_users {
            self.evidence.spending.users_came(&observed.active[0]);
        }
        let bets = armed == Armed::Yes && !self.has_tripped && has_data;
        let mut taken = Vec::new();
        for (metric, rows) in Metric::ALL.into_iter().zip(rows) {
            let window = self.evidence.window(metric, rows, self.units_c, frozen);
            if bets && window.is_active() {
                taken.push((metric, self.evidence.take(metric, window)));
            }
            self.evidence.learn(metric, rows.total());
        }
        self.reference
            .close(&observed.bins, self.evidence.rules.latency);
        let trip = self.trip(&taken);
        self.has_tripped |= trip.is_some();
        Verdict { taken, trip }
    }

    /// Takes a second in; the hard limit does not wait for windows to close. `stable_is_well` by its health checks.
    pub fn second(
        &mut self,
        terms: &HardTerms,
        second: Second,
        armed: Armed,
        stable_is_well: bool,
    ) -> Option<Trip> {
        let of_canary = (second.n_c, second.k_c);
        let is_reached = self.hard.second(terms, second);
        if armed == Armed::Yes && self.budget.is_some() {
            let [_, _, n_b, k_b] = self.hard.counts();
            self.evidence.spending.second(of_canary, (n_b, k_b));
        }
        if !is_reached || armed == Armed::No || self.has_tripped || !stable_is_well {
            return None;
        }
        self.has_tripped = true;
        Some(Trip::HardLimit {
            counts: self.hard.counts(),
        })
    }

    /// The bound of the budget that is reached now; said once an attempt.
    pub fn spent(&mut self) -> Option<Spent> {
        let terms = self.budget?;
        self.evidence.spending.reached(&terms)
    }

    fn turn_minute(&mut self, start_ms: u64) {
        let minute = start_ms / 60_000;
        if self
            .minute
            .replace(minute)
            .is_some_and(|before| before != minute)
        {
            self.evidence.minute();
            self.hour.minute();
        }
    }

    /// Counts of all metrics.
    fn count(&mut self, observed: &Observed) -> [Rows; Metric::COUNT] {
        let active = observed.active.each_ref();
        let epoch = Epoch::default();
        let [errors, client_errors] = &mut self.risks;
        let start = observed.start_ms;
        let errors = errors.close(&epoch, start, active, observed.errors.each_ref());
        let client_errors =
            client_errors.close(&epoch, start, active, observed.client_errors.each_ref());
        self.units_c = errors.units_c;
        self.hour.close(errors.rows.total());
        let [p50, p90, p99] = observed.times;
        [errors.rows, client_errors.rows, p50, p90, p99]
    }

    fn trip(&self, taken: &[(Metric, Taken)]) -> Option<Trip> {
        let mut reached = taken
            .iter()
            .filter(|(metric, _)| self.evidence.process(*metric).tripped());
        let (metric, taken) = reached.next()?;
        Some(Trip::Evidence {
            metric: *metric,
            log_e: taken.log_e,
            threshold: self.evidence.rules.terms(*metric).threshold(),
            minute: self.minute(*metric),
        })
    }

    /// Whether there is anything to compare.
    pub fn standing(&self) -> Standing {
        self.recents[Metric::Errors as usize].standing(self.units_c)
    }

    /// Counts of the last minute.
    pub fn minute(&self, metric: Metric) -> Row {
        self.recents[metric as usize].total()
    }

    /// All evidence.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What is slow, by quantile.
    pub fn slow(&self) -> [Option<Thresholds>; 3] {
        self.reference.slow()
    }

    /// Distinct units of the canary in this epoch or in the one before.
    pub const fn units_c(&self) -> u32 {
        self.units_c
    }

    /// What an average window of the last hour was; `None` before stable was seen for a minute.
    pub fn usual(&self) -> Option<Usual> {
        self.hour.usual()
    }

    /// Distinct units of canary and stable in this epoch.
    pub fn seen(&self) -> (usize, usize) {
        self.risks[0].seen()
    }

    /// Units that count no more for `errors` until the epoch ends, of canary and stable.
    pub fn failed(&self) -> (usize, usize) {
        self.risks[0].failed()
    }

    /// Whether somebody was told something in this attempt, so that whoever insists begins another one.
    pub const fn has_told(&self) -> bool {
        self.has_tripped || self.evidence.spending().spent().is_some()
    }

    /// Whether this attempt has ended.
    pub const fn has_tripped(&self) -> bool {
        self.has_tripped
    }
}

impl std::fmt::Display for Trip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evidence {
                metric,
                log_e,
                threshold,
                minute,
            } => write!(
                f,
                "{}: {} of {} users of the canary against {} of {} of stable in the last minute; evidence {log_e:.1}, {threshold:.1} is enough",
                metric.as_str(),
                minute.k_c,
                minute.n_c,
                minute.k_b,
                minute.n_b,
            ),
            Self::HardLimit {
                counts: [n_c, k_c, n_b, k_b],
            } => write!(
                f,
                "hard limit: {k_c} of {n_c} requests of the canary failed, {k_b} of {n_b} of stable"
            ),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
