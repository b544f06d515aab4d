//! `docs/config.md`, `docs/config.schema.json` and `docs/scenarios.md` say what the types say.

use std::path::Path;

use crate::reference::{reference, scenarios};
use crate::schema::schema;

#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the committed page is a file, and writing it anew is asked for in the environment"
)]
fn check(file: &str, generated: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let path = docs.join(file);
    if std::env::var("KANARIA_BLESS").is_ok() {
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/{file} is out of date; write it anew with KANARIA_BLESS=1 cargo test -p config"
    );
}

#[test]
fn the_reference_page_is_what_the_types_say() {
    check("config.md", &reference());
}

#[test]
fn the_page_of_scenarios_is_what_the_types_say() {
    check("scenarios.md", &scenarios());
}

#[test]
fn the_published_schema_is_what_the_types_say() {
    let text = serde_json::to_string_pretty(&schema()).unwrap();
    check("config.schema.json", &(text + "\n"));
}
