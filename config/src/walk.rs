//! The walk over a document beside its schema: every unknown key, wrong type and value out of bounds, in one go.
//!
//! What is wrong is replaced by something harmless of the right form, and its path is noted, so that the rest can be
//! compiled and judged while faults that only follow from it stay unsaid. It does not know what keys mean together.

mod scalar;
mod unknown;

use serde_json::{Map, Value as Json};

use crate::document::{Entry, Node, Value};
use crate::problem::{Path, Trail};
use crate::schema::{self, Kind};
use crate::text::{Finding, Place};

/// What a document says, as far as it has the right form.
pub(crate) struct Walked {
    /// Deserializes as the model.
    pub(crate) value: Json,
    /// Values that were wrong or missing: what stands in for them is not what the operator meant.
    pub(crate) wrong: Vec<Path>,
}

/// Walks a whole document beside `schema`.
pub(crate) fn walk(root: &Node, schema: &'static Json, findings: &mut Vec<Finding>) -> Walked {
    let mut walk = Walk {
        findings,
        wrong: Vec::new(),
        schemas: schema::Answers::default(),
    };
    let top = Trail::default();
    let place = root.place_of(&top.path());
    let value = walk.value(root, place, schema, &top);
    Walked {
        value: value.unwrap_or_else(|| harmless(schema)),
        wrong: walk.wrong,
    }
}

struct Walk<'a> {
    findings: &'a mut Vec<Finding>,
    wrong: Vec<Path>,
    schemas: schema::Answers,
}

impl Walk<'_> {
    /// The value in a form the schema allows; `None` when it is wrong, which is then reported.
    /// `key_place` is where a table's missing keys are shown.
    fn value(
        &mut self,
        node: &Node,
        key_place: Place,
        schema: &'static Json,
        path: &Trail<'_>,
    ) -> Option<Json> {
        let allowed = self.schemas.allowed(schema);
        let (list, table) = (allowed.form(Kind::List), allowed.form(Kind::Table));
        let value = match (&node.value, list, table) {
            (Value::Broken, _, _) => {
                self.wrong.push(path.path());
                return None;
            }
            (Value::List(items), Some((_, form)), _) => Ok(self.list(items, form, path)),
            (Value::Table(entries), _, Some((_, form))) => {
                Ok(match self.schemas.properties(form) {
                    Some(keys) => self.keyed(entries, key_place, form, &keys, path),
                    None => self.named(entries, &form["additionalProperties"], path),
                })
            }
            (value, _, _) => scalar::check(value, &allowed),
        };
        match value {
            Ok(value) => Some(value),
            Err(message) => {
                self.report(node.place, path, message);
                self.wrong.push(path.path());
                None
            }
        }
    }

    fn list(&mut self, items: &[Node], form: &'static Json, path: &Trail<'_>) -> Json {
        let schema = &form["items"];
        let items = items.iter().enumerate().map(|(position, item)| {
            let path = path.index(position);
            let value = self.value(item, item.place, schema, &path);
            value.unwrap_or_else(|| harmless(schema))
        });
        Json::Array(items.collect())
    }

    /// A table whose keys are names of the operator's: every name stays known, whatever stands behind it.
    fn named(&mut self, entries: &[Entry], values: &'static Json, path: &Trail<'_>) -> Json {
        let given = entries.iter().filter(|entry| entry.is_given());
        let values = given.map(|entry| {
            let path = path.key(&entry.key);
            let value = self.value(&entry.node, entry.key_place, values, &path);
            (entry.key.clone(), value.unwrap_or_else(|| harmless(values)))
        });
        Json::Object(values.collect())
    }

    /// A table whose keys are the model's.
    fn keyed(
        &mut self,
        entries: &[Entry],
        place: Place,
        form: &'static Json,
        keys: &schema::Properties,
        path: &Trail<'_>,
    ) -> Json {
        let mut table = Map::with_capacity(entries.len());
        let mut meant = Vec::new();
        for entry in entries {
            let key_path = path.key(&entry.key);
            let Some(schema) = keys.get(&*entry.key) else {
                let guess = unknown::guess(&entry.key, form);
                // What was probably meant is not missing: its value stands under another name.
                let meant_path = guess.nearest.map(|nearest| path.key(nearest).path());
                self.wrong.extend(meant_path);
                meant.extend(guess.nearest);
                self.report(entry.key_place, &key_path, guess.message);
                continue;
            };
            if entry.is_given() {
                let value = self.value(&entry.node, entry.key_place, schema, &key_path);
                if let Some(value) = value {
                    table.insert(entry.key.clone(), value);
                }
            }
        }
        for key in &*self.schemas.required(form) {
            let is_given = |entry: &Entry| entry.key == key.name && entry.is_given();
            if !entries.iter().any(is_given) {
                let path = path.key(key.name);
                // An unknown key that was probably meant for this one has said enough.
                if !meant.contains(&key.name) {
                    self.report(place, &path, missing(key));
                }
                self.wrong.push(path.path());
            }
            if !table.contains_key(key.name) {
                table.insert(key.name.to_owned(), harmless(key.schema));
            }
        }
        // What lacks a key only because it is misspelled has been told so.
        let absent = meant.iter().filter(|key| !table.contains_key(**key));
        self.wrong.extend(absent.map(|key| path.key(key).path()));
        Json::Object(table)
    }

    fn report(&mut self, place: Place, path: &Trail<'_>, message: String) {
        self.findings.push(Finding {
            place,
            path: path.path(),
            message,
        });
    }
}

fn missing(key: &schema::Key) -> String {
    let expected = scalar::expected(&schema::forms(key.schema));
    format!("this key is missing, expected {expected}")
}

/// A value of the right form that means nothing, to stand where something is wrong.
fn harmless(schema: &'static Json) -> Json {
    let forms = schema::forms(schema);
    let Some((kind, form)) = forms.first() else {
        return Json::Null;
    };
    match kind {
        Kind::Text => scalar::harmless_text(&forms, form).into(),
        Kind::Integer => i64::try_from(schema::bounds(form).0.max(0))
            .unwrap_or(0)
            .into(),
        Kind::Number => 0.into(),
        Kind::Switch => false.into(),
        Kind::List => Json::Array(Vec::new()),
        Kind::Table => {
            let required = schema::keys(form).filter(|key| key.is_required);
            let entries = required.map(|key| (key.name.to_owned(), harmless(key.schema)));
            Json::Object(entries.collect())
        }
    }
}
