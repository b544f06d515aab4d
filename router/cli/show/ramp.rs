//! The ramp of a route: where it is, what it waits for, and its dates.

use config::hours::Hours;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answers::{Ramp, Step};
use super::super::execute::Surroundings;
use super::super::offline::{command, pretty};
use super::super::table::Table;
use super::super::words::{clean, duration};
use super::{BOLD, GREEN, RED, YELLOW, paint};

/// `kanaria ramp status ROUTE`.
pub(super) fn status(answer: &Value, route: Option<&str>, surroundings: &Surroundings) -> String {
    let Ok(ramp) = Ramp::deserialize(answer) else {
        return pretty(answer);
    };
    let route = route.unwrap_or_default();
    let mut text = format!(
        "{}\n{}\n",
        paint(&clean(route), BOLD, surroundings),
        line(&ramp, surroundings)
    );
    for (position, step) in ramp.steps.iter().enumerate() {
        let mark = if position + 1 == ramp.step { ">" } else { " " };
        text.push_str(&format!(
            "  {mark} {} % for {}\n",
            step.percent,
            duration(step.hold_s as i64)
        ));
    }
    for missing in &ramp.missing {
        text.push_str(&format!("  lacks {}\n", clean(missing)));
    }
    let next = match ramp.phase.as_str() {
        "off" | "finalized" => "start",
        "paused" | "rolled_back" => "resume",
        "complete" => "finalize",
        _ => "pause",
    };
    text.push_str(&format!(
        "\nnext: {}     back at once: {}\n",
        command(&["ramp", next, route]),
        command(&["rollback", route])
    ));
    text
}

/// The ramp in a line of the status.
pub(super) fn line(ramp: &Ramp, surroundings: &Surroundings) -> String {
    let word = clean(&ramp.phase.replace('_', " "));
    let color = match ramp.phase.as_str() {
        "running" | "complete" => GREEN,
        "rolled_back" => RED,
        _ => YELLOW,
    };
    let at = match ramp.current() {
        Some(step) => format!(
            ": step {} of {}, {} %",
            ramp.step,
            ramp.steps.len(),
            step.percent
        ),
        None => format!(": {} steps to {}", ramp.steps.len(), clean(&ramp.canary)),
    };
    let next = match (ramp.phase.as_str(), ramp.missing.is_empty()) {
        ("running", false) => {
            let missing: Vec<_> = ramp.missing.iter().map(|what| clean(what)).collect();
            let held = format!("held, lacks {}", missing.join("; "));
            format!(", {}", paint(&held, YELLOW, surroundings))
        }
        ("running", true) => format!(", {} left", duration(ramp.left_s as i64)),
        _ => String::new(),
    };
    format!("  ramp {}{at}{next}", paint(&word, color, surroundings))
}

/// `kanaria ramp start|pause|...`.
pub(super) fn turned(answer: &Value, route: Option<&str>, surroundings: &Surroundings) -> String {
    let mut text = super::change::weights(answer, route, surroundings);
    if let Some(Ok(ramp)) = answer.get("ramp").map(Ramp::deserialize) {
        text.push_str(&format!("{}\n", line(&ramp, surroundings)));
    }
    text
}

/// `kanaria ramp plan ROUTE`.
pub(in crate::cli) fn plan(
    answer: &Value,
    route: Option<&str>,
    surroundings: &Surroundings,
) -> String {
    let Ok(ramp) = Ramp::deserialize(answer) else {
        return pretty(answer);
    };
    let mut table = Table::new(
        &["  STAGE", "STABLE:CANARY", "FROM (UTC)", "TO", "FOR"],
        &[],
    );
    for stage in stages(&ramp, surroundings.now) {
        let shown = |time: Option<Timestamp>| {
            time.map_or_else(
                || "-".into(),
                |time| time.strftime("%Y-%m-%d %H:%M").to_string(),
            )
        };
        table.row(vec![
            format!("  {}", stage.number),
            split(stage.percent),
            shown(stage.from),
            shown(stage.to),
            stage
                .hold_s
                .map_or_else(|| "until the start".into(), |hold| duration(hold as i64)),
        ]);
    }
    let route = route.unwrap_or_default();
    let mut text = format!(
        "{}   to {}\n",
        paint(&clean(route), BOLD, surroundings),
        clean(&ramp.canary)
    );
    text.push_str(&table.print(surroundings.width));
    if !ramp.window.is_empty() {
        text.push_str(&format!("  steps open {}\n", clean(&ramp.window)));
    }
    text.push_str("  dates are the earliest: a step also waits for what it lacks then\n");
    text
}

