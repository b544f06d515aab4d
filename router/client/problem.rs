//! What a router answered instead of what was asked for.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Endpoint;

/// Why a call has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody took the connection: nothing was asked, nothing changed.
    #[error("no router answers at {endpoint}: {reason}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// The question was sent and no answer came: what was asked may have been carried out.
    #[error("the router at {endpoint} gave no answer: {reason}")]
    NoAnswer {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// The router said no.
    #[error("{0}")]
    Refused(Problem),
}

/// An error answer: problem details (RFC 9457), or as much of them as came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Problem {
    /// Status of the answer.
    pub status: StatusCode,
    /// The document as it came, or one that says the same.
    pub document: Value,
}

/// One thing wrong, of possibly many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleError {
    /// File, line and column; empty when no file is meant.
    pub place: String,
    /// The key meant; empty when there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    title: Option<String>,
    detail: Option<String>,
}

impl Failure {
    /// The failure as problem details.
    pub fn document(&self) -> Value {
        let title = match self {
            Self::Unreachable { .. } => "no router answers",
            Self::NoAnswer { .. } => "no answer",
            Self::Refused(problem) => return problem.document.clone(),
        };
        json!({"type": "about:blank", "title": title, "detail": self.to_string()})
    }
}

impl Problem {
    /// Reads an error answer; one that is not problem details (a proxy's page, another program's) is told as it is.
    pub(super) fn read(status: StatusCode, text: String) -> Self {
        let document = match serde_json::from_str::<Value>(&text) {
            Ok(document @ Value::Object(_)) => document,
            _ => json!({
                "type": "about:blank",
                "title": status.canonical_reason().unwrap_or("unknown status"),
                "status": status.as_u16(),
                "detail": text.lines().next().unwrap_or_default(),
            }),
        };
        Self { status, document }
    }

    /// The kind, for programs: the last part of `urn:kanaria:problem:...`.
    pub fn kind(&self) -> &str {
        let kind = self.document.get("type").and_then(Value::as_str);
        let kind = kind.and_then(|kind| kind.strip_prefix("urn:kanaria:problem:"));
        kind.unwrap_or_default()
    }

    /// All single errors of the answer.
    pub fn errors(&self) -> Vec<SingleError> {
        let Some(Value::Array(errors)) = self.document.get("errors") else {
            return Vec::new();
        };
        errors.iter().map(SingleError::read).collect()
    }

    fn sentence(&self) -> String {
        let details = Details::deserialize(&self.document).unwrap_or_default();
        let told = details.detail.filter(|detail| !detail.is_empty());
        match told.or(details.title) {
            Some(told) => told,
            None => format!("the router answered {}", self.status),
        }
    }
}

impl SingleError {
    fn read(error: &Value) -> Self {
        let Some(message) = error.get("message").and_then(Value::as_str) else {
            return Self {
                message: error
                    .as_str()
                    .map_or_else(|| error.to_string(), str::to_owned),
                ..Self::default()
            };
        };
        let place = ["file", "line", "column"].iter();
        let place = place.filter_map(|part| error.get(part)).filter_map(word);
        Self {
            place: place.collect::<Vec<_>>().join(":"),
            key: error.get("key").and_then(word).unwrap_or_default(),
            message: message.to_owned(),
        }
    }
}

/// `file:line:column: key: message`, as `kanaria check` tells a problem of a file.
impl fmt::Display for SingleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for before in [&self.place, &self.key] {
            if !before.is_empty() {
                write!(f, "{before}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
