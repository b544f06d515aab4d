//! Who did what, newest first.

use serde::Deserialize;
use serde_json::Value;

use config::model::indexed;

use super::super::answers::{Edit, Entry, TargetEdit};
use super::super::execute::Surroundings;
use super::super::offline::pretty;
use super::super::table::Table;
use super::super::words::{clean, moment_utc, quoted, since};

/// `kanaria history`.
pub(super) fn history(answer: &Value, surroundings: &Surroundings) -> String {
    let Ok(entries) = Vec::<Entry>::deserialize(answer) else {
        return pretty(answer);
    };
    if entries.is_empty() {
        return "no change yet\n".into();
    }
    let header = [
        "REVISION",
        "TIME (UTC)",
        "AGO",
        "WHO",
        "WHAT",
        "CHANGE",
        "WHY",
    ];
    let mut table = Table::new(&header, &[0, 2]);
    for entry in &entries {
        table.row(row(entry, surroundings));
    }
    let mut text = table.print(surroundings.width);
    text.push_str("\nbring one back: kanaria restore REVISION     check the journal: kanaria history verify\n");
    text
}

fn row(entry: &Entry, surroundings: &Surroundings) -> Vec<String> {
    vec![
        entry.revision.to_string(),
        moment_utc(&entry.time),
        since(&entry.time, surroundings.now).unwrap_or_default(),
        clean(&entry.actor),
        clean(&entry.kind).replace('_', " "),
        changes(entry),
        entry.reason.as_deref().map(quoted).unwrap_or_default(),
    ]
}

/// What it did, in a few words.
pub(super) fn changes(entry: &Entry) -> String {
    let edits = entry.routes.iter();
    let told = edits.filter_map(|(route, edit)| one(route, edit));
    let cohorts = entry.epochs.iter();
    let cohorts = cohorts.map(|(cohort, _)| format!("cohort {}: new buckets", clean(cohort)));
    let pools = entry.targets.iter();
    let pools = pools.map(|(pool, edits)| format!("{}: {}", clean(pool), targets(entry, edits)));
    let noted = entry.annotation.iter().map(|noted| match &noted.route {
        Some(route) => format!("{}: {}", clean(route), quoted(&noted.text)),
        None => quoted(&noted.text),
    });
    let all: Vec<_> = told.chain(cohorts).chain(pools).chain(noted).collect();
    all.join("; ")
}

/// `+` before a target that came, `-` before one that went; of many only how many.
fn targets(entry: &Entry, edits: &indexed::Map<TargetEdit>) -> String {
    const SHOWN: usize = 4;
    let told = edits.iter();
    let told: Vec<_> = told
        .map(|(address, edit)| target(entry, address, edit))
        .collect();
    if told.len() <= SHOWN {
        return told.join(" ");
    }
    let n_more = told.len() - SHOWN;
    format!("{} and {n_more} more", told[..SHOWN].join(" "))
}

fn target(entry: &Entry, address: &str, edit: &TargetEdit) -> String {
    let address = clean(address);
    let registered = |side: &Value| side.get("registered").and_then(Value::as_u64);
    match (registered(&edit.before), registered(&edit.after)) {
        (Some(before), Some(after)) => format!("{address} {before}→{after}"),
        (_, Some(1)) => format!("+{address}"),
        (_, Some(weight)) => format!("+{address} weight {weight}"),
        // One that nobody registers any more went, unless file or discovery name it: then registering brought it back.
        (_, None) if entry.kind == "register" => format!("+{address}"),
        (_, None) => format!("-{address}"),
    }
}

fn one(route: &str, edit: &Edit) -> Option<String> {
    let (before, after) = match (&edit.before, &edit.after) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => return Some(format!("{} is new", clean(route))),
        (Some(_), None) => return Some(format!("{} is gone", clean(route))),
        (None, None) => return None,
    };
    let mut words: Vec<String> = after
        .weights
        .iter()
        .filter_map(|(pool, weight)| {
            let before = before.weights.get(pool);
            (before != Some(weight)).then(|| match before {
                Some(before) => format!("{} {before}→{weight}", clean(pool)),
                None => format!("{} {weight}", clean(pool)),
            })
        })
        .collect();
    if before.state != after.state {
        words.push(clean(&after.state).replace('_', " "));
    }
    (!words.is_empty()).then(|| format!("{}: {}", clean(route), words.join(" ")))
}