/// The same for programs.
pub(in crate::cli) fn dates(answer: &Value, now: Timestamp) -> Value {
    let Ok(ramp) = Ramp::deserialize(answer) else {
        return answer.clone();
    };
    let stages = stages(&ramp, now).into_iter().map(|stage| {
        json!({
            "stage": stage.number,
            "percent": stage.percent,
            "from": stage.from.map(|time| time.to_string()),
            "to": stage.to.map(|time| time.to_string()),
            "hold_s": stage.hold_s,
        })
    });
    json!({ "canary": ramp.canary, "window": ramp.window, "stages": stages.collect::<Vec<_>>() })
}

/// A stage of a migration; the first one is before the start.
struct Stage {
    number: usize,
    percent: f64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    hold_s: Option<u64>,
}

/// All stages, as early as they may be; of a ramp that runs from where it is, of another as if it started now.
fn stages(ramp: &Ramp, now: Timestamp) -> Vec<Stage> {
    let hours: Hours = ramp.window.parse().unwrap_or_default();
    let is_on = matches!(ramp.phase.as_str(), "running" | "paused");
    let mut stages = vec![Stage {
        number: 0,
        percent: 0.0,
        from: None,
        to: None,
        hold_s: None,
    }];
    let mut next = hours.next(now);
    for (position, step) in ramp.steps.iter().enumerate() {
        let number = position + 1;
        let (is_past, is_now) = (is_on && number < ramp.step, is_on && number == ramp.step);
        let length = if is_now { ramp.left_s } else { step.hold_s };
        let from = if is_now { now } else { next };
        let end = later(from, length);
        stages.push(Stage {
            number,
            percent: step.percent,
            from: (!is_past && !is_now).then_some(from),
            to: (!is_past).then_some(end),
            hold_s: Some(step.hold_s),
        });
        if !is_past {
            next = hours.next(end);
        }
    }
    stages
}

fn later(from: Timestamp, seconds: u64) -> Timestamp {
    let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    from.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn split(percent: f64) -> String {
    let rest = ((100.0 - percent) * 100.0).round() / 100.0;
    format!("{rest}:{percent}")
}

impl Ramp {
    fn current(&self) -> Option<&Step> {
        self.steps.get(self.step.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Toreta's schedule.
    fn toreta(phase: &str, step: usize, left_s: u64, window: &str) -> Ramp {
        let day = 86_400;
        let steps = [(1.0, 3), (10.0, 3), (50.0, 3), (100.0, 7)];
        Ramp {
            canary: "ecs".into(),
            phase: phase.into(),
            step,
            steps: steps
                .map(|(percent, days)| Step {
                    percent,
                    hold_s: days * day,
                })
                .into(),
            left_s,
            window: window.into(),
            ..Ramp::default()
        }
    }

    fn shown(ramp: &Ramp) -> Vec<String> {
        let now = "2026-11-26T01:00:00Z".parse().unwrap();
        let date = |time: Option<Timestamp>| {
            time.map_or_else(
                || "-".into(),
                |time| time.strftime("%m-%d %H:%M").to_string(),
            )
        };
        stages(ramp, now)
            .iter()
            .map(|stage| {
                format!(
                    "{} {} {}",
                    split(stage.percent),
                    date(stage.from),
                    date(stage.to)
                )
            })
            .collect()
    }

    #[test]
    fn a_plan_has_five_stages_and_their_dates() {
        assert_eq!(
            shown(&toreta("off", 0, 0, "")),
            [
                "100:0 - -",
                "99:1 11-26 01:00 11-29 01:00",
                "90:10 11-29 01:00 12-02 01:00",
                "50:50 12-02 01:00 12-05 01:00",
                "0:100 12-05 01:00 12-12 01:00"
            ]
        );
    }

    #[test]
    fn a_running_ramp_is_planned_from_where_it_is() {
        assert_eq!(
            shown(&toreta("running", 2, 3_600, "")),
            [
                "100:0 - -",
                "99:1 - -",
                "90:10 - 11-26 02:00",
                "50:50 11-26 02:00 11-29 02:00",
                "0:100 11-29 02:00 12-06 02:00"
            ]
        );
    }

    #[test]
    fn steps_wait_for_their_hours() {
        let shown = shown(&toreta("off", 0, 0, "Mon-Thu 10:00-17:00 Asia/Tokyo"));
        // From a Thursday at ten, three days end on a Sunday.
        assert_eq!(shown[1], "99:1 11-26 01:00 11-29 01:00");
        assert_eq!(shown[2], "90:10 11-30 01:00 12-03 01:00");
    }
}
