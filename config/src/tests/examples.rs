//! Every shipped example is read without a problem, and together they show every key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{loaded, read};
use crate::model::Config;
use crate::schema;

/// Name and text of every example.
#[expect(
    clippy::disallowed_methods,
    reason = "examples are files, and a new one is tested without being listed"
)]
fn examples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = folder.read_dir().unwrap();
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let texts = paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
    });
    texts.collect()
}

fn example(name: &str) -> Config {
    let examples = examples();
    let (name, text) = examples.iter().find(|(known, _)| known == name).unwrap();
    read(&[(name, text)]).unwrap()
}

#[test]
fn every_example_is_read_without_a_problem() {
    let examples = examples();
    assert!(examples.len() >= 6);
    for (name, text) in examples {
        if let Err(problems) = read(&[(&name, &text)]) {
            panic!("{}", problems[0]);
        }
    }
}

#[test]
fn the_full_example_shows_every_key() {
    let full = serde_json::to_value(example("full.toml")).unwrap();
    let text = &examples()
        .into_iter()
        .find(|(name, _)| name == "full.toml")
        .unwrap()
        .1;
    for section in schema::sections() {
        for key in &section.keys {
            let shown = text.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ', '[', ']']);
                let (key_of_line, _) = line.split_once([' ', ']', '=']).unwrap_or((line, ""));
                key_of_line.rsplit('.').next() == Some(key.name) || key_of_line.contains(key.name)
            });
            assert!(shown, "{} {} is not in full.toml", section.header, key.name);
        }
    }
    assert!(full.is_object());
}

#[test]
fn the_full_example_shows_the_defaults() {
    let full = serde_json::to_value(example("full.toml")).unwrap();
    for (pointer, table) in [
        ("/server", "Server"),
        ("/server/limits", "Limits"),
        ("/server/timeouts", "Timeouts"),
        ("/server/forwarded", "Forwarded"),
        ("/pools/ecs", "Pool"),
        ("/pools/ecs/ejection", "Ejection"),
        ("/partitions", "Partitions"),
    ] {
        let shown = full.pointer(pointer).unwrap();
        let properties = &schema::shared()["$defs"][table]["properties"];
        for (key, schema) in properties.as_object().unwrap() {
            match &schema["default"] {
                Value::Null | Value::Object(_) => {}
                default => assert_eq!(&shown[key], default, "{pointer}/{key}"),
            }
        }
    }
}

#[test]
fn the_order_of_weights_is_kept() {
    let config = example("weights.toml");
    let weights = |route: usize| -> Vec<_> { config.routes[route].weights.iter().collect() };
    assert_eq!(weights(0), [("ecs", &30), ("ec2", &70)]);
    assert_eq!(weights(1), [("ecs", &5), ("ec2", &95)]);
}

#[test]
fn null_in_json_is_the_same_as_a_key_left_out() {
    let examples = examples();
    let (name, text) = examples
        .iter()
        .find(|(name, _)| name == "terraform.json")
        .unwrap();
    let loaded = loaded(&[(name, text)]);
    assert_eq!(loaded.config.unwrap().server.secret, None);
}
