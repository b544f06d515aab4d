//! The guard: does the canary harm anybody, and how sure is that?
//!
//! No harm means, for every window of five seconds: the chance that a unit of the canary has a bad request is at most
//! `ratio` times that of a unit of stable, plus `margin`.
//! Evidence against it is a stake that grows: under no harm its expectation never exceeds what was put in, so the chance
//! that it ever reaches `1 / alpha` is at most `alpha`, however often one looks (Ville).
//! Stable is compared with itself at the same moment, so what hits both pools is evidence of nothing.
//!
//! The literature this rests on: Lindon and Malek 2022 (conditional counting e-process), ter Schure and others (safe
//! logrank: risk sets), Howard and others (mixtures over the time of a change).
//!
//! All stakes are logarithms. What decides here about a rollback is in `Process` and `HardLimit`, what decides about the
//! next step of a ramp is in `Gate`; nothing here carries either out.

mod bet;
mod budget;
mod detection;
mod evidence;
mod gate;
mod hard_limit;
mod hour;
mod latency;
mod log;
mod metric;
mod process;
mod recent;
mod reference;
mod risk;
mod row;
mod temper;
mod units;
mod whole;

pub use bet::log_e;
pub use budget::{BudgetTerms, Item, Spending, Spent};
pub use detection::{Traffic, smallest_harm, time_to_detect};
pub use evidence::{Evidence, Taken};
pub use gate::{Gate, GateTerms};
pub use hard_limit::{HardLimit, HardTerms, Second};
pub use hour::Usual;
pub use latency::{BINS, Thresholds, bin, edges, thresholds};
pub use metric::{Bound, Metric, QUANTILES, Rules, Slack, drip};
pub use process::{Process, Terms, Window};
pub use recent::{Recent, Standing};
pub use risk::{Closed, Epoch, RiskSet};
pub use row::{GROUPS, Row, Rows};
pub use temper::Temper;
pub use units::Units;
pub use whole::{Armed, Guard, Observed, Trip, Verdict};

/// Length of a window in seconds; windows are those of the unix clock, `[k * 5 s, (k + 1) * 5 s)`.
pub const WINDOW_S: u64 = 5;
/// Windows in a minute.
pub const WINDOWS_PER_MINUTE: usize = 12;

#[cfg(test)]
mod operating;
#[cfg(test)]
mod vectors;
