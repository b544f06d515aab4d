//! One question to every router that was named, and what is told of their answers.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::arguments::Remote;
use super::execute::Surroundings;
use super::{Code, Outcome, offline, show};
use crate::client::{self, Call, Credentials, Endpoint, Failure, Trust};

/// Where the admin API is when nobody says otherwise.
const DEFAULT_ADMIN: &str = "http://127.0.0.1:9900";

/// What is asked, and how its answer reads.
pub(super) struct Question {
    /// The call.
    pub(super) call: Call,
    /// How its answer reads.
    pub(super) show: Show,
    /// Whether it asks for a change.
    pub(super) changing: bool,
    /// The route or the pool it is about.
    pub(super) about: Option<String>,
    /// A part of the status that people want to see beside the answer.
    pub(super) beside: Option<&'static str>,
    /// Which answers fail the command although they are one.
    pub(super) fails: Option<fn(&Value) -> bool>,
}

/// How an answer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Cookies,
    Annotated,
    Comparison,
    Deregistered,
    Explanation,
    History,
    Metrics,
    Minted,
    Ramp,
    RampForecast,
    RampPlan,
    RampTurned,
    Registered,
    Reloaded,
    Report,
    Reshuffled,
    Restored,
    Resumed,
    Rollback,
    Route,
    Shadows,
    Status,
    Targets,
    Weights,
}

/// What one router said.
struct Reply {
    endpoint: Endpoint,
    result: Result<Value, Failure>,
}

/// Asks and tells.
pub(super) fn ask(question: Question, remote: &Remote, surroundings: &Surroundings) -> Outcome {
    let known = endpoints(remote, surroundings).and_then(|endpoints| {
        let credentials = credentials(remote, surroundings, &endpoints)?;
        Ok((endpoints, credentials))
    });
    let (endpoints, credentials) = match known {
        Ok(known) => known,
        Err(complaint) => return Outcome::failed(Code::Usage, &complaint),
    };
    // One thread: starting more would take longer than a rollback does.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let beside = question.beside.filter(|_| !remote.json);
    let replies = match runtime {
        Ok(runtime) => runtime.block_on(ask_all(&question.call, &endpoints, &credentials, beside)),
        Err(error) => return Outcome::failed(Code::Failed, &error.to_string()),
    };
    Outcome {
        code: code(&question, &replies),
        out: if remote.json {
            document(&replies)
        } else {
            text(&question, &replies, surroundings)
        },
        err: complaints(&question, &replies),
    }
}

/// All at the same time, so that a dead router delays no other; told in the order named.
async fn ask_all(
    call: &Call,
    endpoints: &[Endpoint],
    credentials: &Credentials,
    beside: Option<&'static str>,
) -> Vec<Reply> {
    let mut asked = JoinSet::new();
    for (position, endpoint) in endpoints.iter().cloned().enumerate() {
        let (call, credentials) = (call.clone(), credentials.clone());
        asked.spawn(async move {
            let result = ask_one(&endpoint, &credentials, call).await;
            let mut reply = Reply { endpoint, result };
            if let Some(part) = beside {
                look_beside(&mut reply, part, &credentials).await;
            }
            (position, reply)
        });
    }
    let mut replies = asked.join_all().await;
    replies.sort_by_key(|(position, _)| *position);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

async fn ask_one(
    endpoint: &Endpoint,
    credentials: &Credentials,
    call: Call,
) -> Result<Value, Failure> {
    let is_text = call.path == "/metrics";
    let text = client::ask(endpoint, credentials, call).await?;
    if is_text {
        return Ok(Value::String(text));
    }
    serde_json::from_str(&text).map_err(|_| Failure::NoAnswer {
        endpoint: endpoint.clone(),
        reason: "what it said is not JSON; is it an admin API?".into(),
    })
}

/// Adds `part` of the status to an answer; without it the answer is still one.
async fn look_beside(reply: &mut Reply, part: &str, credentials: &Credentials) {
    let Ok(Value::Object(answer)) = &mut reply.result else {
        return;
    };
    let status = ask_one(&reply.endpoint, credentials, Call::get("/api/v1/status")).await;
    if let Some(found) = status.ok().and_then(|status| status.get(part).cloned()) {
        answer.insert(part.to_owned(), found);
    }
}

/// The token, and what https takes where it is spoken.
fn credentials(
    remote: &Remote,
    surroundings: &Surroundings,
    endpoints: &[Endpoint],
) -> Result<Credentials, String> {
    let is_https = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Tcp { tls: true, .. });
    let trust = Trust {
        ca: remote.admin_ca.clone(),
        cert: remote.admin_cert.clone(),
        key: remote.admin_key.clone(),
    };
    let tls = endpoints.iter().any(is_https).then(|| trust.connector());
    Ok(Credentials {
        token: token(remote, surroundings)?,
        tls: tls.transpose()?,
    })
}

