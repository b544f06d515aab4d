//! From what was typed to what is told: one arm a verb.

mod ramp;
mod targets;

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::arguments::{
    Arguments, Change, Explain, FlagVerb, GuardVerb, HistoryVerb, Remote, Verb, Weights,
};
use super::ask::{Question, Show, ask};
use super::{Code, Outcome, Program, again, metrics, offline, plan, show, watch};
use crate::client::{Call, segment};
use crate::demo;

/// What a command may know of the world besides its arguments.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Admin APIs of the environment, as `--admin` takes them.
    pub admin: Option<String>,
    /// Bearer token of the environment.
    pub token: Option<String>,
    /// Whether to color.
    pub color: bool,
    /// Columns of the terminal, when standard output is one.
    pub width: Option<usize>,
    /// The present moment.
    pub now: Timestamp,
    /// How this program was called.
    pub called: String,
}

/// Carries out a command line.
pub fn execute(arguments: Arguments, program: &Program, surroundings: &Surroundings) -> Outcome {
    let Arguments { verb, remote } = arguments;
    let question = match verb {
        Verb::Run {
            config,
            upgrade: false,
        } => return quiet((program.run)(&config)),
        Verb::Run {
            config,
            upgrade: true,
        } => return quiet((program.upgrade)(&config)),
        Verb::Demo(options) => return demo::demo(&options, program.run, surroundings),
        Verb::Check { file } => return offline::check(program, &file, remote.json),
        Verb::Schema => return Outcome::done(offline::pretty(&(program.schema)())),
        Verb::Metrics { format, state } => {
            let plain = Remote {
                json: false,
                ..remote.clone()
            };
            let asked = ask(
                look(Call::get("/metrics"), Show::Metrics),
                &plain,
                surroundings,
            );
            return metrics::told(asked, format, state.as_ref(), &remote, surroundings);
        }
        Verb::Plan(plan) => return plan::plan(program, &plan, remote.json, surroundings),
        Verb::Completions { shell } => return offline::completions(Arguments::command(), shell),
        Verb::Man => return offline::manual(Arguments::command()),
        Verb::History {
            verb:
                Some(HistoryVerb::Verify {
                    path,
                    state_dir,
                    config,
                }),
            ..
        } => {
            let place = path.or(state_dir);
            return offline::verify(program, place.as_deref(), &config, remote.json);
        }
        Verb::Guard {
            verb:
                GuardVerb::Replay {
                    route,
                    state_dir,
                    config,
                },
        } => {
            let (folder, route) = (state_dir.as_deref(), route.as_deref());
            return offline::replay(program, folder, &config, route, remote.json);
        }
        Verb::Ramp { verb } => return ramp::execute(verb, program, &remote, surroundings),
        Verb::Explain(explain) => match (&explain.request_id, &explain.config) {
            (Some(id), _) => {
                return again::explain(program, &explain, id, remote.json, surroundings);
            }
            (None, Some(file)) => {
                let question = question_of(&explain);
                return explain_file(program, file, &question, remote.json, surroundings);
            }
            (None, None) => self::explain(&explain),
        },
        Verb::Status {
            route,
            watch: seconds,
        } => {
            let question = || status(route.as_deref());
            if let Some(seconds) = seconds {
                let every = Duration::from_secs(seconds);
                return watch::watch(question, every, &remote, surroundings);
            }
            question()
        }
        Verb::Weights(weights) => self::weights(weights),
        Verb::Rollback { route, change } => rollback(route, change),
        Verb::Resume { route, change } => on_route(&route, "resume", change, Show::Resumed),
        Verb::Drain {
            route,
            pool,
            force,
            change,
        } => forced(drain(&route, pool, change), force),
        Verb::History { limit, verb: None } => history(limit),
        Verb::Restore {
            revision,
            force,
            change,
        } => restore(revision, force, change),
        Verb::Reshuffle {
            route,
            force,
            change,
        } => forced(
            on_route(&route, "reshuffle", change, Show::Reshuffled),
            force,
        ),
        Verb::Reload { change } => reload(change),
        Verb::Flag {
            verb:
                FlagVerb::Mint {
                    route,
                    flag,
                    expires,
                },
        } => mint(&route, &flag, &expires),
        Verb::Targets { verb } => targets::question(verb),
    };
    ask(question, &remote, surroundings)
}

fn explain(explain: &Explain) -> Question {
    let call = Call::send(Method::POST, "/api/v1/explain", question_of(explain));
    look(call, Show::Explanation)
}

fn status(route: Option<&str>) -> Question {
    match route {
        Some(route) => one_route(route),
        None => look(Call::get("/api/v1/status"), Show::Status),
    }
}

