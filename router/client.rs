//! A client of the admin API, for the command line.
//!
//! One connection and one question a call, bounded in time; made to be quick from process start to answer.
//! It never asks again by itself: whether a change without an answer was carried out is for the operator to look up.

mod endpoint;
mod problem;
mod trust;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::dial::{self, Silence, Stream};

pub use endpoint::{Endpoint, NotAnEndpoint};
pub use problem::{Failure, Problem, SingleError};
pub use trust::{Credentials, Trust};

/// A router on the network that does not take a connection in this time is not there.
const CONNECT: Duration = Duration::from_secs(2);
/// A change waits for a disk to have it; a healthy router needs milliseconds.
const ANSWER: Duration = Duration::from_secs(15);
/// A history of a hundred thousand changes is smaller.
const LARGEST_ANSWER: usize = 64 << 20;

/// One question to the admin API.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path and query, percent-encoded: `/api/v1/status`.
    pub path: String,
    /// JSON body.
    pub body: Option<serde_json::Value>,
    /// The revision that must still be in force.
    pub if_revision: Option<u64>,
}

impl Call {
    /// A look.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            if_revision: None,
        }
    }

    /// A question or change with a body.
    pub fn send(method: Method, path: impl Into<String>, body: serde_json::Value) -> Self {
        Self {
            method,
            body: Some(body),
            ..Self::get(path)
        }
    }
}

/// Asks one router; an answer below 300 is returned as it came.
pub async fn ask(
    endpoint: &Endpoint,
    credentials: &Credentials,
    call: Call,
) -> Result<String, Failure> {
    let unreachable = |reason: String| Failure::Unreachable {
        endpoint: endpoint.clone(),
        reason,
    };
    let late = || format!("no connection within {} s", CONNECT.as_secs());
    let connected = timeout(CONNECT, connect(endpoint, credentials)).await;
    let stream = connected
        .map_err(|_| unreachable(late()))?
        .map_err(|error| unreachable(cause(&error)))?;
    let token = credentials.token.as_deref();
    match timeout(ANSWER, exchange(stream, endpoint, token, call)).await {
        Err(_) => Err(Failure::NoAnswer {
            endpoint: endpoint.clone(),
            reason: format!("nothing came within {} s", ANSWER.as_secs()),
        }),
        Ok(Err(error)) => Err(Failure::NoAnswer {
            endpoint: endpoint.clone(),
            reason: cause(&*error),
        }),
        Ok(Ok((status, text))) if status.is_success() => Ok(text),
        Ok(Ok((status, text))) => Err(Failure::Refused(Problem::read(status, text))),
    }
}

/// A path segment of the operator's words.
pub fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

async fn connect(
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> std::io::Result<Box<dyn Stream>> {
    match endpoint {
        Endpoint::Tcp { host, port, tls } => {
            let tls = credentials.tls.as_ref().filter(|_| *tls);
            dial::connect(host, *port, tls.map(|tls| (tls, host.as_str()))).await
        }
        Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
    }
}

async fn exchange(
    stream: Box<dyn Stream>,
    endpoint: &Endpoint,
    token: Option<&str>,
    call: Call,
) -> Result<(StatusCode, String), Silence> {
    let answer = dial::ask(stream, request(endpoint, token, call)?, LARGEST_ANSWER).await?;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    Ok((answer.status(), text))
}

fn request(
    endpoint: &Endpoint,
    token: Option<&str>,
    call: Call,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(header::HOST, endpoint.authority())
        .header(header::ACCEPT, "application/json")
        .header(
            header::USER_AGENT,
            concat!("kanaria/", env!("CARGO_PKG_VERSION")),
        );
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(revision) = call.if_revision {
        request = request.header(header::IF_MATCH, format!("\"{revision}\""));
    }
    let body = call.body.map(|body| body.to_string());
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(Full::from(body.unwrap_or_default()))
}

/// The innermost cause says what happened; the ones around it say where in our code.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<std::io::Error>() {
        Some(error) => io_words(error),
        None => innermost.to_string(),
    }
}

fn io_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "connection refused".into(),
        Kind::NotFound => "no such socket".into(),
        Kind::PermissionDenied => "permission denied".into(),
        Kind::ConnectionReset | Kind::UnexpectedEof => "the connection was closed".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod stub;
