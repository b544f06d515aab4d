//! What tells requests of one route apart in the metrics, as a number to look their series up by.

use std::hash::Hasher;

use config::decision::{Reason, Sticky};
use config::ids::{PartitionId, PoolId};

use crate::record::Record;

/// All that tells the series of two requests of one route apart.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) partition: Option<PartitionId>,
    pub(super) pool: Option<PoolId>,
    pub(super) reason: Option<Reason>,
    pub(super) sticky: Option<Sticky>,
    code: u16,
    /// The pool first chosen, when another one served.
    pub(super) from: Option<PoolId>,
    /// Whether a flag chose it.
    pub(super) flagged: bool,
}

impl Key {
    pub(super) fn of(record: &Record) -> Self {
        let choice = record.decision.and_then(|decision| decision.choice);
        Self {
            partition: record.decision.map(|decision| decision.partition),
            pool: choice.map(|choice| choice.pool),
            reason: choice.map(|choice| choice.reason),
            sticky: choice.map(|choice| choice.sticky),
            code: record.status,
            from: record.switched_from,
            flagged: choice.is_some_and(|choice| choice.flag.is_some()),
        }
    }

    /// The key as one number: different keys, different numbers, short of 65,535 pools or partitions.
    pub(super) fn packed(&self) -> u64 {
        let partition = self.partition.map_or(0, |id| u64::from(id.0) + 1);
        let pool = self.pool.map_or(0, |id| u64::from(id.0) + 1);
        let from = self.from.map_or(0, |id| u64::from(id.0) + 1);
        // All codes above are one series.
        let code = u64::from(self.code.min(1023));
        // Nine reasons, three of which hide whether there was a flag, and five things to say of a place: 50 in 6 bits.
        let hides_a_flag = self.flagged && self.reason > Some(Reason::Weight);
        let reason = self.reason.map_or(0, |reason| reason as u64 + 1);
        let reason = reason + 3 * u64::from(hides_a_flag);
        let sticky = self.sticky.map_or(0, |sticky| sticky as u64 + 1);
        partition << 48 | pool << 32 | from << 16 | code << 6 | (reason * 5 + sticky)
    }

    /// Targets may answer any three digits; what HTTP does not define is one series.
    pub(super) fn code(&self) -> String {
        match self.code {
            0 => "000".into(),
            100..=599 => self.code.to_string(),
            _ => "other".into(),
        }
    }
}

/// A hash of one number by one multiplication: half of the instructions of `finished` went into the standard hash,
/// whose strength is for keys that a client chooses.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio spreads close numbers; the rotation brings the mixed bits to where the map looks first.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed.rotate_left(26);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn different_keys_have_different_numbers() {
        let mut numbers = HashSet::new();
        let mut n_keys = 0;
        for partition in [None, Some(0), Some(1), Some(999)] {
            for pool in [None, Some(0), Some(1), Some(255)] {
                for code in [0, 1, 200, 599, 999, u16::MAX] {
                    for (reason, flagged) in [
                        (None, false),
                        (Some(Reason::Flag), true),
                        (Some(Reason::Weight), false),
                        (Some(Reason::Cap), false),
                        (Some(Reason::Cap), true),
                        (Some(Reason::Fallback), false),
                        (Some(Reason::Fallback), true),
                    ] {
                        for sticky in [None, Some(Sticky::Hit), Some(Sticky::None)] {
                            for from in [None, Some(0), Some(1), Some(255)] {
                                let key = Key {
                                    partition: partition.map(PartitionId),
                                    pool: pool.map(PoolId),
                                    reason,
                                    sticky,
                                    code,
                                    from: from.map(PoolId),
                                    flagged,
                                };
                                numbers.insert(key.packed());
                                n_keys += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(numbers.len(), n_keys);
    }
}
