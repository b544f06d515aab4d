//! What guarded routes see of their requests: who had any, whose went wrong, and how long the first answer of each took.
//!
//! One set of units a route, shared by all threads: a mark is a load, and a locked instruction only for a unit's first in
//! a window. Nothing here judges; whoever does takes out what was counted, every second and every window.

mod marks;
mod observation;
mod registry;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use canary::guard::{BINS, Observed, Row, Rows, Second, Thresholds, Units, bin};

use marks::Marks;
pub use observation::{Observation, Outcome, Side};
pub(crate) use observation::{outcome, time_us};
pub use registry::{Board, Witnesses};

/// Groups of units.
const GROUPS: usize = canary::guard::GROUPS;
/// Quantiles whose slow requests are counted.
const QUANTILES: usize = canary::guard::QUANTILES.len();
/// No bin is above this: nothing is slow before it is known what slow is.
const NOTHING_IS_SLOW: u32 = BINS as u32;

/// What one route has seen since it was last asked.
#[derive(Debug)]
pub struct Witness {
    /// The canary's and stable's.
    sides: [Counts; 2],
    /// Stable's times, by bin.
    bins: Box<[AtomicU32]>,
}

#[derive(Debug)]
struct Counts {
    active: Marks,
    errors: Marks,
    client_errors: Marks,
    /// Units whose time in this minute was taken.
    timed: Marks,
    requests: AtomicU64,
    failed: AtomicU64,
    first: [AtomicU32; GROUPS],
    late: [[AtomicU32; GROUPS]; QUANTILES],
    /// The last bin that is not slow, by quantile.
    slow: [AtomicU32; QUANTILES],
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            sides: [Counts::new(), Counts::new()],
            bins: (0..BINS).map(|_| AtomicU32::new(0)).collect(),
        }
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            active: Marks::default(),
            errors: Marks::default(),
            client_errors: Marks::default(),
            timed: Marks::default(),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first: Default::default(),
            late: Default::default(),
            slow: [const { AtomicU32::new(NOTHING_IS_SLOW) }; QUANTILES],
        }
    }
}

impl Witness {
    /// A request of the route finished.
    pub fn observe(&self, seen: &Observation) {
        let counts = &self.sides[seen.side as usize];
        counts.requests.fetch_add(1, Relaxed);
        counts.active.mark(seen.unit);
        match seen.outcome {
            Outcome::Fine => {}
            Outcome::Failed => {
                counts.failed.fetch_add(1, Relaxed);
                counts.errors.mark(seen.unit);
            }
            Outcome::Refused => {
                counts.client_errors.mark(seen.unit);
            }
        }
        if let Some(time_us) = seen.time_us
            && counts.timed.mark(seen.unit)
        {
            self.timed(seen, bin(time_us));
        }
    }

    /// The first time of a unit in this minute; so nobody counts more than others, however many requests they send.
    fn timed(&self, seen: &Observation, bin: usize) {
        let counts = &self.sides[seen.side as usize];
        let group = usize::from(seen.unit) % GROUPS;
        counts.first[group].fetch_add(1, Relaxed);
        for (late, slow) in counts.late.iter().zip(&counts.slow) {
            if bin as u32 > slow.load(Relaxed) {
                late[group].fetch_add(1, Relaxed);
            }
        }
        if seen.side == Side::Stable {
            self.bins[bin].fetch_add(1, Relaxed);
        }
    }

    /// Takes out what the last second brought; units that failed are noted for the window too.
    pub fn second(&self, window: &mut Observed) -> Second {
        let [canary, stable] = &self.sides;
        let mut bad_units = Units::default();
        canary.errors.take(&mut bad_units);
        window.errors[0].extend(bad_units.iter());
        Second {
            n_c: canary.requests.swap(0, Relaxed),
            k_c: canary.failed.swap(0, Relaxed),
            bad_units,
            n_b: stable.requests.swap(0, Relaxed),
            k_b: stable.failed.swap(0, Relaxed),
        }
    }

    /// Takes out what else the window brought.
    pub fn close(&self, window: &mut Observed) {
        for (side, counts) in self.sides.iter().enumerate() {
            counts.active.take(&mut window.active[side]);
            counts.errors.take(&mut window.errors[side]);
            counts.client_errors.take(&mut window.client_errors[side]);
        }
        window.times = self.times();
        let bins = self.bins.iter().enumerate();
        let filled = bins.filter(|(_, count)| count.load(Relaxed) > 0);
        window.bins = filled
            .map(|(bin, count)| (bin, count.swap(0, Relaxed)))
            .collect();
    }

