//! `kanaria metrics`: what a router counts, as it tells it, as JSON, or as Mackerel's agent reads it.

mod exposition;
mod mackerel;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::arguments::Remote;
use super::execute::Surroundings;
use super::{Code, Outcome, offline};
use exposition::Sample;

/// How metrics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Lines of `name value time` for a plugin of Mackerel's agent.
    Mackerel,
    /// As `/metrics` has them.
    Prometheus,
}

/// What was counted when Mackerel asked last.
#[derive(Default, Deserialize, Serialize)]
struct Past {
    /// Seconds since 1970.
    time: i64,
    /// Values of everything that only grows, by series.
    values: BTreeMap<String, f64>,
}

/// What became of `/metrics` in `form`. `state` is the file of what was counted the last time.
pub(super) fn told(
    asked: Outcome,
    form: Form,
    state: Option<&PathBuf>,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Outcome {
    if asked.code != Code::Done {
        return asked;
    }
    let samples = exposition::read(&asked.out);
    let out = match form {
        _ if remote.json => Ok(offline::pretty(&json!(samples))),
        Form::Prometheus => return asked,
        Form::Mackerel => for_mackerel(&samples, state.map(PathBuf::as_path), surroundings.now),
    };
    match out {
        Ok(out) => Outcome { out, ..asked },
        Err(complaint) => Outcome::failed(Code::Failed, &complaint),
    }
}

/// Mackerel draws what it is told, so what only grows is told as what it grew by in a minute.
fn for_mackerel(
    samples: &[Sample],
    state: Option<&Path>,
    now: Timestamp,
) -> Result<String, String> {
    let Some(state) = state else {
        return Ok(mackerel::lines(samples, None, now.as_second()));
    };
    let past: Option<Past> = fs::read(state)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let next = Past {
        time: now.as_second(),
        values: samples
            .iter()
            .filter(|sample| sample.grows())
            .map(|sample| (sample.series(), sample.value))
            .collect(),
    };
    let text = json!(next).to_string();
    fs::write(state, text).map_err(|error| format!("--state {}: {error}", state.display()))?;
    let past = past.unwrap_or_default();
    Ok(mackerel::lines(samples, Some(&past), now.as_second()))
}

#[cfg(test)]
mod tests;
