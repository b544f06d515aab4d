//! `kanaria metrics`: what a router counts, as it tells it, as JSON, or as Mackerel's agent reads it.

mod exposition;
mod mackerel;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arguments::Remote;
use super::ask::{Show, ask, endpoints};
use super::execute::{Surroundings, look};
use super::{Code, Outcome, offline};
use crate::client::Call;
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

/// Carries out `kanaria metrics`. `state` is the file of what was counted the last time.
pub(super) fn metrics(
    format: Form,
    state: Option<&Path>,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Outcome {
    if let Err(complaint) = sensible(format, state, remote, surroundings) {
        return Outcome::failed(Code::Usage, &complaint);
    }
    let question = look(Call::get("/metrics"), Show::Metrics);
    let asked = ask(question, remote, surroundings);
    if remote.json {
        let out = document(&asked.out);
        return Outcome { out, ..asked };
    }
    if asked.code != Code::Done || format == Form::Prometheus {
        return asked;
    }
    match for_mackerel(&exposition::read(&asked.out), state, surroundings.now) {
        Ok(out) => Outcome { out, ..asked },
        Err(complaint) => Outcome::failed(Code::Failed, &complaint),
    }
}

/// What would be told as something else than it is, or not at all, is not asked for.
fn sensible(
    format: Form,
    state: Option<&Path>,
    remote: &Remote,
    surroundings: &Surroundings,
) -> Result<(), String> {
    if state.is_some() && (remote.json || format != Form::Mackerel) {
        return Err(
            "--state is for --format mackerel: all else tells what is counted so far".into(),
        );
    }
    let n_routers = endpoints(remote, surroundings)?.len();
    if n_routers > 1 && !remote.json {
        return Err(format!(
            "the metrics of {n_routers} routers are told apart with --json only; for lines name one with --admin"
        ));
    }
    Ok(())
}

/// The answer of one router as samples, or those of several, each with whose it is; what is no answer stays.
fn document(asked: &str) -> String {
    let mut document: Value = serde_json::from_str(asked).unwrap_or_default();
    match &mut document {
        Value::Array(replies) => {
            let answers = replies.iter_mut().filter_map(|it| it.get_mut("answer"));
            answers.for_each(read);
        }
        answer => read(answer),
    }
    offline::pretty(&document)
}

fn read(answer: &mut Value) {
    if let Value::String(text) = answer {
        *answer = json!(exposition::read(text));
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
