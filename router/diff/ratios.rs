//! How many times as long one answer took as another one to the same request, over many of them.

/// Bins on each side of equal.
const HALF: usize = 80;
/// Width of a bin, as a logarithm: a twentieth.
const WIDTH: f64 = 0.05;

/// Counts of ratios by bin; the outermost bins have what is beyond them.
#[derive(Clone, Debug)]
pub(super) struct Ratios {
    bins: Box<[u32; 2 * HALF + 1]>,
    n: u64,
}

impl Default for Ratios {
    fn default() -> Self {
        Self {
            bins: Box::new([0; 2 * HALF + 1]),
            n: 0,
        }
    }
}

impl Ratios {
    /// One more, of `time` to `base`, in any unit.
    pub(super) fn add(&mut self, time: f64, base: f64) {
        if time <= 0.0 || base <= 0.0 {
            return;
        }
        let bin = ((time / base).ln() / WIDTH).round() + HALF as f64;
        let bin = bin.clamp(0.0, 2.0 * HALF as f64) as usize;
        self.bins[bin] = self.bins[bin].saturating_add(1);
        self.n += 1;
    }

    /// The ratio that a part `quantile` of them does not exceed, to a twentieth; `None` of none.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let rank = (quantile * self.n as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let at = self.bins.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(((at as f64 - HALF as f64) * WIDTH).exp())
    }

    pub(super) const fn len(&self) -> u64 {
        self.n
    }
}
