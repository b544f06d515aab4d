//! `kanaria guard replay`.

use std::path::Path;

use serde_json::json;

use super::super::words::{clean, count};
use super::super::{Code, Outcome, Program, Replayed};
use super::{invalid, pretty};

/// Makes the evidence in `folder`, or in the `state_dir` that `config` names, again.
pub(in crate::cli) fn replay(
    program: &Program,
    folder: Option<&Path>,
    config: &Path,
    route: Option<&str>,
    json: bool,
) -> Outcome {
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => match (program.state_dir)(config) {
            Ok(folder) => folder,
            Err(error) => return invalid(config, &error, json),
        },
    };
    let replayed = match (program.replay)(&folder, route) {
        Ok(replayed) => replayed,
        Err(why) => return Outcome::failed(Code::Failed, &clean(&why)),
    };
    let code = if replayed.iter().all(|route| route.ok) {
        Code::Done
    } else {
        Code::Failed
    };
    let out = if json {
        pretty(&json!(replayed))
    } else {
        replayed.iter().map(told).collect()
    };
    Outcome {
        code,
        out,
        err: String::new(),
    }
}

fn told(replayed: &Replayed) -> String {
    let word = if replayed.ok {
        "the same as written"
    } else {
        "NOT what was written"
    };
    let mut text = format!(
        "{}: {word}: {} in {}, largest difference {:.1e}\n",
        clean(&replayed.route),
        count(replayed.verdicts as usize, "verdict"),
        count(replayed.windows as usize, "window"),
        replayed.largest_difference,
    );
    for trip in &replayed.trips {
        text.push_str(&format!("  tripped: {}\n", clean(trip)));
    }
    text
}
