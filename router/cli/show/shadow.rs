//! `kanaria shadow`: what became of copies, and where the answers differ.

use serde_json::Value;

use super::{BOLD, RED, paint};
use crate::cli::execute::Surroundings;
use crate::cli::table::Table;
use crate::cli::words::clean;

/// Whether an answer has a finding.
pub(in crate::cli) fn differs(answer: &Value) -> bool {
    let views: &[Value] = match answer {
        Value::Array(views) => views,
        view => std::slice::from_ref(view),
    };
    let findings = |view: &Value| {
        view["report"]["findings"]
            .as_array()
            .is_some_and(|it| !it.is_empty())
    };
    views.iter().any(findings)
}

/// One route's shadow, or every one.
pub(super) fn shadows(answer: &Value, surroundings: &Surroundings) -> String {
    match answer {
        Value::Array(views) if views.is_empty() => "no route has a shadow\n".to_owned(),
        Value::Array(views) => {
            let views = views.iter().map(|view| shadow(view, surroundings));
            views.collect::<Vec<_>>().join("\n")
        }
        view => shadow(view, surroundings),
    }
}

fn shadow(view: &Value, surroundings: &Surroundings) -> String {
    let heading = format!("{} → {}", word(&view["route"]), word(&view["pool"]));
    let mut text = format!(
        "{}  {} % of clients, since {}\n",
        paint(&heading, BOLD, surroundings),
        view["percent"],
        word(&view["since"])
    );
    text.push_str(&format!("  copies: {}\n", copies(&view["copies"])));
    let report = &view["report"];
    if report.is_null() {
        text.push_str("  answers are not compared: `compare` of the shadow is false\n");
        return text;
    }
    text.push_str(&compared(view, report));
    let findings = rows(&report["findings"]);
    if findings.is_empty() {
        text.push_str("  no difference with enough evidence\n");
    }
    for (position, finding) in findings.iter().enumerate() {
        text.push_str(&told(position, finding, surroundings));
    }
    text.push_str(&suspects(&report["suspects"], surroundings));
    text
}

fn copies(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let counts = counts.filter(|(_, n)| n.as_u64() != Some(0));
    let counts: Vec<_> = counts
        .map(|(fate, n)| format!("{} {n}", clean(&fate.replace('_', " "))))
        .collect();
    if counts.is_empty() {
        return "none yet".to_owned();
    }
    counts.join(", ")
}

fn compared(view: &Value, report: &Value) -> String {
    let how = match view["compare"].as_str() {
        Some("noise") => "each beside a second call to the serving pool",
        _ => "without noise control: what differs by itself is named, too",
    };
    let mut text = format!("  compared: {} pairs, {how}\n", report["pairs"]);
    let skipped = report["skipped"].as_object().into_iter().flatten();
    let skipped: Vec<_> = skipped
        .map(|(why, n)| format!("{} {n}", clean(&why.replace('_', " "))))
        .collect();
    if !skipped.is_empty() {
        text.push_str(&format!("  not compared: {}\n", skipped.join(", ")));
    }
    let statuses = rows(&report["statuses"]).iter().take(8);
    let statuses: Vec<_> = statuses
        .map(|pair| {
            format!(
                "{} → {}: {}",
                pair["serving"], pair["shadow"], pair["pairs"]
            )
        })
        .collect();
    if !statuses.is_empty() {
        text.push_str(&format!("  statuses: {}\n", statuses.join(", ")));
    }
    for (name, key) in [("shadow", "shadow"), ("second call", "control")] {
        let spread = &report["latency"][key];
        if let (Some(median), Some(p99)) = (spread["median"].as_f64(), spread["p99"].as_f64()) {
            text.push_str(&format!(
                "  time of the {name}: {median:.2} x at the median, {p99:.2} x at p99\n"
            ));
        }
    }
    text
}

fn told(position: usize, finding: &Value, surroundings: &Surroundings) -> String {
    let part = |key: &str| finding[key].as_f64().unwrap_or_default() * 100.0;
    let number = |key: &str| finding[key].as_f64().unwrap_or_default();
    let heading = format!(
        "{}  {}",
        word(&finding["endpoint"]),
        word(&finding["field"])
    );
    let mut text = format!(
        "  {}. {}\n     differs in {:.1} % of {} pairs, by itself in {:.1} %; evidence {:.1} of {:.1}\n",
        position + 1,
        paint(&heading, RED, surroundings),
        part("raw"),
        finding["pairs"],
        part("noise"),
        number("evidence"),
        number("needed")
    );
    for example in rows(&finding["examples"]) {
        text.push_str(&format!(
            "     {} → {}, request {}\n",
            word(&example["serving"]),
            word(&example["shadow"]),
            word(&example["request_id"])
        ));
    }
    text
}

fn suspects(suspects: &Value, surroundings: &Surroundings) -> String {
    let mut table = Table::new(
        &[
            "  not enough evidence yet",
            "field",
            "pairs",
            "raw",
            "noise",
        ],
        &[2, 3, 4],
    );
    for suspect in rows(suspects).iter().take(5) {
        let part =
            |key: &str| format!("{:.1} %", suspect[key].as_f64().unwrap_or_default() * 100.0);
        table.row(vec![
            format!("  {}", word(&suspect["endpoint"])),
            word(&suspect["field"]),
            suspect["pairs"].to_string(),
            part("raw"),
            part("noise"),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    table.print(surroundings.width)
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> String {
    value.as_str().map(clean).unwrap_or_default()
}
