//! The house: arrows, pure files, lengths, documents.
//!
//! Reads the repository's own text; what clippy can check is left to clippy.

mod image;

use std::fs;
use std::path::{Path, PathBuf};

/// Whom a module of the router may name, besides itself and `config`; `run`, `plane`, `accept` and the command line
/// put the parts together and are free to name them.
const MAY: &[(&str, &[&str])] = &[
    ("access_log", &["metrics", "record"]),
    ("action", &["record", "respond"]),
    ("audit", &["dial"]),
    ("admin", &["control", "diff", "journal", "state", "tls"]),
    ("caller", &["peer"]),
    ("cap", &[]),
    ("capture", &["caller"]),
    ("clients", &[]),
    ("compare", &["control", "tally"]),
    ("control", &["diff", "journal", "publish", "state"]),
    ("cookies", &["control", "crumbs", "metrics"]),
    ("crumbs", &[]),
    ("dial", &[]),
    ("diff", &[]),
    ("discovery", &["pool", "source"]),
    ("evict", &["accept", "pool"]),
    ("forward", &["cap", "pool", "record"]),
    ("forwarded", &[]),
    ("guard", &["control", "metrics", "witness"]),
    ("handover", &[]),
    ("hygiene", &["record"]),
    ("identify", &[]),
    ("journal", &[]),
    ("metrics", &["clients", "pool", "record", "tally"]),
    ("peer", &[]),
    ("plan", &[]),
    ("pool", &[]),
    (
        "proxy",
        &[
            "accept",
            "action",
            "clients",
            "crumbs",
            "entropy",
            "forward",
            "forwarded",
            "identify",
            "peer",
            "pool",
            "publish",
            "record",
            "request_id",
            "shadow",
            "stamp",
            "tls",
            "trace",
            "witness",
        ],
    ),
    (
        "publish",
        &["cap", "crumbs", "pool", "shadow", "trace", "witness"],
    ),
    ("ramp", &["control", "metrics"]),
    ("record", &["access_log", "metrics"]),
    ("respond", &[]),
    ("rerun", &["caller"]),
    (
        "shadow",
        &["caller", "cap", "capture", "diff", "metrics", "pool"],
    ),
    (
        "simulate",
        &[
            "cap", "control", "entropy", "guard", "ramp", "record", "witness",
        ],
    ),
    ("stamp", &[]),
    ("state", &["journal"]),
    ("tally", &["record", "witness"]),
    ("tls", &[]),
    (
        "trace",
        &["client", "dial", "metrics", "record", "request_id"],
    ),
    ("webhooks", &["client", "control", "dial", "metrics"]),
    ("witness", &["record"]),
];

/// Policies of the request path: plain values and header bytes, never pingora's types.
const POLICIES: &[&str] = &[
    "action",
    "cap",
    "clients",
    "crumbs",
    "diff",
    "hygiene",
    "identify",
    "request_id",
    "forward",
    "forwarded",
    "stamp",
    "respond",
    "refuse",
    "shadow",
    "pool",
    "record",
    "access_log",
    "tally",
    "tls",
    "trace",
    "witness",
];

