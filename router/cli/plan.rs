//! `kanaria plan`: what a new file would change for the requests of an access log, asked of no router.

use std::path::PathBuf;

use serde_json::json;

use super::arguments::Plan;
use super::execute::Surroundings;
use super::meter::Meter;
use super::table::Table;
use super::words::{clean, count, percent, share};
use super::{Code, Invalid, Outcome, Program, offline};
use crate::plan::{Moved, Report, Seat};

/// Why there is no plan.
#[derive(Debug)]
pub enum Unplanned {
    /// A file is not valid.
    Invalid(PathBuf, Invalid),
    /// Anything else, as the line after `kanaria: `.
    Failed(String),
}

/// Carries out `kanaria plan`.
pub(super) fn plan(
    program: &Program,
    plan: &Plan,
    json: bool,
    surroundings: &Surroundings,
) -> Outcome {
    let mut meter = Meter::new();
    let report = (program.plan)(plan, &mut |part, n_lines| {
        meter.tell(|| {
            let part = part.map_or_else(String::new, |part| format!("{:3.0} %, ", part * 100.0));
            format!("replaying: {part}{n_lines} lines")
        });
    });
    meter.end();
    let report = match report {
        Ok(report) => report,
        Err(Unplanned::Invalid(file, invalid)) => return offline::invalid(&file, &invalid, json),
        Err(Unplanned::Failed(why)) => return Outcome::failed(Code::Failed, &why),
    };
    let out = if json {
        offline::pretty(&json!(report))
    } else {
        text(&report, surroundings)
    };
    let (code, err) = verdict(plan, &report);
    Outcome { code, out, err }
}

/// The exit code, and what is wrong when it says so.
fn verdict(plan: &Plan, report: &Report) -> (Code, String) {
    let moved = report.moved_users();
    if report.requests == 0 {
        let why = match report.lines {
            0 => "the log has no line".to_owned(),
            n => format!("none of {} could be decided", count(n as usize, "line")),
        };
        return (
            Code::Failed,
            format!("kanaria: {why}, so nothing is foretold\n"),
        );
    }
    match plan.max_moved_users {
        Some(most) if moved > most => {
            let (moved, most) = (percent(moved), percent(most));
            let why = format!(
                "kanaria: {moved} of the users would change their pool, more than {most}\n"
            );
            (Code::Failed, why)
        }
        _ if plan.detailed_exitcode && !report.moves.is_empty() => (Code::Different, String::new()),
        _ => (Code::Done, String::new()),
    }
}

fn text(report: &Report, surroundings: &Surroundings) -> String {
    let mut text = head(report);
    if !report.shares.is_empty() {
        text.push('\n');
        text.push_str(&shares(report).print(surroundings.width));
    }
    text.push('\n');
    if report.moves.is_empty() {
        text.push_str("every request would go where it goes now\n");
    } else {
        text.push_str(&moves(report).print(surroundings.width));
        text.push_str(&examples(&report.moves));
    }
    text.push_str(&format!(
        "\n{} of {} places of users seen would change their pool ({})\n",
        report.users_moved,
        report.users_seen,
        percent(report.moved_users()),
    ));
    if report.unmatched_before > 0 || report.unmatched_after > 0 {
        text.push_str(&format!(
            "taken by no route: {} now, {} then\n",
            count(report.unmatched_before as usize, "request"),
            report.unmatched_after
        ));
    }
    for note in &report.notes {
        text.push_str(&format!("note: {}\n", clean(note)));
    }
    text
}

fn head(report: &Report) -> String {
    let mut head = format!(
        "{} of {}, decided by revision {} of file {} and by the new file {}\n",
        count(report.requests as usize, "request"),
        count(report.lines as usize, "line"),
        report.revision,
        report.config_digest,
        report.planned_digest,
    );
    let skipped = report.skipped;
    let why = [
        (skipped.flag, "of flagged clients"),
        (
            skipped.other_route,
            "that went by what no log tells, or by another file",
        ),
        (skipped.unreadable, "that could not be read"),
        (skipped.not_lines, "that are no lines of a log"),
    ];
    let why = why.iter().filter(|(n, _)| *n > 0);
    let why: Vec<String> = why.map(|(n, why)| format!("{n} {why}")).collect();
    if !why.is_empty() {
        head.push_str(&format!("not decided: {}\n", why.join(", ")));
    }
    head
}

fn shares(report: &Report) -> Table {
    let header = [
        "ROUTE",
        "POOL",
        "USERS NOW",
        "THEN",
        "REQUESTS NOW",
        "THEN",
        "SHARE NOW",
        "THEN",
    ];
    let mut table = Table::new(&header, &[2, 3, 4, 5, 6, 7]);
    for it in &report.shares {
        let name = |name: &Option<String>| clean(name.as_deref().unwrap_or("-"));
        table.row(vec![
            name(&it.seat.route),
            name(&it.seat.pool),
            share(it.users_before),
            share(it.users_after),
            it.requests_before.to_string(),
            it.requests_after.to_string(),
            share(it.share_before),
            share(it.share_after),
        ]);
    }
    table
}

fn moves(report: &Report) -> Table {
    let mut table = Table::new(&["FROM", "TO", "REQUESTS", "USERS"], &[2, 3]);
    for it in &report.moves {
        let (requests, users) = (it.requests.to_string(), it.users.to_string());
        table.row(vec![seat(&it.from), seat(&it.to), requests, users]);
    }
    table
}

/// One request of each way, so that one sees what is meant.
fn examples(moves: &[Moved]) -> String {
    let of = |it: &Moved| {
        let example = it.examples.first()?;
        let (from, to) = (seat(&it.from), seat(&it.to));
        Some(format!("  {}: {from} to {to}\n", clean(example)))
    };
    let examples: String = moves.iter().take(10).filter_map(of).collect();
    format!("for example\n{examples}")
}

fn seat(seat: &Seat) -> String {
    match (&seat.route, &seat.pool) {
        (None, _) => "no route".into(),
        (Some(route), None) => format!("{} itself", clean(route)),
        (Some(route), Some(pool)) => format!("{} {}", clean(route), clean(pool)),
    }
}

#[cfg(test)]
mod tests;
