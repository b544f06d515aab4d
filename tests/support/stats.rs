//! Counting and the normal approximation to the binomial distribution.

use std::collections::BTreeMap;
use std::fmt;

/// How many answers each environment gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(BTreeMap<String, usize>);

impl Counts {
    pub(crate) fn add(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// The part of `name`, 0 to 1.
    pub(crate) fn share(&self, name: &str) -> f64 {
        self.of(name) as f64 / self.total() as f64
    }
}

impl<'a> FromIterator<&'a str> for Counts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut counts = Self::default();
        for name in names {
            counts.add(name);
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.0 {
            write!(f, "{name} {count} ({:.3} %) ", self.share(name) * 100.0)?;
        }
        Ok(())
    }
}

/// By how many standard deviations `hits` of `total` differ from the share asked for.
pub(crate) fn share_z(hits: usize, total: usize, share: f64) -> f64 {
    let total = total as f64;
    (hits as f64 - total * share) / (total * share * (1.0 - share)).sqrt()
}
