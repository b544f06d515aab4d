//! One tree for both formats: values that know where in which text they stand. It knows nothing of what keys mean.

mod json;
mod merge;
mod nesting;
mod toml;

use crate::problem::{Path, Step};
use crate::text::{Finding, Place, Texts};

pub(crate) use merge::merge;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// The value itself; of a table under a header, the header.
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Something wrong that has been reported already.
    Broken,
    /// JSON's null, which counts as a key left out: Terraform writes it for what is not set.
    Null,
    Switch(bool),
    Integer(i128),
    Number(f64),
    /// A TOML date or time, which no key takes.
    Moment,
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table, and its value. Tables keep the order of the text.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

/// Values nested deeper than this are refused, so that no text can exhaust the stack; the model needs six levels.
const DEPTH: usize = 32;

/// Reads one text; the name of its file tells the format. `None` when nothing of it can be relied on.
pub(crate) fn read(
    texts: &Texts,
    file: usize,
    is_json: bool,
    findings: &mut Vec<Finding>,
) -> Option<Node> {
    if is_json {
        json::read(texts, file, findings)
    } else {
        toml::read(texts, file, findings)
    }
}

impl Default for Node {
    /// An empty table.
    fn default() -> Self {
        Self {
            value: Value::Table(Vec::new()),
            place: Place::default(),
        }
    }
}

impl Node {
    /// The entries, when it is a table.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key, when it is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        Some(&entry.node)
    }

    /// The place to show for a path: its own, or that of the nearest thing around it that exists.
    pub(crate) fn place_of(&self, path: &Path) -> Place {
        let (mut node, mut place) = (
            self,
            Place {
                end: 0,
                ..self.place
            },
        );
        let mut around = "";
        for step in &path.0 {
            match (step, &node.value) {
                (Step::Key(key), Value::Table(entries)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
                        break;
                    };
                    place = entry.place(around);
                    node = &entry.node;
                    around = key;
                }
                (Step::Index(position), Value::List(items)) => {
                    let Some(item) = items.get(*position) else {
                        break;
                    };
                    place = item.place;
                    node = item;
                }
                _ => break,
            }
        }
        place
    }
}

impl Entry {
    /// Whether there is a value; null says that there is none.
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self.node.value, Value::Null)
    }

    /// Tables are shown by their key, and so are entries whose key is a name of something; other values by themselves.
    fn place(&self, around: &str) -> Place {
        let key_is_a_name = matches!(around, "hosts" | "weights");
        match self.node.value {
            Value::Table(_) => self.key_place,
            _ if key_is_a_name => self.key_place,
            _ => self.node.place,
        }
    }
}
