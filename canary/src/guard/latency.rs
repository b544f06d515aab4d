//! Slow is what is above a quantile of stable's past; so a slow hour of both is evidence of nothing.

/// Bins within an octave.
const PER_OCTAVE: u64 = 32;
const OCTAVE_BITS: u32 = PER_OCTAVE.trailing_zeros();
/// The longest time that has a bin of its own, 134 s, in microseconds.
const LONGEST_US: u64 = 1 << 27;

/// Bins that times fall into, with the one for what is longer than all.
pub const BINS: usize = bin(u64::MAX) + 1;

/// The bin of a time in microseconds: the first whose edge is not below it.
pub const fn bin(time_us: u64) -> usize {
    let below = time_us.saturating_sub(1);
    if below >= LONGEST_US {
        return bin(LONGEST_US) + 1;
    }
    if below < PER_OCTAVE {
        return below as usize;
    }
    let octave = below.ilog2() - OCTAVE_BITS;
    ((octave as u64 + 1) * PER_OCTAVE + ((below >> octave) & (PER_OCTAVE - 1))) as usize
}

/// The upper edges of all bins but the last, in milliseconds.
pub fn edges() -> Vec<f64> {
    let edge = |bin: u64| {
        let (row, column) = (bin / PER_OCTAVE, bin % PER_OCTAVE);
        let edge_us = match row.checked_sub(1) {
            None => column + 1,
            Some(octave) => (PER_OCTAVE + column + 1) << octave,
        };
        edge_us as f64 / 1000.0
    };
    (0..BINS as u64 - 1).map(edge).collect()
}

/// What is slow, as the last bin that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// For stable.
    pub stable: usize,
    /// For the canary, which may be slower by what is allowed; `None` when no bin is above that.
    pub canary: Option<usize>,
}

/// What is slow by `counts` of stable's past: for stable above its `quantile`, for the canary above that, `1 + relative`
/// times, plus `absolute_ms`. `None` when there is no past, or its quantile is longer than all `edges`.
pub fn thresholds(
    edges: &[f64],
    counts: &[u64],
    quantile: f64,
    relative: f64,
    absolute_ms: f64,
) -> Option<Thresholds> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = quantile * total as f64;
    let mut sum = 0;
    let stable = counts.iter().take(edges.len()).position(|count| {
        sum += count;
        sum as f64 >= wanted
    })?;
    let allowed = (1.0 + relative) * edges[stable] + absolute_ms;
    Some(Thresholds {
        stable,
        canary: edges.iter().position(|edge| *edge >= allowed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bin_whose_edge_is_not_below_it() {
        let edges = edges();
        assert_eq!(edges.len(), BINS - 1);
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        for time_us in (0..2_000).chain([33_333, 1_000_000, 1_000_001, LONGEST_US, LONGEST_US + 1])
        {
            let expected = edges
                .iter()
                .position(|edge| *edge >= time_us as f64 / 1000.0);
            assert_eq!(bin(time_us), expected.unwrap_or(BINS - 1), "{time_us} us");
        }
        assert_eq!(bin(u64::MAX), BINS - 1);
    }

    #[test]
    fn edges_are_at_most_a_32nd_apart() {
        let edges = edges();
        let above = edges.windows(2).skip(PER_OCTAVE as usize);
        assert!(
            above
                .into_iter()
                .all(|pair| pair[1] / pair[0] <= 1.0 + 1.0 / 32.0 + 1e-9)
        );
    }
}