fn token(remote: &Remote, surroundings: &Surroundings) -> Result<Option<String>, String> {
    let Some(file) = &remote.token_file else {
        return Ok(surroundings.token.clone());
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("--token-file {}: {error}", file.display()))?;
    let token = text.trim();
    if token.is_empty() || http::HeaderValue::from_str(token).is_err() {
        return Err(format!("--token-file {}: holds no token", file.display()));
    }
    Ok(Some(token.to_owned()))
}

/// The routers that are asked.
pub(super) fn endpoints(
    remote: &Remote,
    surroundings: &Surroundings,
) -> Result<Vec<Endpoint>, String> {
    if !remote.admin.is_empty() {
        return Ok(remote.admin.clone());
    }
    let urls = surroundings.admin.as_deref().unwrap_or(DEFAULT_ADMIN);
    let read = urls.split(',').map(|url| {
        let url = url.trim();
        url.parse()
            .map_err(|error| format!("KANARIA_ADMIN `{url}`: {error}"))
    });
    read.collect()
}

fn code(question: &Question, replies: &[Reply]) -> Code {
    let mut codes = replies.iter().map(|reply| code_of(question, reply));
    match replies.len() {
        1 => codes.next().unwrap_or(Code::Done),
        _ if codes.all(|code| code == Code::Done) => Code::Done,
        _ => Code::Partial,
    }
}

fn code_of(question: &Question, reply: &Reply) -> Code {
    let reload = question.show == Show::Reloaded;
    let problem = match &reply.result {
        Ok(answer) if question.fails.is_some_and(|fails| fails(answer)) => return Code::Failed,
        Ok(_) => return Code::Done,
        Err(Failure::Unreachable { .. } | Failure::NoAnswer { .. }) => return Code::Unreachable,
        Err(Failure::Refused(problem)) => problem,
    };
    match problem.status.as_u16() {
        401 | 403 => Code::Denied,
        // A file that only needs a restart is valid.
        422 if reload && problem.kind() != "needs-restart" => Code::Invalid,
        _ => Code::Failed,
    }
}

/// One router's answer as it came; several in a list that says whose each is.
fn document(replies: &[Reply]) -> String {
    if let [reply] = replies {
        return offline::pretty(&match &reply.result {
            Ok(answer) => answer.clone(),
            Err(failure) => failure.document(),
        });
    }
    let list = replies.iter().map(|reply| {
        let admin = reply.endpoint.to_string();
        match &reply.result {
            Ok(answer) => json!({"admin": admin, "answer": answer}),
            Err(failure) => json!({"admin": admin, "problem": failure.document()}),
        }
    });
    offline::pretty(&Value::Array(list.collect()))
}

fn text(question: &Question, replies: &[Reply], surroundings: &Surroundings) -> String {
    let mut text = String::new();
    for Reply { endpoint, result } in replies {
        let Ok(answer) = result else {
            continue;
        };
        if replies.len() > 1 {
            text.push_str(&show::heading(&endpoint.to_string(), surroundings));
        }
        let about = question.about.as_deref();
        text.push_str(&show::answer(question.show, answer, about, surroundings));
    }
    text
}

fn complaints(question: &Question, replies: &[Reply]) -> String {
    let mut text = String::new();
    for Reply { endpoint, result } in replies {
        let Err(failure) = result else {
            continue;
        };
        let whose = match failure {
            Failure::Refused(_) if replies.len() > 1 => format!("{endpoint}: "),
            _ => String::new(),
        };
        let told = show::failure(failure, question.changing);
        text.push_str(&format!("kanaria: {whose}{told}"));
    }
    text
}

#[cfg(test)]
pub(super) mod tests;
