//! Evidence of harm over time: only a part of the stake is at risk in each window, so that a healthy week costs little and
//! harm that begins late is seen as well.

use serde::{Deserialize, Serialize};

use super::{GROUPS, Rows, bet, log};

/// What harm is, and how sure a rollback must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Chance of a false rollback over a whole attempt, all metrics together.
    pub alpha: f64,
    /// The part of it that this metric may use.
    pub share: f64,
    /// A canary whose rate is this many times that of stable does no harm.
    pub ratio: f64,
    /// Nor one whose rate is larger by this.
    pub margin: f64,
    /// How much the ratio is widened while the canary has few units: by `crowd / sqrt(units)`, since they may simply be
    /// other people.
    pub crowd: f64,
    /// The sizes of harm that are bet on, in multiples of what is allowed.
    pub harms: Vec<f64>,
    /// The part of the stake that is put at risk in each window: one over how many windows an attempt may have.
    pub drip: f64,
    /// The part that is put at risk when the canary was given more.
    pub step: f64,
    /// How often, at most, that much is put at risk.
    pub max_steps: u32,
    /// What a stake can gain in one window, at most.
    pub clip: f64,
    /// Whether each group of units must be dispensable for a rollback.
    pub leave_out: bool,
}

impl Terms {
    /// Evidence that is enough for a rollback.
    pub fn threshold(&self) -> f64 {
        -(self.alpha * self.share).ln()
    }

    /// The ratio that is allowed while the canary has had so many units.
    pub fn allowed_ratio(&self, units_c: f64) -> f64 {
        self.ratio * (1.0 + self.crowd / units_c.max(1.0).sqrt())
    }
}

/// One window, as the process sees it. All but the rows is known before the window begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Counts by group.
    pub rows: Rows,
    /// Distinct units of the canary so far.
    pub units_c: u32,
    /// The first window after the canary was given more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub step: bool,
    /// Stable is not well, so nothing is compared.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frozen: bool,
    /// How much the evidence counts, above 0 and at most 1; see `Temper`.
    pub temper: f64,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Window {
    /// Whether anything is bet on it.
    pub fn is_active(&self) -> bool {
        !self.frozen && self.rows.total().has_both()
    }
}

/// The stake of one metric, once for every group that is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    log_cash: f64,
    /// By group left out and harm.
    #[serde(with = "log")]
    log_position: Vec<Vec<f64>>,
    max_log_e: f64,
    steps: u32,
    tripped: bool,
}

impl Process {
    /// A stake of 1, all of it in cash.
    pub fn new(terms: &Terms) -> Self {
        let n_processes = if terms.leave_out { GROUPS } else { 1 };
        Self {
            log_cash: 0.0,
            log_position: vec![vec![log::NOTHING; terms.harms.len()]; n_processes],
            max_log_e: 0.0,
            steps: 0,
            tripped: false,
        }
    }

    /// Takes a window in; returns the evidence after it, as `log_e` does.
    pub fn close(&mut self, terms: &Terms, window: &Window) -> f64 {
        if window.is_active() {
            self.bet(terms, window);
        }
        let log_e = self.log_e();
        self.max_log_e = self.max_log_e.max(log_e);
        self.tripped |= log_e >= terms.threshold();
        log_e
    }

    fn bet(&mut self, terms: &Terms, window: &Window) {
        let is_step = window.step && self.steps < terms.max_steps;
        self.steps += u32::from(is_step);
        let part = if is_step { terms.step } else { terms.drip };
        let stake = self.log_cash + part.ln() - (terms.harms.len() as f64).ln();
        let ratio = terms.allowed_ratio(f64::from(window.units_c));
        let total = window.rows.total();
        for (group, positions) in self.log_position.iter_mut().enumerate() {
            let row = if terms.leave_out {
                total - window.rows.0[group]
            } else {
                total
            };
            for (position, harm) in positions.iter_mut().zip(&terms.harms) {
                let log_e = window.temper * bet::log_e(row, ratio, terms.margin, *harm);
                *position = log::add(*position, stake) + log_e.min(terms.clip);
            }
        }
        self.log_cash += (-part).ln_1p();
    }

    /// The evidence: what the stake has become, with the group left out that speaks most against the canary.
    pub fn log_e(&self) -> f64 {
        self.by_left_out().fold(f64::INFINITY, f64::min)
    }

    /// The evidence without each group.
    pub fn by_left_out(&self) -> impl Iterator<Item = f64> {
        let positions = self.log_position.iter();
        positions.map(|positions| log::add(self.log_cash, log::sum(positions.iter().copied())))
    }

    /// What is not at risk.
    pub const fn log_cash(&self) -> f64 {
        self.log_cash
    }

    /// What is at risk, by group left out and harm.
    pub fn log_position(&self) -> &[Vec<f64>] {
        &self.log_position
    }

    /// The most evidence there ever was, at least 0; `exp(-max)` is a p-value at any time.
    pub const fn max_log_e(&self) -> f64 {
        self.max_log_e
    }

    /// How often more was put at risk because the canary was given more.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether there ever was enough evidence for a rollback.
    pub const fn tripped(&self) -> bool {
        self.tripped
    }

    /// Which group's absence costs the most evidence; `None` when none is left out.
    pub fn decisive_group(&self) -> Option<usize> {
        if self.log_position.len() < GROUPS {
            return None;
        }
        let groups = self.by_left_out().enumerate();
        let least = groups.min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map(|(group, _)| group)
    }
}
