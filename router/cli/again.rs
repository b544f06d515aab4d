//! `kanaria explain --request-id`: a line of the log, and the decision on its request once more.

use std::path::Path;

use serde_json::json;

use super::arguments::Explain;
use super::execute::Surroundings;
use super::plan::Unplanned;
use super::words::{clean, moment};
use super::{Code, Outcome, Program, offline, show};
use crate::plan::{Again, Logged};

/// Which line is looked for, and where.
#[derive(Debug)]
pub struct Lookup<'a> {
    /// `request_id` of the line.
    pub request_id: &'a str,
    /// The log; without one those of the file.
    pub log: Option<&'a Path>,
    /// The file.
    pub config: &'a Path,
}

/// Carries out `kanaria explain --request-id ID`.
pub(super) fn explain(
    program: &Program,
    explain: &Explain,
    request_id: &str,
    json: bool,
    surroundings: &Surroundings,
) -> Outcome {
    let config = explain.config.as_deref();
    let lookup = Lookup {
        request_id,
        log: explain.log.as_deref(),
        config: config.unwrap_or_else(|| Path::new("kanaria.toml")),
    };
    match (program.look_up)(&lookup) {
        Ok(again) if json => Outcome::done(offline::pretty(&json!(again))),
        Ok(again) => Outcome::done(text(&again, surroundings)),
        Err(Unplanned::Invalid(file, invalid)) => offline::invalid(&file, &invalid, json),
        Err(Unplanned::Failed(why)) => Outcome::failed(Code::Failed, &why),
    }
}

fn text(again: &Again, surroundings: &Surroundings) -> String {
    let Logged {
        time,
        revision,
        config_digest,
        ..
    } = &again.logged;
    let mut text = format!(
        "{}, revision {revision} of file {}\nlogged: {}\n\n",
        moment(time, surroundings.now),
        clean(config_digest),
        logged(&again.logged)
    );
    text.push_str(&show::explanation(&json!(again.explanation), surroundings));
    text.push_str(match again.agrees {
        true => "the same as logged\n",
        false => "NOT the same as logged\n",
    });
    for note in &again.notes {
        text.push_str(&format!("note: {}\n", clean(note)));
    }
    text
}

fn logged(logged: &Logged) -> String {
    let word = |text: &Option<String>| text.as_deref().map(clean);
    let Some(route) = word(&logged.route) else {
        return "no route".into();
    };
    let Some(pool) = word(&logged.pool) else {
        return format!("route {route} itself");
    };
    let reason = word(&logged.reason).unwrap_or_default();
    let bucket = logged.bucket;
    let bucket = bucket.map_or_else(String::new, |bucket| format!(", bucket {bucket}"));
    match word(&logged.served_by) {
        Some(other) => {
            format!("pool {pool} of route {route}{bucket}; served by {other}, reason {reason}")
        }
        None => format!("pool {pool} of route {route}, reason {reason}{bucket}"),
    }
}
