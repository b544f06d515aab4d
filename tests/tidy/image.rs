//! The image: what the Dockerfile copies is there, and is all that the build needs.

use super::{none, root, text};

#[test]
fn the_image_copies_what_is_there() {
    let dockerfile = text(&root().join("Dockerfile"));
    let mut stages = Vec::new();
    let mut found = Vec::new();
    for line in dockerfile.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["FROM", _, "AS", stage] => stages.push((*stage).to_owned()),
            ["COPY", from, ..] if from.starts_with("--from=") => {
                let stage = &from["--from=".len()..];
                if !stages.iter().any(|known| known == stage) {
                    found.push(format!("stage {stage}"));
                }
            }
            ["COPY", sources @ .., _] => {
                let missing = sources
                    .iter()
                    .filter(|source| !root().join(source).exists());
                found.extend(missing.map(|source| (*source).to_owned()));
            }
            _ => {}
        }
    }
    none("the Dockerfile copies what does not exist", &found);
    for part in ["USER", "HEALTHCHECK", "--release", "--locked", "ENTRYPOINT"] {
        assert!(dockerfile.contains(part), "Dockerfile: no {part}");
    }
}

#[test]
fn the_image_gets_every_source_of_the_build() {
    let dockerfile = text(&root().join("Dockerfile"));
    let manifest: toml::Table = text(&root().join("Cargo.toml")).parse().unwrap();
    let mut needed = vec![
        ".cargo",
        "Cargo.toml",
        "Cargo.lock",
        "canary",
        "config",
        "jar",
        "router",
    ];
    let targets = ["bench", "test", "example"];
    let paths = targets
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_array());
    let paths = paths
        .flatten()
        .filter_map(|target| target.get("path")?.as_str());
    needed.extend(paths.filter_map(|path| path.split('/').next()));
    let found: Vec<_> = needed
        .into_iter()
        .filter(|name| {
            !dockerfile
                .lines()
                .any(|line| line.starts_with("COPY") && line.contains(name))
        })
        .map(str::to_owned)
        .collect();
    none(
        "cargo needs these to read the manifest, the Dockerfile does not copy them",
        &found,
    );
}