/// Folders of sources, tests among them.
const SOURCES: [&str; 6] = [
    "canary/src",
    "config/src",
    "jar/src",
    "router",
    "benches",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends in one of `kinds`.
fn files(folder: &str, kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "corpus" | ".git" | "artifacts") {
                    open.push(path);
                }
            } else if kinds.iter().any(|kind| name.ends_with(kind)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Every file below `folder` that is part of the program: modules that only tests have are left out.
fn program_files(folder: &str) -> Vec<PathBuf> {
    let all = files(folder, &[".rs"]);
    let of_tests: Vec<PathBuf> = all.iter().flat_map(|path| test_modules(path)).collect();
    all.into_iter()
        .filter(|path| !of_tests.iter().any(|module| path.starts_with(module)))
        .collect()
}

/// The modules that the file at `path` declares for tests alone: a file each, and a folder of the same name.
fn test_modules(path: &Path) -> Vec<PathBuf> {
    let name = path.file_stem().unwrap_or_default();
    let below = match name.to_str() {
        Some("lib" | "main") => path.parent().expect("a file has a folder").to_owned(),
        _ => path.with_extension(""),
    };
    let all = text(path);
    let declared = all.lines().zip(all.lines().skip(1));
    declared
        .filter(|(above, _)| above.trim() == "#[cfg(test)]")
        .filter_map(|(_, line)| line.split_once("mod ")?.1.strip_suffix(';'))
        .flat_map(|module| [below.join(module), below.join(format!("{module}.rs"))])
        .collect()
}

/// The lines before the unit tests, which come last in a file; a test module in a file of its own ends nothing.
fn program(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && !pair[1].ends_with(';');
    let end = lines.windows(2).position(opens_tests);
    let n_lines = end.unwrap_or(lines.len());
    lines.into_iter().take(n_lines)
}

/// The first folder or file name below `router/`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(root().join("router")).unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_arrows_of_the_house_hold() {
    let mut wrong = Vec::new();
    for path in program_files("router") {
        let from = module(&path);
        let Some((_, may)) = MAY.iter().find(|(module, _)| *module == from) else {
            continue;
        };
        for line in program(&text(&path)).filter(|line| !line.trim_start().starts_with("//")) {
            let mut named = names(line);
            if named.any(|to| to != from && !may.contains(&to)) {
                wrong.push(format!("{}: {}", shown(&path), line.trim()));
            }
        }
    }
    none("arrows that must not be", &wrong);
}

/// The router's modules that `line` names by path.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices("crate::").flat_map(move |(at, root)| {
        let rest = &line[at + root.len()..];
        let list = rest.strip_prefix('{');
        let items = list.map_or(rest, |list| list.split('}').next().unwrap_or(list));
        let n_items = if list.is_some() { usize::MAX } else { 1 };
        let items = items.split(',').take(n_items);
        items.filter_map(move |item| item.trim().split(|letter| !is_word(letter)).next())
    })
}

#[test]
fn policies_know_no_pingora() {
    let found: Vec<_> = program_files("router")
        .into_iter()
        .filter(|path| POLICIES.contains(&module(path).as_str()))
        .filter(|path| program(&text(path)).any(|line| line.contains("pingora_")))
        .map(|path| shown(&path))
        .collect();
    none("policies over pingora's types", &found);
}

#[test]
fn what_decides_is_pure() {
    let banned = [
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "Instant::now",
        "SystemTime::now",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "println!",
        "eprintln!",
        "rand::",
        "tokio",
        "pingora",
        "router::",
    ];
    let mut found = Vec::new();
    for path in ["canary/src", "config/src", "jar/src"]
        .map(program_files)
        .concat()
    {
        for line in program(&text(&path)).filter(|line| !line.trim_start().starts_with("//")) {
            if banned.iter().any(|word| line.contains(word)) {
                found.push(format!("{}: {}", shown(&path), line.trim()));
            }
        }
    }
    none("canary, config or jar touches the outside", &found);
}

#[test]
fn what_decides_depends_on_little() {
    depends_on("canary", &["serde"]);
    depends_on("jar", &[]);
    let allowed = [
        "base64",
        "foldhash",
        "hmac",
        "http",
        "ipnet",
        "jiff",
        "memchr",
        "regex",
        "schemars",
        "serde",
        "serde_json",
        "sha2",
        "siphasher",
        "thiserror",
        "toml",
    ];
    depends_on("config", &allowed);
}

#[track_caller]
fn depends_on(package: &str, allowed: &[&str]) {
    let manifest = root().join(package).join("Cargo.toml");
    let manifest: toml::Table = text(&manifest).parse().unwrap();
    let names = manifest["dependencies"].as_table().unwrap().keys();
    let found: Vec<_> = names
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| format!("{package}: {name}"))
        .collect();
    none("dependencies that a task does not need", &found);
}

