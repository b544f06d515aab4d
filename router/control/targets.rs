//! What control knows of a pool's targets before it changes them, and what is left afterwards.

use config::live::{Known, Refusal, TargetShift};

use super::{House, Standing, TargetView};

/// The word of `TargetView::state` for a target that leaves.
const DRAINING: &str = "draining";
/// The word for one that is left out.
const UNUSED: &str = "unused";
/// The word for one that takes requests.
const HEALTHY: &str = "healthy";

/// What is known of `pool`: the file, discovery, and who is leaving.
pub(super) fn known<'a>(
    standing: &'a Standing,
    house: &dyn House,
    pool: &str,
) -> Result<Known<'a>, Refusal> {
    let targets = house.targets(pool).unwrap_or_default().into_iter();
    let draining = targets.filter(|target| target.state == DRAINING);
    let draining = draining.map(|target| target.address);
    Known::new(&standing.structure, pool, &house.discovered(pool), draining)
}

/// Why a pool that `shifts` take targets from cannot do without them, judged before they go.
pub(super) fn what_is_left(
    house: &dyn House,
    pool: &str,
    shifts: &[TargetShift],
) -> Option<String> {
    let leaves = |address| shifts.iter().any(|shift| shift.address == address);
    let targets = house.targets(pool)?.into_iter();
    let left: Vec<_> = targets
        .filter(|target| !matches!(target.state, DRAINING | UNUSED) && !leaves(target.address))
        .collect();
    if left.is_empty() {
        return Some(format!("pool `{pool}` has no target"));
    }
    let is_healthy = |target: &TargetView| target.state == HEALTHY;
    (!left.iter().any(is_healthy)).then(|| {
        format!(
            "pool `{pool}` has no healthy target without them ({} in all)",
            left.len()
        )
    })
}
