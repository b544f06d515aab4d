//! Whether the ramp of a route can be carried out.

use super::names::{self, Faults};
use crate::model::{self, Ramp};
use crate::problem::Trail;

/// Shares are resolved to hundredths of a percent.
const GRAIN: f64 = 100.0;
/// More steps than anybody plans.
const MOST_STEPS: usize = 100;

/// Notes what keeps the ramp of `route` from being carried out.
pub(super) fn check(route: &model::Route, path: &Trail<'_>, faults: &mut Faults) {
    let Some(ramp) = &route.ramp else { return };
    canary(route, ramp, path, faults);
    let steps = path.key("steps");
    if ramp.steps.is_empty() {
        faults.add(
            &steps,
            "a ramp needs a step at least, as { percent = 1, hold = \"3d\" }",
        );
    } else if ramp.steps.len() > MOST_STEPS {
        faults.add(
            &steps,
            format!("these are too many steps; allowed are {MOST_STEPS}"),
        );
    }
    let mut before = 0.0;
    for (position, step) in ramp.steps.iter().enumerate() {
        let path = steps.index(position);
        if let Err(message) = percent(step.percent, before, position, route.max_step) {
            faults.add(&path.key("percent"), message);
        }
        if step.hold.0.as_secs() == 0 {
            faults.add(
                &path.key("hold"),
                "must be a second at least: a step that is over at once is none",
            );
        }
        before = step.percent;
    }
}

fn canary(route: &model::Route, ramp: &Ramp, path: &Trail<'_>, faults: &mut Faults) {
    let canaries = route.weights.iter().map(|(pool, _)| pool);
    let canaries: Vec<&str> = canaries
        .filter(|pool| *pool != route.stable_pool())
        .collect();
    match &ramp.canary {
        Some(name) if name == route.stable_pool() => {
            let message = format!("`{name}` is the stable pool; a ramp raises a canary");
            faults.add(&path.key("canary"), message);
        }
        Some(name) if !canaries.contains(&name.as_str()) => {
            let message = names::unknown("canary of the route", name, canaries.iter());
            faults.add(&path.key("canary"), message);
        }
        Some(_) => {}
        None if canaries.is_empty() => {
            faults.add(
                path,
                "the route has no canary to raise; name one in `weights`, 0 is allowed",
            );
        }
        None if canaries.len() > 1 => {
            let message = format!(
                "the route has several canaries ({}); say which one with `canary`",
                canaries.join(", ")
            );
            faults.add(path, message);
        }
        None => {}
    }
}

/// The buckets that `percent` of them are.
pub(super) fn share(percent: f64) -> Result<u16, String> {
    let hundredths = percent * GRAIN;
    if !(0.01..=100.0).contains(&percent) || (hundredths - hundredths.round()).abs() > 1e-6 {
        return Err(format!(
            "{percent} is not a share; allowed are 0.01 to 100 in steps of 0.01"
        ));
    }
    Ok(hundredths.round() as u16)
}

/// Why a step cannot follow one of `before` percent.
fn percent(percent: f64, before: f64, position: usize, max_step: f64) -> Result<(), String> {
    share(percent)?;
    if position > 0 && percent <= before {
        return Err(format!("steps rise: {percent} follows {before}"));
    }
    if max_step > 0.0 && percent - before > max_step + 1e-6 {
        return Err(format!(
            "{percent} is more than max_step = {max_step} percent points above {before}"
        ));
    }
    Ok(())
}
