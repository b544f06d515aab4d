//! TOML 1.1 through the `toml` crate, which gives spans and goes on after an error.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DEPTH, Entry, Node, Value, nesting};
use crate::problem::Path;
use crate::text::{Finding, Place, Texts};

pub(super) fn read(texts: &Texts, file: usize, findings: &mut Vec<Finding>) -> Option<Node> {
    let text = texts.text(file);
    let mut reader = Reader { file, findings };
    if let Some(at) = nesting::too_deep(text, DEPTH) {
        reader.report(at..at + 1, format!("nested deeper than {DEPTH} levels"));
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let is_sound = errors.iter().all(is_duplicate);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let message = reason(error, text.get(span.clone()).unwrap_or_default());
        reader.report(span, message);
    }
    // After a duplicate key the first value stands, and the rest can be judged; after anything else it cannot.
    if !is_sound {
        return None;
    }
    Some(Node {
        value: reader.table(root.get_ref(), 0),
        place: reader.place(0..text.len()),
    })
}

/// What is wrong, where the parser's own words need the rest of its sentence to be understood.
fn reason(error: &toml::de::Error, written: &str) -> String {
    match error.message() {
        _ if is_duplicate(error) => format!("`{written}` is given twice"),
        "string values must be quoted, expected literal string" if written.is_empty() => {
            "a value is missing".into()
        }
        "string values must be quoted, expected literal string" => {
            "a string value must be quoted".into()
        }
        other => other.to_owned(),
    }
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

struct Reader<'a> {
    file: usize,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let place = self.place(value.span());
        if depth > DEPTH {
            self.report(value.span(), format!("nested deeper than {DEPTH} levels"));
            let value = Value::Broken;
            return Node { value, place };
        }
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Integer(integer(number.as_str(), number.radix())),
            DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(switch) => Value::Switch(*switch),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.value(item, depth + 1))
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table, depth),
        };
        Node { value, place }
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Value {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_place: self.place(key.span()),
                node: self.value(value, depth + 1),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_place);
        Value::Table(entries)
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place {
            file: self.file,
            start: span.start,
            end: span.end,
        }
    }

    fn report(&mut self, span: Range<usize>, message: String) {
        self.findings.push(Finding {
            place: self.place(span),
            path: Path::default(),
            message,
        });
    }
}

/// A number too large for any key stays too large.
fn integer(digits: &str, radix: u32) -> i128 {
    i128::from_str_radix(digits, radix).unwrap_or_else(|_| {
        if digits.starts_with('-') {
            i128::MIN
        } else {
            i128::MAX
        }
    })
}
