//! `kanaria simulate`: a migration before it happens, asked of no router.

use config::scenario::SHIPPED;
use serde_json::json;

use super::arguments::Simulate;
use super::execute::Surroundings;
use super::meter::Meter;
use super::plan::Unplanned;
use super::table::Table;
use super::words::{clean, count, duration, moment_utc, nats, percent, share};
use super::{Code, Outcome, Program, offline};
use crate::simulate::{Report, Row, Summary};

/// Carries out `kanaria simulate`.
pub(super) fn simulate(
    program: &Program,
    simulate: &Simulate,
    json: bool,
    surroundings: &Surroundings,
) -> Outcome {
    if simulate.list {
        return list(json, surroundings);
    }
    let mut meter = Meter::new();
    let report = (program.simulate)(simulate, &mut |part| {
        meter.tell(|| format!("simulating: {:3.0} %", part * 100.0));
    });
    meter.end();
    let report = match report {
        Ok(report) => report,
        Err(Unplanned::Invalid(file, invalid)) => return offline::invalid(&file, &invalid, json),
        Err(Unplanned::Failed(why)) => return Outcome::failed(Code::Failed, &why),
    };
    let out = match json {
        true => offline::pretty(&json!(report)),
        false => text(&report, &simulate.scenario, surroundings),
    };
    let (code, err) = verdict(simulate, &report);
    Outcome { code, out, err }
}

/// The scenarios that come with the program.
fn list(json: bool, surroundings: &Surroundings) -> Outcome {
    let about =
        |text| config::scenario::read(text).map_or_else(|_| String::new(), |it| it.scenario.about);
    let known = SHIPPED.iter().map(|it| (it.name, about(it.text())));
    if json {
        let known = known.map(|(name, about)| json!({ "name": name, "about": about }));
        return Outcome::done(offline::pretty(&known.collect()));
    }
    let mut table = Table::new(&["SCENARIO", "WHAT IT SHOWS"], &[]);
    for (name, about) in known {
        table.row(vec![name.to_owned(), about]);
    }
    Outcome::done(table.print(surroundings.width))
}

/// The exit code, and what is wrong when it says so.
fn verdict(simulate: &Simulate, report: &Report) -> (Code, String) {
    let Some(expected) = simulate.expect.filter(|expected| !report.meets(*expected)) else {
        return (Code::Done, String::new());
    };
    let summary = &report.summary;
    let why = format!(
        "kanaria: not as expected ({}): it ended {}, and the guard took back {}\n",
        expected.as_str(),
        summary.outcome.as_str(),
        count(summary.rollbacks as usize, "time"),
    );
    (Code::Failed, why)
}

fn text(report: &Report, scenario: &str, surroundings: &Surroundings) -> String {
    let lasted = report.rows.last().map_or(0, |row| row.elapsed_s);
    let mut text = format!(
        "route {}, scenario {}: {}\n{} to {} UTC, the last event after {}; seed {}\n\n",
        clean(&report.route),
        clean(scenario),
        clean(&report.about),
        moment_utc(&report.begin),
        moment_utc(&report.end),
        duration(lasted as i64),
        report.seed,
    );
    text.push_str(&timeline(report).print(surroundings.width));
    text.push('\n');
    text.push_str(&summary(&report.summary));
    text.push_str("left out:\n");
    for what in &report.left_out {
        text.push_str(&format!("- {}\n", clean(what)));
    }
    text
}

fn timeline(report: &Report) -> Table {
    let header = [
        "TIME", "STEP", "ASKED", "USERS", "REQUESTS", "GUARD", "HARM", "NO HARM", "WHAT",
    ];
    let mut table = Table::new(&header, &[1, 2, 3, 4, 6, 7]);
    for row in &report.rows {
        let [first, rest @ ..] = &*row.what else {
            continue;
        };
        table.row(line(row, first));
        for what in rest {
            let mut cells = vec![String::new(); header.len() - 1];
            cells.push(clean(what));
            table.row(cells);
        }
    }
    table
}

fn line(row: &Row, what: &str) -> Vec<String> {
    let no_harm = row.no_harm.map_or_else(
        || "-".to_owned(),
        |(there, enough)| format!("{}/{}", nats(there), nats(enough)),
    );
    vec![
        moment_utc(&row.time),
        row.step.map_or_else(|| "-".into(), |step| step.to_string()),
        percent(row.asked),
        share(row.users),
        share(row.requests),
        row.guard.clone().unwrap_or_else(|| "-".into()),
        nats(row.evidence),
        no_harm,
        clean(what),
    ]
}

/// A short time by the second.
fn seconds(n: u64) -> String {
    match n {
        ..600 => format!("{n} s"),
        n => duration(n as i64),
    }
}

fn summary(summary: &Summary) -> String {
    let mut text = format!("it ended {}", summary.outcome.as_str());
    if summary.attempts > 0 {
        text.push_str(&format!(
            " in {}",
            count(summary.attempts as usize, "attempt")
        ));
    }
    text.push_str(&format!(
        "\nusers that saw a canary: {} of {}; they moved to one {} times, and back {} times\n",
        summary.users_on_canary, summary.users, summary.moved_to_canary, summary.moved_back,
    ));
    text.push_str(&format!(
        "requests: {}, on a canary {}; errors that would not have been without harm: {}\n",
        summary.requests, summary.canary_requests, summary.extra_errors,
    ));
    if summary.over_cap > 0 {
        text.push_str(&format!(
            "over the cap, and so served by stable: {} requests of a canary\n",
            summary.over_cap,
        ));
    }
    match (&summary.harm_began, summary.reaction_s) {
        (Some(began), Some(reaction)) => text.push_str(&format!(
            "from the first harm on a canary ({} UTC) to weight 0: {}\n",
            moment_utc(began),
            seconds(reaction),
        )),
        (Some(began), None) => text.push_str(&format!(
            "harm touched a canary first at {} UTC; nothing was taken back after it\n",
            moment_utc(began),
        )),
        (None, _) => {}
    }
    text
}

#[cfg(test)]
mod tests;
