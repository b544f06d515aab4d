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
    Annotate, Arguments, AuditVerb, Change, Cookies, Drain, Explain, FailOn, FlagVerb, GuardVerb,
    HistoryVerb, Remote, Reshuffle, Restore, Shadow, ShadowVerb, Unwanted, Verb, Weights,
};
use super::ask::{Question, Show, ask};
use super::{
    Code, Outcome, Program, again, metrics, offline, plan, rerun, session, show, simulate, watch,
};
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
        Verb::Run { config, upgrade } => return run(program, &config, upgrade),
        Verb::Demo(options) => return demo::demo(&options, program.run, surroundings),
        Verb::Check { file } => return offline::check(program, &file, remote.json),
        Verb::Schema => return Outcome::done(offline::pretty(&(program.schema)())),
        Verb::Metrics { format, state } => {
            return metrics::metrics(format, state.as_deref(), &remote, surroundings);
        }
        Verb::Plan(plan) => return plan::plan(program, &plan, remote.json, surroundings),
        Verb::Simulate(simulate) => {
            return simulate::simulate(program, &simulate, remote.json, surroundings);
        }
        Verb::Completions { shell } => return offline::completions(Arguments::command(), shell),
        Verb::Man => return offline::manual(Arguments::command()),
        Verb::History {
            verb: Some(verb), ..
        } => return verify(verb, program, remote.json),
        Verb::Guard { verb } => return replay(verb, program, remote.json),
        Verb::Ramp { verb } => return ramp::execute(verb, program, &remote, surroundings),
        Verb::Explain(explain) => match explained(&explain, program, remote.json, surroundings) {
            Some(outcome) => return outcome,
            None => self::explain(&explain),
        },
        Verb::Audit {
            verb: AuditVerb::Session(session),
        } => return session::session(program, &session, &remote, surroundings),
        Verb::Cookies(cookies) => self::cookies(&cookies),
        Verb::Status {
            route,
            watch: Some(seconds),
        } => {
            let every = Duration::from_secs(seconds);
            return watch::watch(|| status(route.as_deref()), every, &remote, surroundings);
        }
        Verb::Status { route, watch: None } => status(route.as_deref()),
        Verb::Compare { route, window } => compare(&route, window),
        Verb::Weights(weights) => self::weights(weights),
        Verb::Rollback { route, change } => rollback(route, change),
        Verb::Resume { route, change } => on_route(&route, "resume", change, Show::Resumed),
        Verb::Drain(drain) => self::drain(drain),
        Verb::History { limit, verb: None } => history(limit),
        Verb::Report { route } => report(&route),
        Verb::Annotate(annotate) => self::annotate(annotate),
        Verb::Restore(restore) => self::restore(restore),
        Verb::Reshuffle(reshuffle) => self::reshuffle(reshuffle),
        Verb::Reload { change } => reload(change),
        Verb::Flag { verb } => mint(verb),
        Verb::Targets { verb } => targets::question(verb),
        Verb::Shadow(Shadow {
            verb: Some(ShadowVerb::Run(rerun)),
            ..
        }) => return rerun::rerun(program, &rerun, remote.json),
        Verb::Shadow(asked) => shadow(&asked),
    };
    ask(question, &remote, surroundings)
}

fn run(program: &Program, config: &Path, upgrade: bool) -> Outcome {
    quiet(if upgrade {
        (program.upgrade)(config)
    } else {
        (program.run)(config)
    })
}

fn verify(verb: HistoryVerb, program: &Program, json: bool) -> Outcome {
    let HistoryVerb::Verify {
        path,
        state_dir,
        config,
    } = verb;
    let place = path.or(state_dir);
    offline::verify(program, place.as_deref(), &config, json)
}

fn replay(verb: GuardVerb, program: &Program, json: bool) -> Outcome {
    let GuardVerb::Replay {
        route,
        state_dir,
        config,
    } = verb;
    let (folder, route) = (state_dir.as_deref(), route.as_deref());
    offline::replay(program, folder, &config, route, json)
}

