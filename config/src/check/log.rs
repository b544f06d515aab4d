//! What `[[access_log]]` means: that no two logs write to one file, and that no name leads out of a folder.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{AccessLog, PARTITION, Partitions, Rotate, STDOUT};
use crate::problem::{Fault, Path};
use crate::units::Size;

/// Everything wrong with `logs`.
pub(super) fn check(
    logs: &[AccessLog],
    partitions: &Partitions,
    path: &Path,
    faults: &mut Vec<Fault>,
) {
    let mut taken = HashMap::new();
    for (position, log) in logs.iter().enumerate() {
        let path = path.index(position);
        let at = path.key("path");
        if log.path.is_empty() {
            faults.push(at.fault("must not be empty; write a file or `stdout`"));
        } else if let Some(word) = unknown_placeholder(&log.path) {
            faults.push(at.fault(format!("`{word}` stands for nothing; {PARTITION} does")));
        } else if let Some(twice) = files(log, partitions).into_iter().find(|file| {
            taken
                .insert(file.clone(), position)
                .is_some_and(|first| first != position)
        }) {
            let message = format!("two access logs write to {twice:?}; their lines would mix");
            faults.push(at.fault(message));
        }
        if log.by_partition()
            && let Some(name) = names(partitions).find(|name| matches!(*name, "." | ".."))
        {
            let message = format!("the partition {name:?} would lead to another folder");
            faults.push(at.fault(message));
        }
        if let Some(settings) = &log.rotate {
            rotate(log, settings, &path.key("rotate"), faults);
        }
    }
}

fn rotate(log: &AccessLog, rotate: &Rotate, path: &Path, faults: &mut Vec<Fault>) {
    if log.path == STDOUT {
        faults.push(path.fault("standard output cannot be rotated"));
    }
    if rotate.size.is_none() && rotate.every.is_none() {
        faults.push(path.fault("give `size`, `every` or both"));
    }
    if rotate.size == Some(Size(0)) {
        let message = "must be at least 1B: with 0 every line would have a file of its own";
        faults.push(path.key("size").fault(message));
    }
    if rotate
        .every
        .is_some_and(|every| every.0 < Duration::from_secs(1) || every.0.subsec_nanos() > 0)
    {
        faults.push(
            path.key("every")
                .fault("must be whole seconds, at least 1s"),
        );
    }
}

/// The first thing in braces that is not `{partition}`.
fn unknown_placeholder(path: &str) -> Option<&str> {
    let known = path.match_indices(PARTITION).map(|(at, _)| at);
    let known: Vec<usize> = known.collect();
    let brace = path.match_indices('{').find(|(at, _)| !known.contains(at));
    let rest = &path[brace?.0..];
    Some(rest.split_inclusive('}').next().unwrap_or(rest))
}

/// Every file that `log` writes to.
fn files(log: &AccessLog, partitions: &Partitions) -> Vec<String> {
    if log.by_partition() {
        names(partitions).map(|name| log.path_of(name)).collect()
    } else {
        vec![log.path.clone()]
    }
}

fn names(partitions: &Partitions) -> impl Iterator<Item = &str> {
    let hosts = partitions.hosts.values().map(String::as_str);
    hosts.chain([partitions.default.as_str()])
}
