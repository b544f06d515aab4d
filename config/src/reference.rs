//! The reference pages: every key with its type, default and meaning, from the model's types.

use std::fmt::Write as _;

use serde_json::Value;

use crate::scenario::{self, SHIPPED};
use crate::schema::{self, Key, Kind, Section};

/// `docs/config.md`.
pub fn reference() -> String {
    let mut page = String::from(include_str!("reference.md"));
    for section in schema::sections() {
        write_section(&mut page, section);
    }
    page
}

/// `docs/scenarios.md`.
pub fn scenarios() -> String {
    let mut page = String::from(include_str!("scenario/reference.md"));
    page.push_str("\n| name | what it shows |\n| --- | --- |\n");
    for shipped in SHIPPED {
        let about = scenario::read(shipped.text()).map(|written| written.scenario.about);
        let _ = writeln!(
            page,
            "| `{}` | {} |",
            shipped.name,
            about.unwrap_or_default()
        );
    }
    for section in schema::sections_of(scenario::schema()) {
        write_section(&mut page, &section);
    }
    page
}

fn write_section(page: &mut String, section: &Section) {
    let title = match section.header.as_str() {
        "" => "Top of the file".to_owned(),
        header => format!("`{header}`"),
    };
    let _ = write!(page, "\n## {title}\n\n{}\n\n", section.description);
    page.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in &section.keys {
        let meaning = cell(&meaning(key));
        let form = match &key.section {
            Some(header) if header.starts_with("[[") => format!("tables `{header}`"),
            Some(header) => format!("table `{header}`"),
            None => cell(&form(key.schema)),
        };
        let (name, default) = (key.name, default(key));
        let _ = writeln!(page, "| `{name}` | {form} | {default} | {meaning} |");
    }
}

/// A pipe would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn form(schema: &'static Value) -> String {
    let forms = schema::forms(schema);
    if !schema::words(&forms).is_empty() {
        return "word".into();
    }
    let mut phrases: Vec<_> = forms
        .iter()
        .map(|(kind, form)| phrase(*kind, form))
        .collect();
    phrases.dedup();
    phrases.join(" or ")
}

fn phrase(kind: Kind, form: &'static Value) -> String {
    match kind {
        Kind::Text => match form["format"].as_str() {
            Some("cidr") => "network".into(),
            Some("term") => "duration or `never`".into(),
            Some(format) => format.into(),
            None => "string".into(),
        },
        Kind::Integer => match schema::bounds(form) {
            (lowest, highest) if lowest == highest => format!("{lowest}"),
            (0, highest) if highest >= u16::MAX.into() => "whole number".into(),
            (lowest, highest) if highest >= u16::MAX.into() => {
                format!("whole number from {lowest}")
            }
            (lowest, highest) => format!("whole number {lowest} to {highest}"),
        },
        Kind::Number => "number".into(),
        Kind::Switch => "true or false".into(),
        Kind::List => format!("list of {}", self::form(&form["items"])),
        Kind::Table if form["properties"].is_object() => {
            let keys: Vec<_> = schema::keys(form).map(|key| key.name).collect();
            format!("table `{{ {} }}`", keys.join(", "))
        }
        Kind::Table => format!("table of {}", self::form(&form["additionalProperties"])),
    }
}

fn default(key: &Key) -> String {
    match key.schema.get("default") {
        _ if key.is_required => "required".into(),
        None | Some(Value::Null) => "absent".into(),
        // The defaults of a table stand in its own section.
        Some(Value::Object(_)) if key.section.is_some() => String::new(),
        Some(Value::Object(_)) => "empty".into(),
        Some(value) => format!("`{value}`"),
    }
}

/// The text of a key, and its words, each with its own.
fn meaning(key: &Key) -> String {
    let mut meaning = key.schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for (word, description) in schema::words(&schema::forms(key.schema)) {
        let _ = write!(meaning, "<br>`\"{word}\"`: {description}");
    }
    meaning
}