fn history(limit: u32) -> Question {
    let call = Call::get(format!("/api/v1/history?limit={limit}"));
    look(call, Show::History)
}

fn reload(change: Change) -> Question {
    let path = "/api/v1/reload".to_owned();
    changing(Method::POST, path, Map::new(), change, Show::Reloaded)
}

fn quiet(code: Code) -> Outcome {
    Outcome {
        code,
        ..Outcome::done(String::new())
    }
}

fn look(call: Call, show: Show) -> Question {
    Question {
        call,
        show,
        changing: false,
        about: None,
        beside: None,
    }
}

fn one_route(route: &str) -> Question {
    let call = Call::get(format!("/api/v1/routes/{}", segment(route)));
    Question {
        beside: Some("pools"),
        ..look(call, Show::Route)
    }
}

fn weights(weights: Weights) -> Question {
    let Weights {
        route,
        weights,
        force,
        change,
    } = weights;
    if weights.is_empty() {
        return one_route(&route);
    }
    let asked: Map<String, Value> = weights
        .into_iter()
        .map(|one| (one.pool, one.weight.into()))
        .collect();
    let body = Map::from_iter([("weights".to_owned(), Value::Object(asked))]);
    let path = format!("/api/v1/routes/{}/weights", segment(&route));
    let question = changing(Method::PUT, path, body, change, Show::Weights);
    forced(
        Question {
            about: Some(route),
            ..question
        },
        force,
    )
}

fn rollback(route: Option<String>, change: Change) -> Question {
    match route {
        Some(route) => on_route(&route, "rollback", change, Show::Rollback),
        None => {
            let path = "/api/v1/rollback".into();
            changing(Method::POST, path, Map::new(), change, Show::Rollback)
        }
    }
}

fn drain(route: &str, pool: String, change: Change) -> Question {
    let path = format!("/api/v1/routes/{}/drain", segment(route));
    let body = Map::from_iter([("pool".to_owned(), pool.into())]);
    Question {
        about: Some(route.to_owned()),
        ..changing(Method::POST, path, body, change, Show::Weights)
    }
}

fn mint(route: &str, flag: &str, expires: &str) -> Question {
    let path = format!("/api/v1/routes/{}/flags", segment(route));
    let body = json!({"flag": flag, "expires": expires});
    look(Call::send(Method::POST, path, body), Show::Minted)
}

fn restore(revision: u64, force: bool, change: Change) -> Question {
    let body = Map::from_iter([("revision".to_owned(), revision.into())]);
    let path = "/api/v1/restore".into();
    forced(
        changing(Method::POST, path, body, change, Show::Restored),
        force,
    )
}

fn on_route(route: &str, verb: &str, change: Change, show: Show) -> Question {
    let path = format!("/api/v1/routes/{}/{verb}", segment(route));
    let question = changing(Method::POST, path, Map::new(), change, show);
    Question {
        about: Some(route.to_owned()),
        ..question
    }
}

fn changing(
    method: Method,
    path: String,
    mut body: Map<String, Value>,
    change: Change,
    show: Show,
) -> Question {
    if let Some(reason) = change.reason {
        body.insert("reason".into(), reason.into());
    }
    if change.dry_run {
        body.insert("dry_run".into(), true.into());
    }
    let call = Call {
        if_revision: change.if_revision,
        ..Call::send(method, path, Value::Object(body))
    };
    Question {
        call,
        show,
        changing: true,
        about: None,
        beside: None,
    }
}

fn forced(mut question: Question, force: bool) -> Question {
    if let Some(Value::Object(body)) = question.call.body.as_mut().filter(|_| force) {
        body.insert("force".into(), true.into());
    }
    question
}

fn question_of(explain: &Explain) -> Value {
    let mut headers: Vec<Value> = explain
        .headers
        .iter()
        .map(|field| json!([field.name, field.value]))
        .collect();
    if !explain.cookies.is_empty() {
        headers.push(json!(["Cookie", explain.cookies.join("; ")]));
    }
    let mut question = json!({"method": explain.method, "url": explain.url, "headers": headers});
    if let Some(from) = explain.from {
        question["client_ip"] = from.to_string().into();
    }
    question
}

fn explain_file(
    program: &Program,
    file: &Path,
    question: &Value,
    json: bool,
    surroundings: &Surroundings,
) -> Outcome {
    match (program.explain)(file, question) {
        Ok(answer) if json => Outcome::done(offline::pretty(&answer)),
        Ok(answer) => Outcome::done(show::explanation(&answer, surroundings)),
        Err(invalid) => offline::invalid(file, &invalid, json),
    }
}