    fn times(&self) -> [Rows; QUANTILES] {
        let [canary, stable] = &self.sides;
        let mut times = [Rows::default(); QUANTILES];
        for group in 0..GROUPS {
            let n_c = canary.first[group].swap(0, Relaxed);
            let n_b = stable.first[group].swap(0, Relaxed);
            for (quantile, rows) in times.iter_mut().enumerate() {
                rows.0[group] = Row {
                    n_c,
                    // A request may be between its two counts.
                    k_c: canary.late[quantile][group].swap(0, Relaxed).min(n_c),
                    n_b,
                    k_b: stable.late[quantile][group].swap(0, Relaxed).min(n_b),
                };
            }
        }
        times
    }

    /// A minute is over: every unit's next time counts again.
    pub fn minute(&self) {
        self.sides.iter().for_each(|counts| counts.timed.clear());
    }

    /// From now on times above these are slow.
    pub fn set_slow(&self, slow: [Option<Thresholds>; QUANTILES]) {
        let [canary, stable] = &self.sides;
        for (quantile, slow) in slow.into_iter().enumerate() {
            let bin = |bin: Option<usize>| bin.map_or(NOTHING_IS_SLOW, |bin| bin as u32);
            canary.slow[quantile].store(bin(slow.and_then(|slow| slow.canary)), Relaxed);
            stable.slow[quantile].store(bin(slow.map(|slow| slow.stable)), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(side: Side, unit: u16, outcome: Outcome, time_us: u64) -> Observation {
        Observation {
            side,
            unit,
            outcome,
            time_us: Some(time_us),
        }
    }

    #[test]
    fn a_witness_takes_less_than_100_kib() {
        let mut witness = None;
        let measured = allocation_counter::measure(|| witness = Some(Witness::default()));
        let kib = measured.bytes_current / 1024;
        println!("{kib} KiB for a guarded route, bound 100");
        assert!(witness.is_some() && (1..100).contains(&kib));
    }

    #[test]
    fn a_unit_counts_once_a_window_whatever_it_sends() {
        let witness = Witness::default();
        for _ in 0..50 {
            witness.observe(&seen(Side::Canary, 7, Outcome::Failed, 1_000));
            witness.observe(&seen(Side::Stable, 9, Outcome::Refused, 1_000));
        }
        let mut window = Observed::default();
        let second = witness.second(&mut window);
        assert_eq!(
            [second.n_c, second.k_c, second.n_b, second.k_b],
            [50, 50, 50, 0]
        );
        witness.close(&mut window);
        let units = |units: &Units| units.iter().collect::<Vec<_>>();
        assert_eq!(units(&window.active[0]), [7]);
        assert_eq!(units(&window.errors[0]), [7]);
        assert_eq!(units(&window.active[1]), [9]);
        assert!(window.errors[1].is_empty());
        assert_eq!(units(&window.client_errors[1]), [9]);
        let mut next = Observed::default();
        witness.close(&mut next);
        assert!(next.active[0].is_empty() && next.bins.is_empty());
    }

    #[test]
    fn the_first_time_of_a_unit_in_a_minute_counts() {
        let witness = Witness::default();
        witness.set_slow(
            [Some(Thresholds {
                stable: bin(10_000),
                canary: Some(bin(20_000)),
            }); 3],
        );
        for (unit, time_us) in [(1, 15_000), (1, 90_000), (2, 25_000)] {
            witness.observe(&seen(Side::Canary, unit, Outcome::Fine, time_us));
        }
        witness.observe(&seen(Side::Stable, 3, Outcome::Fine, 11_000));
        let mut window = Observed::default();
        witness.close(&mut window);
        assert_eq!(window.times[0].total(), Row::from([2, 1, 1, 1]));
        assert_eq!(window.bins, [(bin(11_000), 1)]);
        witness.observe(&seen(Side::Canary, 1, Outcome::Fine, 90_000));
        witness.close(&mut window);
        assert_eq!(
            window.times[0].total(),
            Row::default(),
            "the minute is not over"
        );
        witness.minute();
        witness.observe(&seen(Side::Canary, 1, Outcome::Fine, 90_000));
        witness.close(&mut window);
        assert_eq!(window.times[0].total(), Row::from([1, 1, 0, 0]));
    }
}