#[test]
fn files_stay_readable() {
    let mut found = Vec::new();
    for folder in SOURCES {
        for path in files(folder, &[".rs"]) {
            let all = text(&path);
            let lines = program(&all).count();
            if lines > 500 {
                found.push(format!("{}: {lines} lines, at most 500", shown(&path)));
            }
            if !all.starts_with("//!") && !all.starts_with("#!") {
                found.push(format!("{}: does not say what it is", shown(&path)));
            }
        }
    }
    none("files to split or to introduce", &found);
}

#[test]
fn nothing_is_silenced_or_left_for_later() {
    let words = [
        "#[allow",
        "#![allow",
        "#[ignore",
        "#[should_panic",
        concat!("to", "do!("),
        "unimplemented!(",
    ];
    let mut found = Vec::new();
    for folder in SOURCES {
        for path in files(folder, &[".rs"]) {
            for line in text(&path).lines() {
                let code = line.trim_start();
                if words.iter().any(|word| code.starts_with(word)) {
                    found.push(format!("{}: {code}", shown(&path)));
                }
            }
        }
    }
    none("lints silenced, tests switched off, work left", &found);
}

#[test]
fn every_shipped_example_is_listed_where_users_look() {
    let readers = [
        text(&root().join("README.md")),
        text(&root().join("docs/operations.md")),
    ]
    .concat();
    let found: Vec<_> = files("config/examples", &[".toml", ".json"])
        .into_iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| !readers.contains(name.as_str()))
        .collect();
    none(
        "examples that neither README.md nor docs/operations.md names",
        &found,
    );
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut found = Vec::new();
    let mut documents = files("docs", &[".md"]);
    documents
        .extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for document in documents {
        let all = text(&document);
        for (at, _) in all.match_indices("](") {
            let link = all[at + 2..].split([')', '#']).next().unwrap_or_default();
            let outside = link.is_empty() || link.contains("://");
            if !outside && !document.parent().unwrap().join(link).exists() {
                found.push(format!("{}: {link}", shown(&document)));
            }
        }
    }
    none("links that lead nowhere", &found);
}

#[test]
fn what_is_deployed_is_listed_and_calls_what_there_is() {
    let page = text(&root().join("docs/deploy/README.md"));
    let binary = text(&root().join("Dockerfile"));
    let mut found = Vec::new();
    for path in files("docs/deploy", &[".service", ".socket", ".json", ".yaml"]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !page.contains(&format!("({name})")) {
            found.push(format!("{name} is not listed"));
        }
        let all = text(&path);
        if name.ends_with(".json") && serde_json::from_str::<serde_json::Value>(&all).is_err() {
            found.push(format!("{name} is not JSON"));
        }
        let calls = name.ends_with(".service") || name == "ecs-task.json";
        if calls
            && !(all.contains("/usr/local/bin/kanaria")
                && binary.contains("/usr/local/bin/kanaria"))
        {
            found.push(format!(
                "{name} does not call the binary where it is installed"
            ));
        }
    }
    none("files of docs/deploy", &found);
}

#[test]
fn the_code_map_names_every_module() {
    let map = text(&root().join("ARCHITECTURE.md"));
    let mut found = Vec::new();
    for path in files("router", &[".rs"]) {
        let module = module(&path);
        if !matches!(module.as_str(), "lib" | "main") && !map.contains(&format!("`{module}`")) {
            found.push(module);
        }
    }
    found.dedup();
    none("modules that ARCHITECTURE.md does not name", &found);
}

#[test]
fn the_short_documents_are_short() {
    for (name, bound) in [("README.md", 150), ("ARCHITECTURE.md", 250)] {
        let lines = text(&root().join(name)).lines().count();
        assert!(lines <= bound, "{name}: {lines} lines, at most {bound}");
    }
}

#[test]
fn the_workspace_rules_apply_to_every_package() {
    for name in [
        "Cargo.toml",
        "canary/Cargo.toml",
        "config/Cargo.toml",
        "jar/Cargo.toml",
    ] {
        let manifest: toml::Table = text(&root().join(name)).parse().unwrap();
        assert_eq!(
            manifest["lints"]["workspace"].as_bool(),
            Some(true),
            "{name}"
        );
    }
}
