//! `kanaria ramp forecast ROUTE`: what harm would be seen in each step, and how soon.

use serde::Deserialize;
use serde_json::Value;

use super::super::execute::Surroundings;
use super::super::offline::pretty;
use super::super::table::Table;
use super::super::words::{clean, duration, percent};
use super::{BOLD, paint};

/// What the admin API answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Forecast {
    users_per_window: f64,
    stable_bad: f64,
    minutes: u64,
    steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    percent: f64,
    hold_s: u64,
    harms: Vec<Harm>,
    smallest: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Harm {
    canary_bad: f64,
    at_step_s: Option<f64>,
    later_s: Option<f64>,
}

pub(super) fn forecast(answer: &Value, route: Option<&str>, surroundings: &Surroundings) -> String {
    let Ok(forecast) = Forecast::deserialize(answer) else {
        return pretty(answer);
    };
    let mut text = format!(
        "{}   by the last {} min: {:.0} users in 5 s, {} of stable's fail\n",
        paint(&clean(route.unwrap_or_default()), BOLD, surroundings),
        forecast.minutes,
        forecast.users_per_window,
        percent(forecast.stable_bad),
    );
    let header = [
        "  SHARE",
        "HOLD",
        "IF SO MANY FAIL",
        "SEEN AFTER",
        "IF LATER",
    ];
    let mut table = Table::new(&header, &[]);
    for step in &forecast.steps {
        for (position, harm) in step.harms.iter().enumerate() {
            let only_first = |text: String| if position == 0 { text } else { String::new() };
            table.row(vec![
                only_first(format!("  {} %", step.percent)),
                only_first(duration(step.hold_s as i64)),
                percent(harm.canary_bad),
                seen(harm.at_step_s),
                seen(harm.later_s),
            ]);
        }
        let smallest = step.smallest.map_or_else(
            || "no harm is seen within the hold".into(),
            |bad| format!("from {} on within the hold", percent(bad)),
        );
        table.row(vec![String::new(), String::new(), smallest]);
    }
    text.push_str(&table.print(surroundings.width));
    text
}

fn seen(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "never".into(), |seconds| duration(seconds as i64))
}
