//! Tests of the reading as a whole: text in, configuration or problems out.

// Bad files, each with the message and the place it must get.
mod refused;
// Many files as one, and the environment.
mod sources;
// The shipped examples.
mod examples;
// Pages made from the types, compared with what is committed.
mod generated;
// Laws that hold for any text and any configuration.
mod laws;

use crate::load::{Loaded, Text, finish, load};
use crate::model::Config;
use crate::problem::Problem;

/// The least that is accepted.
const MINIMAL: &str = "version = 1\n[[listeners]]\nname = 'public'\nbind = '127.0.0.1:0'\n";

/// Reads files whose first is the main one; routing is judged elsewhere.
fn read(files: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    finish(loaded(files), |_| Ok(())).map(|(config, ())| config)
}

fn loaded(files: &[(&str, &str)]) -> Loaded {
    let text = |(name, text): &(&str, &str)| Text {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    let (main, included) = files.split_first().expect("tests give a main file");
    load(
        text(main),
        included.iter().map(text).collect(),
        &environment,
    )
}

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("10.0.0.9".to_owned()),
        _ => None,
    }
}
