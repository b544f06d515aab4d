//! `kanaria report ROUTE`: the migration as Markdown, for a page that stays when the router is gone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::offline::pretty;
use super::super::words::{clean, duration, moment_utc, nats};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Report {
    route: String,
    stable: String,
    canaries: Vec<String>,
    at: String,
    revision: u64,
    state: String,
    shares: BTreeMap<String, f64>,
    ramp: Option<Step>,
    evidence_since: Option<String>,
    stages: Vec<Stage>,
    incidents: Vec<Incident>,
    changes: Vec<Change>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Step {
    attempt: u32,
    step: usize,
    of: usize,
    phase: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stage {
    from: String,
    length_s: u64,
    actor: String,
    shares: BTreeMap<String, f64>,
    ramp: Option<Step>,
    verdict: String,
    seen: Sum,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sum {
    users: Sides,
    bad: Sides,
    harm: Option<Harm>,
    no_harm: f64,
    no_harm_threshold: f64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Sides {
    canary: u64,
    stable: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Harm {
    metric: String,
    log_evidence: f64,
    threshold: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Incident {
    time: String,
    what: String,
    actor: String,
    reason: Option<String>,
    revision: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    time: String,
    revision: u64,
    kind: String,
    actor: String,
    reason: Option<String>,
    before: Option<BTreeMap<String, u32>>,
    after: Option<BTreeMap<String, u32>>,
    ramp: Option<Step>,
}

/// The whole page.
pub(super) fn report(answer: &Value) -> String {
    let Ok(report) = Report::deserialize(answer) else {
        return pretty(answer);
    };
    [
        headline(&report),
        stages(&report),
        incidents(&report),
        changes(&report),
    ]
    .join("\n")
}

fn headline(report: &Report) -> String {
    let canaries: Vec<_> = report.canaries.iter().map(|pool| code(pool)).collect();
    let ramp = report.ramp.as_ref().map_or_else(String::new, |step| {
        format!("; ramp {}, {}", step.phase.replace('_', " "), step.told())
    });
    format!(
        "# Migration of {}\n\nFrom {} to {}, as of {} UTC, revision {}.\n\nNow: {}; {}{ramp}.\n",
        code(&report.route),
        code(&report.stable),
        canaries.join(", "),
        moment_utc(&report.at),
        report.revision,
        shares(&report.shares),
        cell(&report.state.replace('_', " ")),
    )
}

fn stages(report: &Report) -> String {
    let mut text = String::from(
        "## Stages\n\nUsers count once in five seconds, and after a failure no more for an hour. Evidence is in nats.\n",
    );
    if let Some(since) = &report.evidence_since {
        text.push_str(&format!(
            "Evidence is kept from {} UTC on.\n",
            moment_utc(since)
        ));
    }
    text.push_str("\n| from (UTC) | for | shares | step | by | verdict | evidence |\n");
    text.push_str("| --- | --: | --- | --- | --- | --- | --- |\n");
    for stage in &report.stages {
        text.push_str(&row(&[
            moment_utc(&stage.from),
            duration(stage.length_s as i64),
            shares(&stage.shares),
            stage.ramp.as_ref().map(Step::told).unwrap_or_default(),
            cell(&stage.actor),
            cell(&stage.verdict.replace('_', " ")),
            evidence(stage),
        ]));
    }
    text
}

/// What a verdict rests on; nothing when there was nothing to compare.
fn evidence(stage: &Stage) -> String {
    let Sum {
        users,
        bad,
        harm,
        no_harm,
        no_harm_threshold,
    } = &stage.seen;
    let Some(harm) = harm else {
        return String::new();
    };
    format!(
        "{} of {} users of the canary failed, {} of {} of stable; harm {} of {} in {}, no harm {} of {}",
        bad.canary,
        users.canary,
        bad.stable,
        users.stable,
        nats(harm.log_evidence),
        nats(harm.threshold),
        cell(&harm.metric),
        nats(*no_harm),
        nats(*no_harm_threshold),
    )
}

fn incidents(report: &Report) -> String {
    let mut text = String::from("## Incidents\n\n");
    if report.incidents.is_empty() {
        text.push_str("None.\n");
        return text;
    }
    text.push_str("| time (UTC) | what | by | why | revision |\n| --- | --- | --- | --- | --: |\n");
    for incident in &report.incidents {
        text.push_str(&row(&[
            moment_utc(&incident.time),
            cell(&incident.what),
            cell(&incident.actor),
            why(incident.reason.as_deref()),
            incident
                .revision
                .map_or_else(String::new, |revision| revision.to_string()),
        ]));
    }
    text
}

fn changes(report: &Report) -> String {
    let mut text = String::from(
        "## Who did what\n\n| time (UTC) | revision | who | what | weights | ramp | why |\n| --- | --: | --- | --- | --- | --- | --- |\n",
    );
    for change in &report.changes {
        text.push_str(&row(&[
            moment_utc(&change.time),
            change.revision.to_string(),
            cell(&change.actor),
            cell(&change.kind),
            moved(change),
            change.ramp.as_ref().map_or_else(String::new, |step| {
                format!("{}, {}", step.phase.replace('_', " "), step.told())
            }),
            why(change.reason.as_deref()),
        ]));
    }
    text
}

fn moved(change: &Change) -> String {
    let weights = |weights: &BTreeMap<String, u32>| {
        let pairs = weights.iter();
        let pairs: Vec<_> = pairs
            .map(|(pool, weight)| format!("{}={weight}", cell(pool)))
            .collect();
        pairs.join(" ")
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before == after => String::new(),
        (Some(before), Some(after)) => format!("{} → {}", weights(before), weights(after)),
        (None, Some(after)) => weights(after),
        (_, None) => "left the file".into(),
    }
}

impl Step {
    fn told(&self) -> String {
        match self.attempt {
            0 | 1 => format!("step {} of {}", self.step, self.of),
            attempt => format!("step {} of {}, attempt {attempt}", self.step, self.of),
        }
    }
}

fn shares(shares: &BTreeMap<String, f64>) -> String {
    let shares = shares.iter();
    let shares: Vec<_> = shares
        .map(|(pool, share)| format!("{} {share} %", cell(pool)))
        .collect();
    shares.join(", ")
}

fn why(reason: Option<&str>) -> String {
    reason.map(cell).unwrap_or_default()
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A name, which has none of the characters that mean something.
fn code(name: &str) -> String {
    format!("`{}`", cell(name))
}

/// Foreign text in a cell: it ends no cell and is no markup.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for letter in clean(text).chars() {
        if "\\|`*[]<>".contains(letter) {
            cell.push('\\');
        }
        cell.push(letter);
    }
    cell
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_a_page_of_markdown() {
        let answer = json!({
            "route": "web", "stable": "ec2", "canaries": ["ecs"], "at": "2026-11-27T03:00:00Z", "revision": 4,
            "state": "rolled_back", "shares": { "ec2": 100.0, "ecs": 0.0 },
            "ramp": { "attempt": 2, "step": 2, "of": 4, "phase": "rolled_back" },
            "evidence_since": "2026-11-26T00:00:00Z",
            "stages": [{
                "from": "2026-11-26T00:00:00Z", "to": null, "length_s": 97_200, "revision": 2, "actor": "ramp",
                "shares": { "ec2": 99.5, "ecs": 0.5 },
                "ramp": { "attempt": 1, "step": 1, "of": 4, "phase": "running" }, "verdict": "no_harm",
                "seen": {
                    "windows": 9, "users": { "canary": 5000, "stable": 90_000 }, "bad": { "canary": 3, "stable": 60 },
                    "harm": { "metric": "errors", "log_evidence": -0.01, "threshold": 7.7 },
                    "no_harm": 3.2, "no_harm_threshold": 3.0,
                },
            }],
            "incidents": [{
                "time": "2026-11-27T02:00:00Z", "what": "rollback", "actor": "guard", "reason": "a | b\nc <i>", "revision": 4,
            }],
            "changes": [{
                "time": "2026-11-27T02:00:00Z", "revision": 4, "kind": "rollback", "actor": "guard", "reason": null,
                "before": { "ec2": 90, "ecs": 10 }, "after": { "ec2": 100, "ecs": 0 }, "state": "rolled_back", "ramp": null,
            }],
        });
        insta::assert_snapshot!(report(&answer));
    }
}
