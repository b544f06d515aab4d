//! The JSON Schema of the file, made from the model's types, and a view of it by tables.
//!
//! One definition, many outputs: the published schema, the walk over a document and the reference page all come from here.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use serde_json::Value;

use crate::model::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema["title"] = "kanaria configuration".into();
    schema
});

/// The JSON Schema (draft 2020-12) of the file.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same, for a look.
pub(crate) fn shared() -> &'static Value {
    &SCHEMA
}

/// A form a value may have; a schema that leaves a choice has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Number,
    Switch,
    List,
    Table,
}

/// The forms a value may have, with choices and references resolved; null, which only says `absent`, is none.
pub(crate) fn forms(schema: &'static Value) -> Vec<(Kind, &'static Value)> {
    let schema = resolve(schema);
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[choice].as_array() {
            return choices.iter().flat_map(forms).collect();
        }
    }
    let names = match &schema["type"] {
        Value::Array(names) => names.iter().collect(),
        name => vec![name],
    };
    let kinds = names.into_iter().filter_map(|name| kind(name.as_str()?));
    kinds.map(|kind| (kind, schema)).collect()
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "string" => Some(Kind::Text),
        "integer" => Some(Kind::Integer),
        "number" => Some(Kind::Number),
        "boolean" => Some(Kind::Switch),
        "array" => Some(Kind::List),
        "object" => Some(Kind::Table),
        _ => None,
    }
}