/// What can be explained without a router.
fn explained(
    explain: &Explain,
    program: &Program,
    json: bool,
    surroundings: &Surroundings,
) -> Option<Outcome> {
    if let Some(id) = &explain.request_id {
        return Some(again::explain(program, explain, id, json, surroundings));
    }
    let file = explain.config.as_ref()?;
    let question = question_of(explain);
    Some(explain_file(program, file, &question, json, surroundings))
}

fn explain(explain: &Explain) -> Question {
    let call = Call::send(Method::POST, "/api/v1/explain", question_of(explain));
    look(call, Show::Explanation)
}

fn cookies(cookies: &Cookies) -> Question {
    let path = match &cookies.route {
        Some(route) => format!("/api/v1/routes/{}/cookies", segment(route)),
        None => "/api/v1/cookies".into(),
    };
    let fails = |FailOn::Conflict| show::conflict as fn(&Value) -> bool;
    Question {
        fails: cookies.fail_on.map(fails),
        ..look(Call::get(path), Show::Cookies)
    }
}

fn status(route: Option<&str>) -> Question {
    match route {
        Some(route) => one_route(route),
        None => look(Call::get("/api/v1/status"), Show::Status),
    }
}

fn shadow(asked: &Shadow) -> Question {
    let call = match &asked.route {
        Some(route) => Call::get(format!("/api/v1/routes/{}/shadow", segment(route))),
        None => Call::get("/api/v1/shadows"),
    };
    let fails = |Unwanted::Diff| show::shadow::differs as fn(&Value) -> bool;
    Question {
        fails: asked.fail_on.map(fails),
        ..look(call, Show::Shadows)
    }
}

fn annotate(annotate: Annotate) -> Question {
    let mut body = Map::from_iter([("text".to_owned(), annotate.text.into())]);
    body.extend(
        annotate
            .route
            .map(|route| ("route".to_owned(), route.into())),
    );
    let path = "/api/v1/annotations".to_owned();
    changing(Method::POST, path, body, annotate.change, Show::Annotated)
}

fn compare(route: &str, window: config::units::Duration) -> Question {
    let route = segment(route);
    let call = Call::get(format!("/api/v1/routes/{route}/compare?window={window}"));
    look(call, Show::Comparison)
}

fn history(limit: u32) -> Question {
    let call = Call::get(format!("/api/v1/history?limit={limit}"));
    look(call, Show::History)
}

fn report(route: &str) -> Question {
    let call = Call::get(format!("/api/v1/routes/{}/report", segment(route)));
    look(call, Show::Report)
}

fn reload(change: Change) -> Question {
    let path = "/api/v1/reload".to_owned();
    Question {
        fails: Some(show::holds),
        ..changing(Method::POST, path, Map::new(), change, Show::Reloaded)
    }
}

fn quiet(code: Code) -> Outcome {
    Outcome {
        code,
        ..Outcome::done(String::new())
    }
}

pub(super) fn look(call: Call, show: Show) -> Question {
    Question {
        call,
        show,
        changing: false,
        about: None,
        beside: None,
        fails: None,
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

fn drain(drain: Drain) -> Question {
    let Drain {
        route,
        pool,
        force,
        change,
    } = drain;
    let path = format!("/api/v1/routes/{}/drain", segment(&route));
    let body = Map::from_iter([("pool".to_owned(), pool.into())]);
    let question = changing(Method::POST, path, body, change, Show::Weights);
    forced(
        Question {
            about: Some(route),
            ..question
        },
        force,
    )
}

fn mint(verb: FlagVerb) -> Question {
    let FlagVerb::Mint {
        route,
        flag,
        expires,
    } = verb;
    let path = format!("/api/v1/routes/{}/flags", segment(&route));
    let body = json!({"flag": flag, "expires": expires});
    look(Call::send(Method::POST, path, body), Show::Minted)
}

fn restore(restore: Restore) -> Question {
    let body = Map::from_iter([("revision".to_owned(), restore.revision.into())]);
    let path = "/api/v1/restore".into();
    let question = changing(Method::POST, path, body, restore.change, Show::Restored);
    forced(question, restore.force)
}

fn reshuffle(reshuffle: Reshuffle) -> Question {
    let Reshuffle {
        route,
        force,
        change,
    } = reshuffle;
    let question = on_route(&route, "reshuffle", change, Show::Reshuffled);
    forced(question, force)
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
        fails: None,
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
