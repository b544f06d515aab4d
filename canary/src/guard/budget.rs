//! The budget of an attempt: how many users a canary may have, and how many errors it may cost, before it rises no more.
//!
//! It is no evidence of anything, and takes nothing back: a bound on what a harm that nobody has seen yet can reach.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Units;

/// Units there are: users are told apart by that many marks.
const MARKS: f64 = 65_536.0;

/// What an attempt may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetTerms {
    /// Users of the canary.
    pub users: Option<u64>,
    /// Failures of the canary, beyond as many as stable would have had.
    pub extra_errors: Option<u64>,
}

/// What an attempt has cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    #[serde(default, serialize_with = "list", deserialize_with = "units")]
    units: Units,
    extra_errors: f64,
    /// The part of stable's requests that failed when it had any last.
    stable_ratio: f64,
    spent: Option<Item>,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// Failures of the canary, beyond as many as stable would have had.
    ExtraErrors,
    /// Users of the canary.
    Users,
}

/// A bound that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Which.
    pub item: Item,
    /// So many there were,
    pub used: u64,
    /// of so many that are allowed.
    pub allowed: u64,
}

impl Spending {
    /// Units of the canary had requests.
    pub(super) fn users_came(&mut self, units: &Units) {
        self.units.extend(units.iter());
    }

    /// So many requests of the canary failed, of so many; stable had `stable` requests lately, and bad ones of them.
    pub(super) fn second(&mut self, (n_c, k_c): (u64, u64), (n_b, k_b): (u64, u64)) {
        if n_b > 0 {
            self.stable_ratio = k_b as f64 / n_b as f64;
        }
        self.extra_errors += k_c as f64 - n_c as f64 * self.stable_ratio;
    }

    /// The first bound that is reached; said once.
    pub(super) fn reached(&mut self, terms: &BudgetTerms) -> Option<Spent> {
        if self.spent.is_some() {
            return None;
        }
        let bounds = [
            (Item::Users, self.users(), terms.users),
            (Item::ExtraErrors, self.extra_errors(), terms.extra_errors),
        ];
        let spent = bounds.into_iter().find_map(|(item, used, allowed)| {
            let allowed = allowed.filter(|allowed| used >= *allowed)?;
            Some(Spent {
                item,
                used,
                allowed,
            })
        })?;
        self.spent = Some(spent.item);
        Some(spent)
    }

    /// Users of the canary, by the marks that they left: two users may leave the same, and how often they do is known.
    pub fn users(&self) -> u64 {
        let free = (MARKS - self.units.len() as f64).max(1.0);
        (-MARKS * (free / MARKS).ln()).round() as u64
    }

    /// Failures of the canary, beyond as many as stable would have had with its requests.
    pub const fn extra_errors(&self) -> u64 {
        // Below zero is none.
        self.extra_errors.max(0.0) as u64
    }

    /// The bound that was reached in this attempt.
    pub const fn spent(&self) -> Option<Item> {
        self.spent
    }
}

impl Item {
    /// The word in the file, answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExtraErrors => "extra_errors",
            Self::Users => "users",
        }
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.item {
            Item::ExtraErrors => "failures of the canary more than stable would have had",
            Item::Users => "users of the canary",
        };
        let (used, allowed) = (self.used, self.allowed);
        write!(
            f,
            "budget: {used} {what} in this attempt, {allowed} are allowed"
        )
    }
}

/// Marks as hexadecimal digits: a number for each would be four times as long.
fn list<S: Serializer>(units: &Units, serializer: S) -> Result<S::Ok, S::Error> {
    let text: String = units.iter().map(|unit| format!("{unit:04x}")).collect();
    serializer.serialize_str(&text)
}

fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Units, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.as_bytes().chunks(4);
    let units = digits.map(|four| {
        let four = std::str::from_utf8(four).ok()?;
        u16::from_str_radix(four, 16).ok()
    });
    let units = units.collect::<Option<Units>>();
    units.ok_or_else(|| serde::de::Error::custom("these are no units"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: BudgetTerms = BudgetTerms {
        users: Some(100),
        extra_errors: Some(10),
    };

    #[test]
    fn a_bound_is_reached_once_and_named() {
        let mut spending = Spending::default();
        spending.users_came(&(0..99).collect());
        spending.users_came(&(0..99).collect());
        assert_eq!(spending.reached(&BOTH), None);
        spending.users_came(&(99..120).collect());
        let spent = spending.reached(&BOTH).unwrap();
        assert_eq!(
            spent.to_string(),
            "budget: 120 users of the canary in this attempt, 100 are allowed"
        );
        assert_eq!(spending.reached(&BOTH), None, "it was said");
        assert_eq!(spending.spent(), Some(Item::Users));
    }

    #[test]
    fn failures_count_beyond_what_stable_would_have_had() {
        let mut spending = Spending::default();
        // Both fail alike.
        spending.second((100, 10), (900, 90));
        assert_eq!(spending.extra_errors(), 0);
        spending.second((100, 15), (900, 90));
        assert_eq!(spending.extra_errors(), 5);
        // Stable had no request: it would have been as it was.
        spending.second((100, 14), (0, 0));
        assert_eq!(spending.extra_errors(), 9);
        assert_eq!(spending.reached(&BOTH), None);
        spending.second((10, 3), (900, 90));
        let spent = spending.reached(&BOTH).unwrap();
        assert_eq!((spent.item, spent.used), (Item::ExtraErrors, 11));
    }

    #[test]
    fn far_more_users_than_marks_are_counted_within_two_percent() {
        let mut mark = 1u64;
        for n_users in [1_000u64, 50_000, 300_000] {
            let mut spending = Spending::default();
            let units: Units = (0..n_users)
                .map(|_| {
                    mark = mark.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (mark >> 48) as u16
                })
                .collect();
            spending.users_came(&units);
            let off = spending.users() as f64 / n_users as f64 - 1.0;
            println!("{n_users} users are counted as {}", spending.users());
            assert!(off.abs() < 0.02, "{off}");
        }
    }

    #[test]
    fn what_was_spent_survives_being_written_down() {
        let mut spending = Spending::default();
        spending.users_came(&[1, 40_000, 65_535].into_iter().collect());
        spending.second((7, 5), (10, 1));
        let text = serde_json::to_string(&spending).unwrap();
        let again: Spending = serde_json::from_str(&text).unwrap();
        assert_eq!((again.users(), again), (3, spending));
        assert!(serde_json::from_str::<Spending>(&text.replace("ffff", "zzzz")).is_err());
    }
}
