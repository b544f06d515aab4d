//! JSON through serde_json: each value is read as the raw text it is, so that its address in the text is its place.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DEPTH, Entry, Node, Value};
use crate::problem::Path;
use crate::text::{Finding, Place, Texts};

pub(super) fn read(texts: &Texts, file: usize, findings: &mut Vec<Finding>) -> Option<Node> {
    let text = texts.text(file);
    let mut reader = Reader {
        texts,
        text,
        file,
        findings,
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Some(reader.value(raw.get(), 0)),
        Err(error) => {
            reader.syntax(&error);
            None
        }
    }
}

struct Reader<'a> {
    texts: &'a Texts,
    text: &'a str,
    file: usize,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, raw: &'a str, depth: usize) -> Node {
        let place = self.place(raw);
        if depth > DEPTH {
            self.report(place, format!("nested deeper than {DEPTH} levels"));
            let value = Value::Broken;
            return Node { value, place };
        }
        let value = match raw.as_bytes().first() {
            Some(b'{') => self.table(raw, depth),
            Some(b'[') => self.list(raw, depth),
            Some(b'"') => self.string(raw).map_or(Value::Broken, Value::Text),
            Some(b't') => Value::Switch(true),
            Some(b'f') => Value::Switch(false),
            Some(b'n') => Value::Null,
            _ => number(raw),
        };
        Node { value, place }
    }

    fn table(&mut self, raw: &'a str, depth: usize) -> Value {
        let pairs = match serde_json::from_str::<Pairs<'_>>(raw) {
            Ok(Pairs(pairs)) => pairs,
            Err(error) => return self.broken(raw, &error),
        };
        let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
        let mut first_places = HashMap::new();
        for (raw_key, raw_value) in pairs {
            let Some(key) = self.string(raw_key.get()) else {
                continue;
            };
            let key_place = self.place(raw_key.get());
            let node = self.value(raw_value.get(), depth + 1);
            if let Some(first) = first_places.insert(key.clone(), key_place) {
                let first = self.texts.line_of(first);
                self.report(
                    key_place,
                    format!("`{key}` is given twice, first at {first}"),
                );
                continue;
            }
            entries.push(Entry {
                key,
                key_place,
                node,
            });
        }
        Value::Table(entries)
    }

    fn list(&mut self, raw: &'a str, depth: usize) -> Value {
        match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(items) => {
                let items = items.into_iter();
                Value::List(
                    items
                        .map(|item| self.value(item.get(), depth + 1))
                        .collect(),
                )
            }
            Err(error) => self.broken(raw, &error),
        }
    }

    /// A string; its escapes are looked at only here.
    fn string(&mut self, raw: &str) -> Option<String> {
        let text = serde_json::from_str(raw);
        if let Err(error) = &text {
            self.broken(raw, error);
        }
        text.ok()
    }

    fn broken(&mut self, raw: &str, error: &serde_json::Error) -> Value {
        self.report(self.place(raw), reason(error));
        Value::Broken
    }

    /// serde_json counts columns in bytes, from 1, and says 0 when the line has not begun.
    fn syntax(&mut self, error: &serde_json::Error) {
        let line = self
            .text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1));
        let start = line.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
        let place = Place {
            file: self.file,
            start,
            end: start,
        };
        self.report(place, reason(error));
    }

    fn place(&self, part: &str) -> Place {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Place {
            file: self.file,
            start,
            end: start + part.len(),
        }
    }

    fn report(&mut self, place: Place, message: String) {
        self.findings.push(Finding {
            place,
            path: Path::default(),
            message,
        });
    }
}

/// The message without serde_json's own line and column, which our place replaces.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => message,
    }
}

fn number(raw: &str) -> Value {
    match raw.parse() {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Number(raw.parse().unwrap_or(f64::NAN)),
    }
}

/// Keys and values of one object, as written.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
