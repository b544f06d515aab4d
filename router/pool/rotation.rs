//! The order in which targets take their turns, worked out once for many requests.
//!
//! Arithmetic over positions and weights; it knows no target, no time and nobody's turn.

use std::collections::HashMap;

/// One round of turns; the next round is the same.
///
/// A target has as many turns as its weight says, spread evenly over the round.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    turns: Box<[u32]>,
    /// 2^64 over the number of turns, rounded up; see `turn`.
    reciprocal: u64,
    positions: Box<[u32]>,
}

/// A round has so many turns, or so many for each target if that is more. Longer ones would cost memory and time to
/// make, for shares that nobody can tell apart: at this length a share is off by at most one part in eight thousand.
const LONGEST: u64 = 4096;
const LONGEST_EACH: u64 = 4;

impl Rotation {
    /// For targets given as position and weight, of at least 1 each.
    pub(super) fn new(weighted: &[(u32, u32)]) -> Self {
        let weights: Vec<u32> = weighted.iter().map(|(_, weight)| *weight).collect();
        let shares = shares(&weights);
        let turns = spread(&shares).map(|index| weighted[index].0);
        let turns: Box<[u32]> = turns.collect();
        Self {
            reciprocal: (u64::MAX / (turns.len() as u64).max(1)).wrapping_add(1),
            turns,
            positions: weighted.iter().map(|(position, _)| *position).collect(),
        }
    }

    /// How many turns a round has.
    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// The position of the target whose turn is the `n`th of all rounds; `n` may begin anew after the greatest one.
    ///
    /// The remainder is two multiplications instead of a division, which is an eighth of a pick (`benches/pick`); exact for
    /// all 32 bits (Lemire, Kaser and Kurz 2019, "Faster remainder by direct computation").
    pub(super) fn turn(&self, n: u32) -> Option<usize> {
        let fraction = u128::from(self.reciprocal.wrapping_mul(n.into()));
        let turn = (fraction * self.turns.len() as u128) >> 64;
        self.turns.get(turn as usize).map(|&turn| turn as usize)
    }

    /// The positions of all targets, each once.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }
}

/// How many turns of a round each gets: exactly as the weights say as long as that is not too long a round; otherwise
/// the nearest number, and at least one.
fn shares(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let shares = weights.iter().map(|weight| u64::from(weight / divisor));
    let sum: u64 = shares.clone().sum();
    let longest = LONGEST.max(LONGEST_EACH * weights.len() as u64);
    if sum <= longest {
        return shares.collect();
    }
    let fitted = shares.map(|share| ((share * longest + sum / 2) / sum).max(1));
    fitted.collect()
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Indices in the order of a round: each has its turns at even distances, and those with equally many start one after the
/// other.
fn spread(shares: &[u64]) -> impl Iterator<Item = usize> + use<> {
    let mut alike: HashMap<u64, (u64, u64)> = HashMap::new();
    for &share in shares {
        alike.entry(share).or_default().0 += 1;
    }
    let mut turns = Vec::with_capacity(shares.iter().sum::<u64>() as usize);
    for (index, &share) in shares.iter().enumerate() {
        let (n_alike, rank) = alike.entry(share).or_default();
        turns.extend((0..share).map(|turn| (moment(turn, share, *rank, *n_alike), index)));
        *rank += 1;
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, index)| index)
}

/// When in a round, in parts of 2^32, the one of this rank among `n_alike` has its turn of this number.
const fn moment(turn: u64, share: u64, rank: u64, n_alike: u64) -> u64 {
    ((2 * (turn * n_alike + rank) + 1) << 32) / (2 * n_alike * share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rotation(weights: &[u32]) -> Rotation {
        let weighted: Vec<(u32, u32)> = (0..).zip(weights.iter().copied()).collect();
        Rotation::new(&weighted)
    }

    #[track_caller]
    fn check(weights: &[u32], expected: &[u32]) {
        assert_eq!(*rotation(weights).turns, *expected);
    }

    #[test]
    fn equal_targets_take_turns_in_their_order() {
        check(&[1, 1, 1], &[0, 1, 2]);
        check(&[7, 7, 7, 7], &[0, 1, 2, 3]);
    }

    #[test]
    fn a_heavy_target_is_spread_over_the_round() {
        check(&[5, 1, 1], &[0, 1, 0, 0, 0, 2, 0]);
        check(&[200, 100], &[0, 1, 0]);
    }

    proptest! {
        #[test]
        fn a_turn_is_the_remainder_of_its_number(n in any::<u32>(), n_targets in 1u32..5000) {
            let rotation = rotation(&vec![1; n_targets as usize]);
            prop_assert_eq!(rotation.turn(n), Some((n % n_targets) as usize));
        }
    }

    #[test]
    fn nobody_has_no_turn() {
        assert_eq!(rotation(&[]).turn(7), None);
        assert_eq!(rotation(&[]).len(), 0);
    }

    #[test]
    fn rounds_follow_each_other() {
        let rotation = rotation(&[2, 1]);
        let turns: Vec<_> = (0..6).filter_map(|n| rotation.turn(n)).collect();
        assert_eq!(turns, [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn a_round_that_would_be_too_long_is_shortened_and_keeps_everybody() {
        let mut weights = vec![1000; 9];
        weights.extend([997, 1]);
        let rotation = rotation(&weights);
        let n = |position: usize| {
            rotation
                .turns
                .iter()
                .filter(|&&p| p as usize == position)
                .count()
        };
        assert!(
            (4096..=4107).contains(&rotation.len()),
            "{}",
            rotation.len()
        );
        assert_eq!([n(0), n(9), n(10)], [410, 408, 1]);
    }

    proptest! {
        #[test]
        fn shares_are_exact_when_the_round_is_short(weights in prop::collection::vec(1..=40u32, 1..60)) {
            let rotation = rotation(&weights);
            let round = rotation.len();
            let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            for (position, &weight) in (0u32..).zip(&weights) {
                let turns = rotation.turns.iter().filter(|&&turn| turn == position).count();
                prop_assert_eq!(turns as u64 * sum, u64::from(weight) * round as u64);
            }
        }

        #[test]
        fn shares_are_off_by_at_most_one_turn_otherwise(weights in prop::collection::vec(1..=1000u32, 5..300)) {
            let rotation = rotation(&weights);
            let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let exact = sum / u64::from(weights.iter().copied().fold(0, gcd));
            let round = exact.min(LONGEST) as f64;
            for (position, &weight) in (0u32..).zip(&weights) {
                let turns = rotation.turns.iter().filter(|&&turn| turn == position).count() as f64;
                let due = f64::from(weight) / sum as f64 * round;
                prop_assert!(turns >= 1.0 && (turns - due).abs() <= 1.0, "{turns} of {due}");
            }
        }

        /// Between two turns of one, each other has at most as many turns as fit in that time, and one more.
        #[test]
        fn nobody_waits_much_longer_than_its_share(weights in prop::collection::vec(1..=40u32, 1..60)) {
            let rotation = rotation(&weights);
            let round = rotation.len() as u64;
            for (position, &weight) in weights.iter().enumerate() {
                let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
                let longest = sum / u64::from(weight) + weights.len() as u64 + 1;
                let turns = (0..2 * round as u32).filter(|&n| rotation.turn(n) == Some(position));
                let turns: Vec<u32> = turns.collect();
                for pair in turns.windows(2) {
                    prop_assert!(u64::from(pair[1] - pair[0]) <= longest, "{pair:?}");
                }
            }
        }
    }
}
