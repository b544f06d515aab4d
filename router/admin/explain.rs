//! Calls that try something without doing it: check a file, explain where a request would go.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::Response;
use config::facts::Facts;
use config::ids::ListenerId;
use config::model::Role;
use config::snapshot::{Snapshot, Structure};
use serde::Serialize;
use serde_json::Value;

use super::body::{self, Fields, LARGE, SMALL};
use super::guard::Caller;
use super::openapi::{CheckBody, ExplainBody};
use super::{Problem, Shared, tagged};
use crate::control::{Invalid, Rejection};

/// A file that would be taken.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    /// Always true: a file with problems is answered 422.
    ok: bool,
    /// First 12 hex digits of SHA-256 of its meaning.
    config_digest: String,
    /// Names of its listeners.
    listeners: Vec<String>,
    /// Names of its pools.
    pools: Vec<String>,
    /// Names of its routes.
    routes: Vec<String>,
}

impl Checked {
    fn new(structure: &Structure) -> Self {
        let names = |names: &mut dyn Iterator<Item = &Arc<str>>| {
            names.map(|name| name.to_string()).collect::<Vec<_>>()
        };
        Self {
            ok: true,
            config_digest: structure.digest.to_string(),
            listeners: names(&mut structure.listeners.iter().map(|listener| &listener.name)),
            pools: names(&mut structure.pools.iter().map(|pool| &pool.name)),
            routes: names(&mut structure.routes.iter().map(|route| &route.name)),
        }
    }
}

/// Checks a text, or without one the file on disk. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/check", tag = "try", request_body = Option<CheckBody>,
    responses((status = 200, body = Checked), (status = "4XX", body = Problem)))]
pub(super) async fn check(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Json<Checked>, Problem> {
    // Not for less: a text may ask for the router's environment, and a message may repeat it.
    caller.may(Role::Admin)?;
    let mut fields = body::read(request, LARGE).await?;
    let text = fields.text("text", LARGE);
    let name = fields.text("name", 255);
    fields.finish()?;
    let house = Arc::clone(admin.control.house());
    let checked = tokio::task::spawn_blocking(move || match text {
        Some(text) => house.check(name.as_deref().unwrap_or("kanaria.toml"), &text),
        None => house.load(),
    });
    let checked = checked
        .await
        .map_err(|_| Problem::unavailable("checking failed by a defect of the router"))?;
    match checked {
        Ok(structure) => Ok(Json(Checked::new(&structure))),
        Err(invalid) => Err(refused(invalid)),
    }
}

fn refused(Invalid { text, problems }: Invalid) -> Problem {
    let problem = Problem::from(Rejection::Invalid(Invalid {
        text: text.clone(),
        problems,
    }));
    problem.with_detail(text)
}

/// Explains the decision on a request step by step.
#[utoipa::path(post, path = "/api/v1/explain", tag = "try", request_body = ExplainBody,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub(super) async fn explain(
    State(admin): Shared,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Role::Viewer)?;
    let mut fields = body::read(request, SMALL).await?;
    let published = admin.control.snapshot();
    let snapshot = &published.snapshot;
    let sketch = Sketch::read(&mut fields, &snapshot.structure);
    fields.finish()?;
    let sketch = sketch.ok_or_else(|| Problem::malformed("url is missing"))?;
    let explanation = admin.control.house().explain(snapshot, &sketch.facts());
    Ok(tagged(snapshot.revision, Json(explanation)))
}

/// Answers the question of `POST /api/v1/explain` by a snapshot that is not in force.
///
/// # Errors
/// When the question is not one.
pub fn answer(snapshot: &Snapshot, question: &Value) -> Result<Value, Problem> {
    let mut fields = body::object(question.to_string().as_bytes())?;
    let sketch = Sketch::read(&mut fields, &snapshot.structure);
    fields.finish()?;
    let sketch = sketch.ok_or_else(|| Problem::malformed("url is missing"))?;
    let explanation = config::explain::explain(snapshot, &sketch.facts());
    serde_json::to_value(explanation).map_err(|error| Problem::malformed(error.to_string()))
}

