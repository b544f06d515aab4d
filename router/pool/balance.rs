//! Which of several targets comes next. No state but the places in the rotation; chance comes from the thread's generator.

use std::cmp::Ordering as Order;
use std::sync::atomic::Ordering;

use config::model::Balance;

use super::Pool;
use super::members::{Member, Members};
use super::target::Target;

/// One turn of a target of weight 1, in the rotation's own time. At 10,000 picks a second of a lone target it lasts 50 years.
const TURN: u64 = 1 << 20;

/// A reading of the rotation before anybody was picked; not 0, so that half a turn back is still a place.
pub(super) const START: u64 = TURN * 2000;

/// The member that comes next among those whose target `candidate` admits.
pub(super) fn choose<'a>(
    pool: &Pool,
    members: &'a Members,
    now: u64,
    candidate: impl Fn(&Target) -> bool,
) -> Option<&'a Member> {
    let candidate = |member: &Member| candidate(&member.target);
    let members = &members.active;
    let position = match pool.settings.balance {
        Balance::LeastRequests => less_busy(pool, members, now, &candidate),
        Balance::Random => any(pool, members, now, &candidate, draw),
        Balance::RoundRobin => in_turn(pool, members, now, &candidate),
    };
    Some(&members[position?])
}

/// Where a target enters a rotation that stands at `rotation`, so that its first turn comes after half its interval.
pub(super) fn entry(rotation: u64, weight: u32) -> u64 {
    rotation.saturating_sub(TURN / u64::from(weight.max(1)) / 2)
}

/// Smooth weighted rotation without a lock: each target has a next turn, one interval after its last, an interval
/// being the inverse of its weight; the earliest comes next. A target that was away does not catch up: its turn is
/// never earlier than the pool's last.
fn in_turn(
    pool: &Pool,
    members: &[Member],
    now: u64,
    candidate: &impl Fn(&Member) -> bool,
) -> Option<usize> {
    loop {
        let rotation = pool.shared.rotation.load(Ordering::Acquire);
        let turn = |(position, member): (usize, &Member)| {
            let last = member.target.rotated.load(Ordering::Acquire);
            let next = (last + interval(member, pool, now)).max(rotation);
            (next, position, last)
        };
        let (next, position, last) = members
            .iter()
            .enumerate()
            .filter(|(_, member)| candidate(member))
            .map(turn)
            .min()?;
        let rotated = &members[position].target.rotated;
        let taken = rotated.compare_exchange(last, next, Ordering::AcqRel, Ordering::Acquire);
        // Who loses the race looks again: somebody else took the turn, so the loop moves on.
        if taken.is_ok() {
            pool.shared.rotation.fetch_max(next, Ordering::AcqRel);
            return Some(position);
        }
    }
}

/// The less busy of two random ones, in relation to their weights; of two equally busy ones the one drawn first.
fn less_busy(
    pool: &Pool,
    members: &[Member],
    now: u64,
    candidate: &impl Fn(&Member) -> bool,
) -> Option<usize> {
    let first = any(pool, members, now, candidate, draw)?;
    let one = &members[first];
    let is_other =
        |member: &Member| member.target.address != one.target.address && candidate(member);
    let Some(second) = any(pool, members, now, &is_other, draw) else {
        return Some(first);
    };
    let other = &members[second];
    let load = |member: &Member, against: &Member| {
        u64::from(member.target.in_flight.load(Ordering::Relaxed)) * part(against, pool, now)
    };
    match load(one, other).cmp(&load(other, one)) {
        Order::Greater => Some(second),
        Order::Equal | Order::Less => Some(first),
    }
}

/// A random one, in proportion to the weights.
fn any(
    pool: &Pool,
    members: &[Member],
    now: u64,
    candidate: &impl Fn(&Member) -> bool,
    draw: impl FnOnce(u64) -> u64,
) -> Option<usize> {
    let candidates = || {
        let admitted = members.iter().enumerate();
        admitted.filter(|(_, member)| candidate(member))
    };
    let total = candidates()
        .map(|(_, member)| part(member, pool, now))
        .sum();
    if total == 0 {
        return None;
    }
    let mut left = draw(total);
    let mut last = None;
    for (position, member) in candidates() {
        last = Some(position);
        let part = part(member, pool, now);
        if left < part {
            break;
        }
        left -= part;
    }
    // The set may change between the two looks; then the last one seen will do.
    last
}

fn part(member: &Member, pool: &Pool, now: u64) -> u64 {
    u64::from(member.weight) * member.target.permille(now, pool.slow_start)
}

fn interval(member: &Member, pool: &Pool, now: u64) -> u64 {
    TURN * 1000 / part(member, pool, now)
}

fn draw(below: u64) -> u64 {
    rand::random_range(0..below)
}
