//! Which of several targets comes next. Chance comes from a generator of the thread's own; what is shared is one counter.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use config::model::Balance;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

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

/// Turns that a thread has taken at once and not given yet.
///
/// One at a time every pick would ask for the cache line of the pool's counter, which all threads write. Of a long round
/// a thread takes more; then the shares of a pool are off by at most one turn for each thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    next: u32,
    left: u32,
}

/// A thread takes this part of a round at once, so one turn of a short round, and at most so many.
const AT_ONCE: (usize, usize) = (64, 16);

impl Turns {
    fn take(&mut self, counter: &AtomicU32, rotation: &Rotation) -> u32 {
        if self.left == 0 {
            let (part, most) = AT_ONCE;
            self.left = (rotation.len() / part).clamp(1, most) as u32;
            self.next = counter.fetch_add(self.left, Ordering::Relaxed);
        }
        self.left -= 1;
        let turn = self.next;
        self.next = turn.wrapping_add(1);
        turn
    }
}

/// The position that comes next in `rotation`; `counter` counts the turns that were taken, and `turns` has those of this
/// thread.
///
/// `takes` says whether a target takes the turn that is offered to it, `busier` whether the first is the busier of two.
pub(super) fn next(
    balance: Balance,
    rotation: &Rotation,
    (counter, turns): (&AtomicU32, &mut Turns),
    takes: impl Fn(usize) -> bool,
    busier: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    if rotation.len() == 0 {
        return None;
    }
    match balance {
        Balance::RoundRobin => (0..TURNS)
            .filter_map(|_| rotation.turn(turns.take(counter, rotation)))
            // A turn that is not taken is the next one's, so the shares of the others stay exact.
            .find(|&position| takes(position)),
        Balance::Random => any(rotation, takes),
        Balance::LeastRequests => less_busy(rotation, takes, busier),
    }
}

/// The less busy one of two random turns of different targets.
fn less_busy(
    rotation: &Rotation,
    takes: impl Fn(usize) -> bool,
    busier: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    let [first, second] = draw(rotation.len() as u32).map(|turn| rotation.turn(turn));
    let first = first.filter(|&first| takes(first));
    let first = first.or_else(|| any(rotation, &takes))?;
    let second = second.filter(|&second| second != first && takes(second));
    let second = second.or_else(|| another(rotation, first, &takes));
    second
        .filter(|&second| busier(first, second))
        .or(Some(first))
}

/// A random turn, so in proportion to the weights.
fn any(rotation: &Rotation, takes: impl Fn(usize) -> bool) -> Option<usize> {
    let round = rotation.len() as u32;
    (0..TURNS)
        .filter_map(|_| rotation.turn(draw(round)[0]))
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
    let mut drawn = (0..DRAWS).filter_map(|_| rotation.turn(draw(round)[0]));
    drawn.find(is_other).or_else(|| {
        let from = draw(positions.len() as u32)[0] as usize;
        let around = positions[from..].iter().chain(&positions[..from]);
        around
            .take(DRAWS)
            .map(|&position| position as usize)
            .find(is_other)
    })
}

/// Two random numbers below `below`, by one look at the generator.
///
/// Each is its half of 64 random bits as a part of 2^32, so one is likelier than another by at most `below` / 2^32.
fn draw(below: u32) -> [u32; 2] {
    let chance = CHANCE.with_borrow_mut(SmallRng::next_u64);
    [chance as u32, (chance >> 32) as u32]
        .map(|half| ((u64::from(half) * u64::from(below)) >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(n_targets: u32) -> Rotation {
        let weighted: Vec<_> = (0..n_targets).map(|position| (position, 1)).collect();
        Rotation::new(&weighted)
    }

    #[track_caller]
    fn check_turns(n_targets: u32, expected: [[u32; 3]; 2]) {
        let (rotation, counter) = (rotation(n_targets), AtomicU32::new(0));
        let mut threads = [Turns::default(), Turns::default()];
        let mut taken = [[0; 3]; 2];
        for time in 0..3 {
            for (thread, taken) in threads.iter_mut().zip(&mut taken) {
                taken[time] = thread.take(&counter, &rotation);
            }
        }
        assert_eq!(taken, expected);
    }

    #[test]
    fn threads_take_the_turns_of_a_short_round_one_by_one() {
        check_turns(5, [[0, 2, 4], [1, 3, 5]]);
        check_turns(127, [[0, 2, 4], [1, 3, 5]]);
    }

    #[test]
    fn threads_take_the_turns_of_a_long_round_by_the_dozen() {
        check_turns(128, [[0, 1, 4], [2, 3, 6]]);
        check_turns(1000, [[0, 1, 2], [15, 16, 17]]);
        check_turns(100_000, [[0, 1, 2], [16, 17, 18]]);
    }

    #[test]
    fn no_turn_of_a_long_round_is_lost_or_given_twice() {
        let (rotation, counter) = (rotation(1000), AtomicU32::new(u32::MAX - 40));
        let mut threads = [Turns::default(), Turns::default(), Turns::default()];
        let turns = (0..450).map(|n| threads[n % 3].take(&counter, &rotation));
        let mut turns: Vec<_> = turns.map(|turn| turn.wrapping_add(41)).collect();
        turns.sort_unstable();
        assert_eq!(turns, (0..450).collect::<Vec<_>>());
    }
}
