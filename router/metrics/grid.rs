//! Where a time counts: cells whose edges are those of native buckets and those of classic ones, so that one count tells
//! both.
//!
//! Native edges are powers of the eighth root of two in seconds (schema 3: a bucket is 9 % wide), from a sixteenth of a
//! millisecond to a day and a half. Times are nanoseconds, so that no edge is a question of rounding.

/// The schema of native buckets: edges are powers of 2 ^ 2 ^ -schema.
pub(super) const SCHEMA: i32 = 3;
/// Index of the native bucket below which everything is zero: 2 ^ -14 s.
pub(super) const LOWEST: i32 = -14 * 8;
/// Index of the last native edge, 2 ^ 17 s. Whatever is longer counts to the bucket above it.
pub(super) const HIGHEST: i32 = 17 * 8;
/// Native buckets, with the one above the last edge.
pub(super) const N_NATIVE: usize = (HIGHEST - LOWEST) as usize + 1;

/// Classic edges of all histograms, in nanoseconds, ascending.
const CLASSIC: [u64; 17] = [
    100_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// 0.25, 0.5 and 1 s are edges of both kinds.
const N_EDGES: usize = N_NATIVE + CLASSIC.len() - 3;
/// Cell `i` has what is above edge `i - 1` and not above edge `i`; the last one what is above all.
pub(super) const N_CELLS: usize = N_EDGES + 1;

/// Inclusive upper edges of all cells but the last, in nanoseconds.
pub(super) static EDGES: [u64; N_EDGES] = edges();

/// By the leading bit of a time and the three below it: the first cell that it can be in.
static STARTS: [u16; 64 * 8] = starts();

/// Powers of the eighth root of two.
const EIGHTHS: [f64; 8] = [
    1.0,
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

/// The upper edge of the native bucket at `index`, in nanoseconds.
pub(super) const fn native(index: i32) -> u64 {
    let power = f64::from_bits(((1023 + index.div_euclid(8)) as u64) << 52);
    (EIGHTHS[index.rem_euclid(8) as usize] * power * 1e9) as u64
}

const fn edges() -> [u64; N_EDGES] {
    let mut edges = [0; N_EDGES];
    let (mut index, mut classic, mut n) = (LOWEST, 0, 0);
    while n < N_EDGES {
        let native = if index > HIGHEST {
            u64::MAX
        } else {
            native(index)
        };
        let other = if classic < CLASSIC.len() {
            CLASSIC[classic]
        } else {
            u64::MAX
        };
        edges[n] = if native < other { native } else { other };
        index += (native <= other) as i32;
        classic += (other <= native) as usize;
        n += 1;
    }
    assert!(index == HIGHEST + 1 && classic == CLASSIC.len());
    edges
}

const fn starts() -> [u16; 64 * 8] {
    let edges = edges();
    let mut starts = [0; 64 * 8];
    let (mut key, mut cell) = (0, 0);
    while key < starts.len() {
        // The least time with these bits.
        let least = ((8 + key as u128 % 8) << (key / 8)) >> 3;
        while cell < N_EDGES && (edges[cell] as u128) < least {
            cell += 1;
        }
        starts[key] = cell as u16;
        key += 1;
    }
    starts
}

/// The cell of a time: a look at its leading bits, and at most some edges between them and the next ones.
pub(super) fn cell(nanos: u64) -> usize {
    // Nothing and a nanosecond are one cell.
    let zeros = nanos.max(1).leading_zeros();
    let eighth = (nanos.max(1) << zeros >> 60) & 7;
    let key = (63 - zeros) as usize * 8 + eighth as usize;
    let mut cell = usize::from(STARTS[key]);
    while EDGES.get(cell).is_some_and(|edge| *edge < nanos) {
        cell += 1;
    }
    cell
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the words above have it.
    fn sought(nanos: u64) -> usize {
        EDGES.partition_point(|edge| *edge < nanos)
    }

    #[test]
    fn edges_ascend_and_are_where_prometheus_has_them() {
        assert!(EDGES.is_sorted_by(|one, other| one < other));
        for index in LOWEST..=HIGHEST {
            let exact = 2_f64.powf(f64::from(index) / 8.0) * 1e9;
            assert!((native(index) as f64 - exact).abs() <= 1.0, "{index}");
            assert!(EDGES.contains(&native(index)));
        }
        assert!(CLASSIC.iter().all(|edge| EDGES.contains(edge)));
        assert_eq!(native(LOWEST), 61_035);
        assert_eq!(native(0), 1_000_000_000);
    }

    #[test]
    fn what_is_at_an_edge_or_beside_it_is_in_its_cell() {
        for edge in EDGES {
            for nanos in [edge - 1, edge, edge + 1] {
                assert_eq!(cell(nanos), sought(nanos), "{nanos}");
            }
        }
        for nanos in [0, 1, 2, 3, 7, 8, 9, u64::MAX] {
            assert_eq!(cell(nanos), sought(nanos), "{nanos}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_in_its_cell(nanos in any::<u64>(), shift in 0..64) {
            let nanos = nanos >> shift;
            prop_assert_eq!(cell(nanos), sought(nanos));
        }
    }
}
