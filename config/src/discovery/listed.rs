//! What a discovery file lists: the JSON of a Prometheus `file_sd`, of which the label `weight` means something here.
//!
//! It is taken whole or not at all: half of a list is not what anybody meant.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;

use super::target;
use crate::snapshot::Target;

/// Why a text is no list of targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAList(String);

/// Heaviest target, as in the file's own `targets`.
const HEAVIEST: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The targets that `text` lists, in its order; an empty list is one too.
///
/// # Errors
/// The first thing wrong with it.
pub fn listed(text: &str) -> Result<Vec<Target>, NotAList> {
    let groups: Vec<Group> = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    let mut found: Vec<Target> = Vec::new();
    let mut weights = BTreeMap::<SocketAddr, u32>::new();
    for (position, group) in groups.iter().enumerate() {
        let wrong = |message: String| NotAList(format!("[{position}]: {message}"));
        let weight = weight(group).map_err(wrong)?;
        for text in &group.targets {
            let address = target(text).map_err(wrong)?;
            match weights.insert(address, weight) {
                None => found.push(Target { address, weight }),
                // Generators repeat themselves; only a contradiction is a mistake.
                Some(before) if before == weight => {}
                Some(before) => {
                    let message = format!("{address} has weight {weight} here and {before} before");
                    return Err(wrong(message));
                }
            }
        }
    }
    Ok(found)
}

fn weight(group: &Group) -> Result<u32, String> {
    let Some(text) = group.labels.get("weight") else {
        return Ok(1);
    };
    let weight = text.parse().ok();
    weight
        .filter(|weight| (1..=HEAVIEST).contains(weight))
        .ok_or_else(|| {
            format!(
                "label `weight` is {text:?}; it is a whole number from 1 to {HEAVIEST}, as \"2\""
            )
        })
}

fn not_json(text: &str, error: &serde_json::Error) -> NotAList {
    if text.trim().is_empty() {
        return NotAList("it is empty; a list without targets is []".into());
    }
    NotAList(format!(
        "{error}; expected [{{\"targets\": [\"10.0.0.1:8080\"], \"labels\": {{\"weight\": \"2\"}}}}]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match listed(text) {
            Ok(targets) => {
                let shown = targets
                    .iter()
                    .map(|target| format!("{}*{}", target.address, target.weight));
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_list_is_groups_of_targets_with_labels() {
        let text = r#"[
            {"targets": ["10.0.0.1:8080", "[::1]:80"], "labels": {"weight": "2", "__meta_ecs_task": "a"}},
            {"targets": ["10.0.0.2:8080", "10.0.0.2:8080"]},
            {"targets": []}
        ]"#;
        assert_eq!(said(text), "10.0.0.1:8080*2 [::1]:80*2 10.0.0.2:8080*1");
        assert_eq!(said("[]"), "");
    }

    #[test]
    fn what_is_no_list_is_said() {
        for (text, expected) in [
            ("", "it is empty; a list without targets is []"),
            (
                "[{\"targets\": [\"10.0.0.1:80\"]",
                "EOF while parsing an object at line 1 column 28; expected",
            ),
            (
                "{\"targets\": []}",
                "invalid type: map, expected a sequence at line 1 column 0; expected",
            ),
            (
                "[{\"target\": []}]",
                "unknown field `target`, expected `targets` or `labels` at line 1 column 10; expected",
            ),
            (
                "[{\"targets\": [\"web:80\"]}]",
                "[0]: \"web:80\" is a host name; `targets` takes IP addresses",
            ),
            (
                "[{\"targets\": []}, {\"targets\": [\"10.0.0.1:80\"], \"labels\": {\"weight\": \"0\"}}]",
                "[1]: label `weight` is \"0\"; it is a whole number from 1 to 1000",
            ),
            (
                "[{\"targets\": [\"10.0.0.1:80\"]}, {\"targets\": [\"10.0.0.1:80\"], \"labels\": {\"weight\": \"3\"}}]",
                "[1]: 10.0.0.1:80 has weight 3 here and 1 before",
            ),
        ] {
            let said = said(text);
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }
}