/// What a `$ref` points to; anything else is itself.
pub(crate) fn resolve(schema: &'static Value) -> &'static Value {
    let name = schema["$ref"].as_str();
    match name.and_then(|name| name.strip_prefix("#/$defs/")) {
        Some(name) => &SCHEMA["$defs"][name],
        None => schema,
    }
}

/// The words of an enumeration, and what each means.
pub(crate) fn words(forms: &[(Kind, &'static Value)]) -> Vec<(&'static str, &'static str)> {
    let described = |form: &'static Value| form["description"].as_str().unwrap_or_default();
    let mut words = Vec::new();
    for (_, form) in forms {
        words.extend(form["const"].as_str().map(|word| (word, described(form))));
        let listed = form["enum"].as_array().into_iter().flatten();
        words.extend(listed.filter_map(|word| Some((word.as_str()?, ""))));
    }
    words
}

/// Smallest and largest allowed value of an integer.
pub(crate) fn bounds(schema: &Value) -> (i128, i128) {
    let (lowest, highest) = match schema["format"].as_str() {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64") => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    let stated = |key: &str| schema[key].as_i64().map(i128::from);
    (
        stated("minimum").unwrap_or(lowest),
        stated("maximum").unwrap_or(highest),
    )
}

/// A table of the file and its keys.
pub(crate) struct Section {
    /// Its header, `[server.limits]` or `[[routes]]`; empty for the top of the file.
    pub(crate) header: String,
    pub(crate) description: &'static str,
    pub(crate) keys: Vec<Key>,
}

/// A key of a table.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) schema: &'static Value,
    pub(crate) is_required: bool,
    /// The header of the table under it, when that has a section of its own.
    pub(crate) section: Option<String>,
}

/// Every table that has a header of its own, in the order of the model.
pub(crate) fn sections() -> &'static [Section] {
    &SECTIONS
}

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| sections_of(&SCHEMA));

/// The same of another file.
pub(crate) fn sections_of(schema: &'static Value) -> Vec<Section> {
    let mut sections = Vec::new();
    collect(String::new(), "", schema, &mut sections);
    sections
}

fn collect(header: String, path: &str, table: &'static Value, sections: &mut Vec<Section>) {
    let mut keys: Vec<_> = keys(table).collect();
    let mut tables = Vec::new();
    for key in &mut keys {
        if let Some((header, path, table)) = below(path, key) {
            key.section = Some(header.clone());
            tables.push((header, path, table));
        }
    }
    sections.push(Section {
        header,
        description: table["description"].as_str().unwrap_or_default(),
        keys,
    });
    for (header, path, table) in tables {
        collect(header, &path, table, sections);
    }
}

/// The table under a key that is always one: alone, in a list, or by name.
fn below(path: &str, key: &Key) -> Option<(String, String, &'static Value)> {
    let path = match path {
        "" => key.name.to_owned(),
        _ => format!("{path}.{}", key.name),
    };
    let [(kind, form)] = forms(key.schema)[..] else {
        return None;
    };
    match kind {
        Kind::Table if form["properties"].is_object() => Some((format!("[{path}]"), path, form)),
        Kind::Table => {
            let path = format!("{path}.NAME");
            Some((
                format!("[{path}]"),
                path,
                only_table(&form["additionalProperties"])?,
            ))
        }
        Kind::List => Some((format!("[[{path}]]"), path, only_table(&form["items"])?)),
        _ => None,
    }
}

fn only_table(schema: &'static Value) -> Option<&'static Value> {
    match forms(schema)[..] {
        [(Kind::Table, table)] if table["properties"].is_object() => Some(table),
        _ => None,
    }
}

/// Answers that were given before: of a file of 1,000 routes the walk asks the same of the same few schemas 1,000 times
/// each, which was half of its work (`compile/file` of `benches/decide`).
#[derive(Default)]
pub(crate) struct Answers {
    allowed: HashMap<*const Value, Rc<Allowed>, FixedState>,
    properties: HashMap<*const Value, Option<Rc<Properties>>, FixedState>,
    required: HashMap<*const Value, Rc<[Key]>, FixedState>,
}

/// What a schema allows.
pub(crate) struct Allowed {
    pub(crate) forms: Vec<(Kind, &'static Value)>,
    /// The only texts that may stand there; empty: any.
    pub(crate) words: Vec<(&'static str, &'static str)>,
}

/// Schemas of the keys of a table.
pub(crate) type Properties = HashMap<&'static str, &'static Value, FixedState>;

impl Allowed {
    fn by(schema: &'static Value) -> Self {
        let forms = forms(schema);
        Self {
            words: words(&forms),
            forms,
        }
    }

    /// The form of this kind.
    pub(crate) fn form(&self, wanted: Kind) -> Option<(Kind, &'static Value)> {
        let mut forms = self.forms.iter().copied();
        forms.find(|(kind, _)| *kind == wanted)
    }
}

impl Answers {
    /// What `schema` allows.
    pub(crate) fn allowed(&mut self, schema: &'static Value) -> Rc<Allowed> {
        let known = self.allowed.entry(schema);
        Rc::clone(known.or_insert_with(|| Rc::new(Allowed::by(schema))))
    }

    /// Schemas of the keys of a table; `None` when its keys are names of the operator's.
    pub(crate) fn properties(&mut self, table: &'static Value) -> Option<Rc<Properties>> {
        let known = self.properties.entry(table);
        let properties = known.or_insert_with(|| {
            let properties = table["properties"].as_object()?.iter();
            Some(Rc::new(
                properties.map(|(name, schema)| (&**name, schema)).collect(),
            ))
        });
        properties.clone()
    }

    /// Those `keys` of a table that must be there.
    pub(crate) fn required(&mut self, table: &'static Value) -> Rc<[Key]> {
        let known = self.required.entry(table);
        Rc::clone(known.or_insert_with(|| keys(table).filter(|key| key.is_required).collect()))
    }
}

/// The keys of a table.
pub(crate) fn keys(table: &'static Value) -> impl Iterator<Item = Key> {
    let properties = table["properties"].as_object().into_iter().flatten();
    properties.map(move |(name, schema)| Key {
        name,
        schema,
        is_required: required(table).any(|required| required == name),
        section: None,
    })
}

fn required(table: &'static Value) -> impl Iterator<Item = &'static str> {
    let names = table["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described() {
        for section in sections() {
            for key in &section.keys {
                let described = key.schema["description"].as_str();
                assert!(described.is_some(), "{} {}", section.header, key.name);
            }
        }
    }

    #[test]
    fn every_table_of_the_file_is_a_section() {
        let headers: Vec<_> = sections().iter().map(|section| &section.header).collect();
        assert_eq!(
            headers,
            [
                "",
                "[server]",
                "[server.limits]",
                "[server.timeouts]",
                "[server.forwarded]",
                "[admin]",
                "[admin.tls]",
                "[[admin.tokens]]",
                "[[listeners]]",
                "[listeners.tls]",
                "[resolver]",
                "[pools.NAME]",
                "[pools.NAME.tls]",
                "[pools.NAME.retry_budget]",
                "[pools.NAME.headers]",
                "[pools.NAME.headers.request]",
                "[pools.NAME.headers.response]",
                "[pools.NAME.cookies]",
                "[pools.NAME.cookies.request]",
                "[pools.NAME.cookies.response]",
                "[[pools.NAME.cookies.expire]]",
                "[pools.NAME.health_check]",
                "[pools.NAME.ejection]",
                "[pools.NAME.ejection.success_rate]",
                "[partitions]",
                "[[routes]]",
                "[routes.match]",
                "[routes.sticky]",
                "[[routes.flags]]",
                "[routes.cap]",
                "[routes.guard]",
                "[routes.guard.errors]",
                "[routes.guard.client_errors]",
                "[routes.guard.latency]",
                "[routes.guard.hard_limit]",
                "[routes.guard.budget]",
                "[routes.ramp]",
                "[[routes.ramp.steps]]",
                "[routes.shadow]",
                "[routes.shadow.headers]",
                "[routes.rewrite]",
                "[routes.headers]",
                "[routes.headers.request]",
                "[routes.headers.response]",
                "[routes.redirect]",
                "[routes.respond]",
                "[[access_log]]",
                "[access_log.rotate]",
                "[[webhooks]]",
                "[telemetry]",
            ]
        );
    }
}
