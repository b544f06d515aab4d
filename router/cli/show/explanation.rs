//! Where a request goes, and why.

use serde::Deserialize;
use serde_json::Value;

use super::super::execute::Surroundings;
use super::super::offline::pretty;
use super::super::table::Table;
use super::super::words::clean;
use super::{BOLD, paint};

#[derive(Deserialize)]
struct Explanation {
    steps: Vec<Step>,
    #[serde(default)]
    decision: Value,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    text: String,
}

/// `kanaria explain`.
pub(in super::super) fn explanation(answer: &Value, surroundings: &Surroundings) -> String {
    let Ok(explanation) = Explanation::deserialize(answer) else {
        return pretty(answer);
    };
    let names = explanation
        .steps
        .iter()
        .map(|step| step.name.chars().count());
    let width = names.max().unwrap_or(0);
    let mut text = String::new();
    for step in &explanation.steps {
        text.push_str(&format!(
            "{:<width$}  {}\n",
            clean(&step.name),
            clean(&step.text)
        ));
    }
    text.push_str(&format!(
        "\n{}\n",
        paint(&conclusion(&explanation.decision), BOLD, surroundings)
    ));
    text.push_str(&details(&explanation.decision));
    text
}

fn conclusion(decision: &Value) -> String {
    let word = |key: &str| decision.get(key).and_then(Value::as_str).map(clean);
    if let (Some(route), Some(answer)) = (word("route"), word("answer")) {
        return format!("→ route {route} answers by itself: {answer}");
    }
    match (word("pool"), word("route"), word("reason")) {
        (Some(pool), Some(route), Some(reason)) => {
            format!("→ pool {pool} of route {route}, reason {reason}")
        }
        (None, None, _) => "→ no route: 404".into(),
        _ => format!("→ {decision}"),
    }
}

/// The rest of the decision.
fn details(decision: &Value) -> String {
    let told = ["answer", "pool", "route", "reason"];
    let mut table = Table::new(&[], &[]);
    let Value::Object(entries) = decision else {
        return String::new();
    };
    for (key, value) in entries {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => clean(text),
            other => clean(&other.to_string()),
        };
        if !told.contains(&key.as_str()) {
            table.row(vec![format!("  {}", clean(key)), value]);
        }
    }
    table.print(None).trim_start_matches('\n').to_owned()
}