/// A request as described, not as received.
struct Sketch {
    method: String,
    uri: Uri,
    headers: HeaderMap,
    client_ip: IpAddr,
    listener: ListenerId,
    host: String,
}

impl Sketch {
    fn read(fields: &mut Fields, structure: &Structure) -> Option<Self> {
        let method = method(fields);
        let headers = headers(fields);
        let uri = url(fields);
        let client_ip = client_ip(fields);
        let listener = listener(fields, structure);
        let uri = uri?;
        let host = match (uri.authority(), headers.get(header::HOST)) {
            (Some(authority), _) => authority.as_str().to_owned(),
            (None, Some(host)) => host.to_str().unwrap_or_default().to_owned(),
            (None, None) => String::new(),
        };
        Some(Self {
            method,
            uri,
            headers,
            client_ip,
            listener,
            host,
        })
    }

    fn facts(&self) -> Facts<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Facts {
            listener: self.listener,
            method: &self.method,
            host: &self.host,
            path: self.uri.path(),
            query: self.uri.query(),
            fields: &self.headers,
            source_ip: self.client_ip,
            client_ip: self.client_ip,
            trusted: false,
            now: now.map_or(0, |now| now.as_secs()),
            fresh: &[0; 16],
        }
    }
}

fn method(fields: &mut Fields) -> String {
    let method = fields
        .text("method", 64)
        .unwrap_or_else(|| Method::GET.as_str().into());
    if Method::from_str(&method).is_err() {
        fields.wrong("method", format!("`{method}` is not a method"));
    }
    method
}

fn url(fields: &mut Fields) -> Option<Uri> {
    let url = fields.text("url", 16 * 1024);
    let url = fields.needed("url", url)?;
    match Uri::from_str(&url) {
        Ok(uri) if uri.scheme().is_some() || url.starts_with('/') => Some(uri),
        _ => {
            let message = "must be http://HOST/PATH, or /PATH with a Host header";
            fields.wrong("url", message.into());
            None
        }
    }
}

/// `{name: value}`, `{name: [value, ..]}` or `[[name, value], ..]`.
fn headers(fields: &mut Fields) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pairs: Vec<(String, Value)> = match fields.value("headers") {
        None => Vec::new(),
        Some(Value::Object(map)) => map
            .into_iter()
            .flat_map(|(name, value)| match value {
                Value::Array(values) => values
                    .into_iter()
                    .map(|value| (name.clone(), value))
                    .collect(),
                value => vec![(name, value)],
            })
            .collect(),
        Some(Value::Array(pairs)) => pairs.into_iter().filter_map(|p| pair(fields, p)).collect(),
        Some(_) => {
            fields.wrong("headers", "must be an object or a list of pairs".into());
            Vec::new()
        }
    };
    for (name, value) in pairs {
        let parsed = HeaderName::from_str(&name).ok().zip(
            value
                .as_str()
                .and_then(|value| HeaderValue::from_str(value).ok()),
        );
        match parsed {
            Some((name, value)) => {
                headers.append(name, value);
            }
            None => fields.wrong(&format!("headers.{name}"), "is not a header field".into()),
        }
    }
    headers
}

fn pair(fields: &mut Fields, pair: Value) -> Option<(String, Value)> {
    match pair {
        Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
            Ok([Value::String(name), value]) => return Some((name, value)),
            _ => fields.wrong("headers", "each pair must be [name, value]".into()),
        },
        _ => fields.wrong("headers", "each pair must be [name, value]".into()),
    }
    None
}

fn client_ip(fields: &mut Fields) -> IpAddr {
    let default = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Some(text) = fields.text("client_ip", 64) else {
        return default;
    };
    text.parse().unwrap_or_else(|_| {
        fields.wrong("client_ip", format!("`{text}` is not an address"));
        default
    })
}

fn listener(fields: &mut Fields, structure: &Structure) -> ListenerId {
    let first = ListenerId(0);
    let Some(name) = fields.text("listener", 255) else {
        return first;
    };
    let known = structure
        .listeners
        .iter()
        .find(|listener| *listener.name == *name);
    known.map_or_else(
        || {
            fields.wrong("listener", format!("listener `{name}` does not exist"));
            first
        },
        |listener| listener.id,
    )
}
