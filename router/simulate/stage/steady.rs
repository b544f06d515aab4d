//! Something that changes to and fro, and is told once it has stayed for a while.

/// So many seconds it must have been the same.
const WHILE: u64 = 600;

/// What was told last, and what may be told next.
pub(super) struct Steady<T> {
    told: T,
    next: Option<(T, u64)>,
}

impl<T: Clone + PartialEq> Steady<T> {
    pub(super) const fn new(told: T) -> Self {
        Self { told, next: None }
    }

    /// Takes a look; what is to be told now, if anything is.
    pub(super) fn see(&mut self, now: u64, value: T) -> Option<T> {
        if value == self.told {
            self.next = None;
            return None;
        }
        match &self.next {
            Some((next, since)) if *next == value => {
                if now - since < WHILE {
                    return None;
                }
            }
            _ => {
                self.next = Some((value, now));
                return None;
            }
        }
        self.next = None;
        self.told = value.clone();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_stayed_for_ten_minutes_is_told() {
        let mut steady = Steady::new(0);
        let told: Vec<_> = (0..4_000u64)
            // To and fro every minute, then another one for good.
            .filter_map(|now| {
                let value = if now < 2_000 { now / 60 % 2 } else { 2 };
                steady.see(now, value).map(|value| (now, value))
            })
            .collect();
        assert_eq!(told, [(2_600, 2)]);
    }
}
