//! All evidence of one route: what is written down, survives a restart, and can be made again from what was written.

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Rules};
use super::{Gate, GateTerms, Process, Row, Spending, Temper, Terms, Window};

/// The evidence of one attempt, and what is known of stable beyond it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Counts from 1; a new one begins when a mark is lifted.
    pub attempt: u32,
    /// The rules of this attempt.
    pub rules: Rules,
    tracks: [Track; Metric::COUNT],
    gate: Gate,
    /// Units of the canary at risk since the gate was shut.
    gate_units: u64,
    /// What the attempt has cost, while there is a budget.
    #[serde(default)]
    pub(super) spending: Spending,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    process: Process,
    temper: Temper,
    /// Stable in this minute.
    minute: Row,
    /// The canary was given more, and no window has taken that in yet.
    step: bool,
}

/// A window of one metric, and the evidence after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// What was counted, and what was known before.
    #[serde(flatten)]
    pub window: Window,
    /// The evidence after it.
    pub log_e: f64,
    /// The evidence of no harm after it; only `errors` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<f64>,
}

impl Evidence {
    /// No evidence yet, of the first attempt.
    pub fn new(rules: Rules) -> Self {
        Self {
            attempt: 1,
            rules,
            tracks: Metric::ALL.map(|metric| Track::new(&rules.terms(metric))),
            gate: Gate::new(&GateTerms::default()),
            gate_units: 0,
            spending: Spending::default(),
        }
    }

    /// Another attempt, by `rules`; what is known of stable stays.
    pub fn begin(&mut self, rules: Rules) {
        let attempt = self.attempt + 1;
        let mut next = Self::new(rules);
        for (track, before) in next.tracks.iter_mut().zip(&self.tracks) {
            track.temper = before.temper.clone();
            track.minute = before.minute;
        }
        *self = Self { attempt, ..next };
    }

    /// The canary was given more: the next window may show it, and what was learned of less opens no gate.
    pub fn stepped(&mut self) {
        self.tracks.iter_mut().for_each(|track| track.step = true);
        self.gate = Gate::new(&GateTerms::default());
        self.gate_units = 0;
    }

    /// Makes a window of `metric` of what was counted in it; `frozen` when stable is not well.
    pub fn window(&self, metric: Metric, rows: super::Rows, units_c: u32, frozen: bool) -> Window {
        let total = rows.total();
        Window {
            rows,
            units_c,
            step: self.track(metric).step,
            frozen,
            temper: self.track(metric).temper.factor(total.n_c, total.n_b),
        }
    }

    /// Takes a window of `metric` in; what it says is what is written down.
    pub fn take(&mut self, metric: Metric, window: Window) -> Taken {
        let terms = self.rules.terms(metric);
        let track = &mut self.tracks[metric as usize];
        let log_e = track.process.close(&terms, &window);
        track.step &= !window.is_active();
        let gate = (metric == Metric::Errors && window.is_active()).then(|| {
            let total = window.rows.total();
            self.gate_units += u64::from(total.n_c);
            self.gate.close(&GateTerms::default(), total, window.temper)
        });
        Taken {
            window,
            log_e,
            gate,
        }
    }

    /// Counts a window of stable for the temper of `metric`, whether there is a canary or not.
    pub fn learn(&mut self, metric: Metric, total: Row) {
        self.tracks[metric as usize].minute += total;
    }

    /// A minute is over.
    pub fn minute(&mut self) {
        for track in &mut self.tracks {
            let minute = std::mem::take(&mut track.minute);
            track.temper.minute(minute.n_b, minute.k_b);
        }
    }

    fn track(&self, metric: Metric) -> &Track {
        &self.tracks[metric as usize]
    }

    /// The stake of `metric`.
    pub fn process(&self, metric: Metric) -> &Process {
        &self.track(metric).process
    }

    /// What is known of stable's restlessness in `metric`.
    pub fn temper(&self, metric: Metric) -> &Temper {
        &self.track(metric).temper
    }

    /// The evidence of no harm since the canary was last given more.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Units of the canary at risk since then, window by window.
    pub const fn gate_units(&self) -> u64 {
        self.gate_units
    }

    /// What the attempt has cost, while there was a budget.
    pub const fn spending(&self) -> &Spending {
        &self.spending
    }

    /// The first metric with enough evidence of harm.
    pub fn tripped(&self) -> Option<Metric> {
        let mut metrics = Metric::ALL.into_iter();
        metrics.find(|metric| self.process(*metric).tripped())
    }

    /// The most evidence of harm that there is now, of any metric.
    pub fn max_log_e(&self) -> f64 {
        let all = self.tracks.iter().map(|track| track.process.log_e());
        all.fold(f64::NEG_INFINITY, f64::max)
    }
}

impl Track {
    fn new(terms: &Terms) -> Self {
        Self {
            process: Process::new(terms),
            temper: Temper::default(),
            minute: Row::default(),
            step: true,
        }
    }
}
