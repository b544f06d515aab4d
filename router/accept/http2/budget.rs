//! How many streams a client may give up before we believe that it means no good.
//!
//! A stream that is opened and reset at once costs the client nothing and us a request (CVE-2023-44487), and the limit of
//! streams at the same time does not see it. A browser gives up what a page no longer needs, dozens at once, between
//! requests whose answers it takes.

/// Streams that may be given up in a row.
const MOST: u16 = 200;

/// The budget of one connection.
#[derive(Debug)]
pub(super) struct Budget {
    left: u16,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MOST }
    }
}

impl Budget {
    /// A stream ended, with its whole answer or without; whether the connection may go on.
    pub(super) const fn admits(&mut self, answered: bool) -> bool {
        self.left = match answered {
            true if self.left < MOST => self.left + 1,
            true => MOST,
            false => self.left.saturating_sub(1),
        };
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_only_gives_up_is_stopped() {
        let mut budget = Budget::default();
        let admitted = (0..1000).take_while(|_| budget.admits(false)).count();
        assert_eq!(admitted, usize::from(MOST) - 1);
    }

    #[test]
    fn who_takes_as_many_answers_as_it_gives_up_goes_on_for_ever() {
        let mut budget = Budget::default();
        for n in 0..100_000 {
            assert!(budget.admits(n % 2 == 0));
        }
    }

    #[test]
    fn answers_taken_before_are_no_credit_beyond_the_budget() {
        let mut budget = Budget::default();
        for _ in 0..10_000 {
            budget.admits(true);
        }
        let admitted = (0..1000).take_while(|_| budget.admits(false)).count();
        assert_eq!(admitted, usize::from(MOST) - 1);
    }
}
