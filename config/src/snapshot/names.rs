//! Names of things, and what to say when one is not known.

use std::collections::HashMap;
use std::fmt::Display;

use crate::problem::{Fault, Trail};

/// How many known names a message lists.
const LISTED: usize = 8;

/// Faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The value, or its fault noted at `path`.
    pub(super) fn check<T, E: Display>(
        &mut self,
        path: &Trail<'_>,
        result: Result<T, E>,
    ) -> Option<T> {
        result
            .map_err(|error| self.add(path, error.to_string()))
            .ok()
    }

    pub(super) fn add(&mut self, path: &Trail<'_>, message: impl Into<String>) {
        self.0.push(path.fault(message));
    }
}

/// Positions by name, of one kind of thing.
pub(super) struct Names<'a> {
    kind: &'static str,
    positions: HashMap<&'a str, u16>,
    ordered: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Of a name given twice, which is a fault of its own, the first is meant.
    pub(super) fn new(kind: &'static str, names: impl Iterator<Item = &'a str>) -> Self {
        let ordered: Vec<_> = names.collect();
        let mut positions = HashMap::new();
        for (position, name) in (0..=u16::MAX).zip(&ordered) {
            positions.entry(*name).or_insert(position);
        }
        Self {
            kind,
            positions,
            ordered,
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<u16, String> {
        let position = self.positions.get(name).copied();
        position.ok_or_else(|| unknown(self.kind, name, self.ordered.iter()))
    }
}

/// What to say of a name that is not known: the nearest that is, or all of them when they are few.
pub(super) fn unknown<N: AsRef<str>>(
    kind: &str,
    name: &str,
    known: impl Iterator<Item = N>,
) -> String {
    let known: Vec<N> = known.collect();
    if let Some(nearest) = nearest(name, &known) {
        return format!("no {kind} is called `{name}`; did you mean `{nearest}`?");
    }
    let listed = known
        .iter()
        .take(LISTED)
        .map(|name| format!("`{}`", name.as_ref()));
    let listed = listed.collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => format!("no {kind} is called `{name}`; there is none"),
        1..=LISTED => format!("no {kind} is called `{name}`; known are {listed}"),
        n => format!(
            "no {kind} is called `{name}`; known are {listed} and {} more",
            n - LISTED
        ),
    }
}

/// A name of the characters that fit into a path, a label and a command line.
pub(super) fn plain(kind: &str, name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() {
        return Err(format!("the name of a {kind} is empty"));
    }
    if !name.bytes().all(is_plain) {
        return Err(format!(
            "`{name}` is no name of a {kind}; allowed are letters, digits, `_`, `.` and `-`"
        ));
    }
    Ok(())
}

fn nearest<'a, N: AsRef<str>>(name: &str, known: &'a [N]) -> Option<&'a str> {
    let allowed = 1 + name.len() / 4;
    let distances = known
        .iter()
        .map(|known| (distance(name, known.as_ref()), known.as_ref()));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= allowed).then_some(nearest)
}

/// Edits from one text to the other: a byte more, less or other, or two neighbors swapped.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut next = vec![i];
        for j in 1..=to.len() {
            let same = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (row[j - 1] + same).min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        #[track_caller]
        fn check(name: &str, known: &[&str], expect: &str) {
            assert_eq!(unknown("pool", name, known.iter()), expect);
        }
        let pools = ["ec2", "ecs"];
        check(
            "esc",
            &pools,
            "no pool is called `esc`; did you mean `ecs`?",
        );
        check(
            "ecs2",
            &["ecs"],
            "no pool is called `ecs2`; did you mean `ecs`?",
        );
        check(
            "stable",
            &pools,
            "no pool is called `stable`; known are `ec2`, `ecs`",
        );
        check("stable", &[], "no pool is called `stable`; there is none");
        let many = ["1111"; 10];
        let end = "`1111` and 2 more";
        assert!(unknown("pool", "stable", many.iter()).ends_with(end));
    }
}
