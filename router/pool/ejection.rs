//! Passive ejection: taking targets out of a pool for what their requests met.
//!
//! Failures in a row and refused connects are noticed by the request that meets them; targets that fail more often than
//! the others are looked for from time to time, off the path of requests.

mod outliers;
mod rule;

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Pool;
use super::members::Members;
use super::target::Target;
pub(super) use outliers::{Outcomes, Rule as Outliers};
pub(super) use rule::Rule;

/// Why a target was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectionCause {
    /// Enough requests in a row failed.
    Failures,
    /// It refused a connection: nobody listens.
    Refused,
    /// It failed more often than the other targets of its pool.
    SuccessRate,
}

impl EjectionCause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Failures, Self::Refused, Self::SuccessRate];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Refused => "refused",
            Self::SuccessRate => "success_rate",
        }
    }
}

impl Pool {
    /// How many ejections of each cause there were since the pool first appeared in a file.
    pub fn ejections(&self) -> [(EjectionCause, u64); 3] {
        let n =
            |cause: EjectionCause| self.shared.ejections[cause as usize].load(Ordering::Relaxed);
        EjectionCause::ALL.map(|cause| (cause, n(cause)))
    }

    /// Takes `target` out for what it did since `began`, if the rule says so. Failures are rare, so this may lock.
    pub(super) fn eject(&self, target: &Target, (began, now): (u64, u64), cause: EjectionCause) {
        let _one_at_a_time = self
            .shared
            .ejecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if target.ejected(now) {
            return;
        }
        let members = self.members.load();
        let out = members.targets().filter(|t| t.ejected(now)).count();
        // Where nobody listens, no request is better off for being sent there.
        let always = cause == EjectionCause::Refused;
        if !always && !self.ejection.allows_one_more(out, members.active.len()) {
            return;
        }
        target.eject((began, now), &self.ejection, cause);
        self.shared.ejections[cause as usize].fetch_add(1, Ordering::Relaxed);
        if self.ramps_after_return(&members, target, now) {
            target.slow_from(target.ejected_until());
        }
        self.announce(target, now);
    }

    /// When an interval is over, ejects the targets that failed more often in it than the others. Never two at once.
    pub(super) fn compare(&self, now: u64) {
        let Some(rule) = &self.outliers else {
            return;
        };
        let before = self.shared.compared.load(Ordering::Relaxed);
        if now < before + rule.interval {
            return;
        }
        self.shared.compared.store(now, Ordering::Relaxed);
        let members = self.members.load();
        let outcomes = members.targets().map(|target| target.take_outcomes());
        for position in rule.outliers(&outcomes.collect::<Vec<Outcomes>>()) {
            let target = &members.active[position].target;
            self.eject(target, (before, now), EjectionCause::SuccessRate);
        }
    }

    /// Whether slow start applies to `target` when it comes back: not when nobody else carries the load.
    pub(super) fn ramps_after_return(&self, members: &Members, target: &Target, now: u64) -> bool {
        self.slow_start > 0
            && members
                .targets()
                .filter(|other| other.address != target.address)
                .any(|other| other.up(now) && !other.ramping(now, self.slow_start))
    }
}
