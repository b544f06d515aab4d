//! What harm the guard would see, and how soon, step by step: what one wants to know before a step is taken.

use canary::guard::{
    Bound, Metric, Rules, Slack, Terms, Traffic, WINDOW_S, drip, smallest_harm, time_to_detect,
};
use config::live;
use config::model;
use serde::Serialize;

use super::GuardView;

/// How long an attempt is thought to take when no ramp says so.
const PLANNED_S: f64 = 30.0 * 86_400.0;
/// What leaving a group out, and the temper's first value, add to the time at a step.
const AT_STEP: f64 = 1.4;
/// Harms that are shown: multiples of stable's failures, and parts of all.
const MULTIPLES: [f64; 3] = [2.0, 5.0, 10.0];
const PARTS: [f64; 2] = [0.1, 1.0];

/// What harm would be seen in each step of a ramp, by the traffic of the last hour.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ForecastView {
    /// Users in five seconds, of both pools.
    pub users_per_window: f64,
    /// The part of stable's users that fails.
    pub stable_bad: f64,
    /// Minutes that this rests on.
    pub minutes: u32,
    /// Step by step.
    pub steps: Vec<StepForecast>,
}

/// What harm would be seen in one step.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StepForecast {
    /// The canary's share.
    pub percent: f64,
    /// How long it has that, in seconds.
    pub hold_s: u64,
    /// Harms, and how soon each is seen.
    pub harms: Vec<HarmForecast>,
    /// The smallest part of failing users that is seen within the hold; `null` when none is.
    pub smallest: Option<f64>,
}

/// One harm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HarmForecast {
    /// The part of the canary's users that fails.
    pub canary_bad: f64,
    /// Seconds until a rollback when it begins with the step; `null`: never.
    pub at_step_s: Option<f64>,
    /// Seconds until a rollback when it begins later; `null`: never.
    pub later_s: Option<f64>,
}

/// The rules by which the guard of `route` judges; by the defaults when it has only a ramp.
pub fn rules(route: &model::Route) -> Rules {
    let guard = route.guard.clone().unwrap_or_default();
    Rules {
        alpha: guard.alpha,
        errors: Bound {
            ratio: guard.errors.ratio,
            margin: guard.errors.margin,
        },
        client_errors: Bound {
            ratio: guard.client_errors.ratio,
            margin: guard.client_errors.margin,
        },
        latency: Slack {
            relative: guard.latency.relative,
            absolute_ms: guard.latency.absolute.0.as_secs_f64() * 1000.0,
        },
        drip: drip(planned_s(route)),
    }
}

/// How long an attempt is thought to take.
fn planned_s(route: &model::Route) -> f64 {
    let ramp = route.ramp.as_ref().filter(|ramp| !ramp.steps.is_empty());
    ramp.map_or(PLANNED_S, |ramp| {
        let holds = ramp.steps.iter().map(|step| step.hold.0.as_secs_f64());
        holds.sum()
    })
}

/// The forecast of `route`; `None` without a ramp or before stable was seen for a minute.
pub fn forecast(route: &model::Route, guard: &GuardView) -> Option<ForecastView> {
    let usual = guard.usual?;
    let terms = rules(route).terms(Metric::Errors);
    let steps = live::plan(route)?.into_iter().map(|step| {
        let share = f64::from(step.share) / 10_000.0;
        let traffic = Traffic {
            n_c: share * usual.users_per_window,
            n_b: (1.0 - share) * usual.users_per_window,
            p_b: usual.stable_bad,
            p_c: 0.0,
            units_c: share * usual.users,
        };
        let windows = step.hold_s as f64 / WINDOW_S as f64;
        StepForecast {
            percent: share * 100.0,
            hold_s: step.hold_s,
            harms: harms(&terms, &traffic),
            smallest: smallest_harm(&terms, &traffic, windows / AT_STEP, true),
        }
    });
    Some(ForecastView {
        users_per_window: usual.users_per_window,
        stable_bad: usual.stable_bad,
        minutes: usual.minutes,
        steps: steps.collect(),
    })
}

fn harms(terms: &Terms, traffic: &Traffic) -> Vec<HarmForecast> {
    let multiples = MULTIPLES.iter().map(|times| times * traffic.p_b);
    let multiples = multiples.filter(|bad| *bad > 0.0 && *bad < PARTS[0]);
    let harms = multiples.chain(PARTS).map(|p_c| {
        let traffic = Traffic { p_c, ..*traffic };
        let seconds = |at_step: bool, times: f64| {
            let windows = time_to_detect(terms, &traffic, at_step)?;
            // Nothing is seen before a window is closed.
            Some((windows * times).ceil().max(1.0) * WINDOW_S as f64)
        };
        HarmForecast {
            canary_bad: p_c,
            at_step_s: seconds(true, AT_STEP),
            later_s: seconds(false, 1.0),
        }
    });
    harms.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::UsualView;

    fn route() -> model::Route {
        serde_json::from_value(json!({
            "name": "web", "stable": "ec2", "weights": { "ec2": 100, "ecs": 0 }, "guard": {},
            "ramp": { "steps": [{ "percent": 1.0, "hold": "3d" }, { "percent": 100.0, "hold": "7d" }] },
        }))
        .unwrap()
    }

    #[test]
    fn a_forecast_tells_how_soon_harm_is_seen_and_that_nothing_is_at_100_percent() {
        let guard = GuardView {
            usual: Some(UsualView {
                users_per_window: 500.0,
                stable_bad: 0.001,
                users: 200_000.0,
                minutes: 60,
            }),
            ..GuardView::default()
        };
        let forecast = forecast(&route(), &guard).unwrap();
        let first = &forecast.steps[0];
        let always = first.harms.last().unwrap();
        println!(
            "1 % of 100 requests/s: {:?}, smallest within 3 days {:?}",
            first.harms, first.smallest
        );
        // 10 s and 20 s were simulated for a canary that always fails; 37 min and 58 min for one that fails 1 %.
        assert!(always.at_step_s.is_some_and(|seconds| seconds <= 30.0));
        let tenfold = first
            .harms
            .iter()
            .find(|harm| (harm.canary_bad - 0.01).abs() < 1e-9)
            .unwrap();
        assert!(
            tenfold
                .at_step_s
                .is_some_and(|seconds| (1_000.0..4_500.0).contains(&seconds)),
            "{tenfold:?}"
        );
        assert!(
            first
                .smallest
                .is_some_and(|bad| (0.001..0.01).contains(&bad))
        );
        // With nobody left on stable there is nothing to compare with.
        assert_eq!(forecast.steps[1].smallest, None);
        assert_eq!(super::forecast(&route(), &GuardView::default()), None);
    }
}
