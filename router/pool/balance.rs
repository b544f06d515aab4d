//! Which of several targets comes next. Chance comes from a generator of the thread's own; what is shared is one counter.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use config::model::Balance;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::rotation::Rotation;

/// So many turns may pass by targets that cannot take them. With half of them out it fails once in four billion picks;
/// then, or when there is nobody else, whoever asks has to look at all of them.
const TURNS: usize = 32;
/// So many draws for a second target that is not the first.
const DRAWS: usize = 3;

thread_local! {
    /// Balancing is no secret, so a small and fast generator will do.
    static CHANCE: RefCell<SmallRng> = RefCell::new(SmallRng::from_os_rng());
}

/// The position that comes next in `rotation`; `turn` counts the turns that were taken.
///
/// `takes` says whether a target takes the turn that is offered to it, `busier` whether the first is the busier of two.
pub(super) fn next(
    balance: Balance,
    rotation: &Rotation,
    turn: &AtomicU32,
    takes: impl Fn(usize) -> bool,
    busier: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    if rotation.len() == 0 {
        return None;
    }
    match balance {
        Balance::RoundRobin => in_turn(rotation, turn, takes),
        Balance::Random => any(rotation, takes),
        Balance::LeastRequests => {
            let first = any(rotation, &takes)?;
            let second = another(rotation, first, &takes);
            second
                .filter(|&second| busier(first, second))
                .or(Some(first))
        }
    }
}

/// Whoever the counter points at. A turn that is not taken is the next one's, so the shares of the others stay exact.
fn in_turn(rotation: &Rotation, turn: &AtomicU32, takes: impl Fn(usize) -> bool) -> Option<usize> {
    (0..TURNS)
        .filter_map(|_| rotation.turn(turn.fetch_add(1, Ordering::Relaxed)))
        .find(|&position| takes(position))
}

/// A random turn, so in proportion to the weights.
fn any(rotation: &Rotation, takes: impl Fn(usize) -> bool) -> Option<usize> {
    let round = rotation.len() as u32;
    (0..TURNS)
        .filter_map(|_| rotation.turn(draw(round)))
        .find(|&position| takes(position))
}

/// A random turn of another one than `first`. If those of a heavy target hide the others, one of them regardless of weight.
fn another(rotation: &Rotation, first: usize, takes: impl Fn(usize) -> bool) -> Option<usize> {
    let is_other = |&position: &usize| position != first && takes(position);
    let positions = rotation.positions();
    if positions.len() < 2 {
        return None;
    }
    let round = rotation.len() as u32;
    let mut drawn = (0..DRAWS).filter_map(|_| rotation.turn(draw(round)));
    drawn.find(is_other).or_else(|| {
        let from = draw(positions.len() as u32) as usize;
        let around = positions[from..].iter().chain(&positions[..from]);
        around
            .take(DRAWS)
            .map(|&position| position as usize)
            .find(is_other)
    })
}

/// A random number below `below`, which is not 0.
fn draw(below: u32) -> u32 {
    CHANCE.with_borrow_mut(|chance| chance.random_range(0..below))
}
