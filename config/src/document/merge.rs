//! Included files: lists grow, tables merge, and nothing is ever overridden.

use std::collections::HashMap;

use super::{Entry, Node, Value};
use crate::problem::Path;
use crate::text::{Finding, Texts};

/// Merges the tree of an included file into that of the main one.
pub(crate) fn merge(
    main: &mut Node,
    mut included: Node,
    texts: &Texts,
    findings: &mut Vec<Finding>,
) {
    if let Value::Table(entries) = &mut included.value {
        entries.retain(|entry| belongs_here(entry, main, findings));
    }
    merge_at(&Path::default(), main, included, texts, findings);
}

/// `include` is the main file's alone, and a `version` that only repeats the main file's does no harm.
fn belongs_here(entry: &Entry, main: &Node, findings: &mut Vec<Finding>) -> bool {
    match entry.key.as_str() {
        "include" => {
            findings.push(Finding {
                place: entry.key_place,
                path: Path::default().key("include"),
                message: "only the main file may include others".into(),
            });
            false
        }
        "version" => {
            let main = main.get("version").map(|node| &node.value);
            !matches!((main, &entry.node.value), (Some(Value::Integer(a)), Value::Integer(b)) if a == b)
        }
        _ => true,
    }
}

fn merge_at(path: &Path, main: &mut Node, other: Node, texts: &Texts, findings: &mut Vec<Finding>) {
    match (&mut main.value, other.value) {
        (Value::Table(entries), Value::Table(others)) => {
            merge_tables(path, entries, others, texts, findings);
        }
        (Value::List(items), Value::List(more)) => items.extend(more),
        _ => findings.push(Finding {
            place: other.place,
            path: path.clone(),
            message: format!("given twice, first at {}", texts.line_of(main.place)),
        }),
    }
}

fn merge_tables(
    path: &Path,
    entries: &mut Vec<Entry>,
    others: Vec<Entry>,
    texts: &Texts,
    findings: &mut Vec<Finding>,
) {
    let positions = entries.iter().enumerate();
    let positions: HashMap<_, _> = positions.map(|(n, entry)| (entry.key.clone(), n)).collect();
    for other in others {
        match positions.get(&other.key) {
            Some(n) => {
                let path = path.key(&other.key);
                merge_at(&path, &mut entries[*n].node, other.node, texts, findings);
            }
            None => entries.push(other),
        }
    }
}
