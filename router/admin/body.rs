//! Bodies of calls: bounded, in JSON, each key known and of its type; everything wrong is said at once, by key.

mod targets;

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use config::live::Weights;
use config::model::indexed;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Problem;

/// Most bytes of an ordinary call.
pub(super) const SMALL: usize = 64 * 1024;
/// Most bytes of a call that carries a file.
pub(super) const LARGE: usize = 4 * 1024 * 1024;
/// A body must be there after this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most characters of a reason.
const REASON: usize = 1000;

/// The keys of a body that have not been taken yet, and what is wrong with those that have.
#[derive(Debug)]
pub(super) struct Fields {
    left: Vec<(String, Box<RawValue>)>,
    known: Vec<&'static str>,
    errors: Vec<(String, String)>,
}

/// What every change takes.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) reason: Option<String>,
    pub(super) dry_run: bool,
    pub(super) if_revision: Option<u64>,
}

/// Reads the body of a call; no body is an object without keys.
pub(super) async fn read(request: Request, limit: usize) -> Result<Fields, Problem> {
    if let Some(query) = request.uri().query() {
        return Err(Problem::invalid(vec![(
            query.to_owned(),
            "this call takes no query parameters; put them into the body".into(),
        )]));
    }
    let (parts, body) = request.into_parts();
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    let bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "body too large",
                format!("the body has more than {limit} bytes"),
            ));
        }
        Ok(Err(_)) => return Err(Problem::malformed("the body was cut off")),
        Err(_) => {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "body too slow",
                "the body did not arrive in time",
            ));
        }
    };
    parse(&parts.headers, &bytes)
}

fn parse(headers: &HeaderMap, bytes: &Bytes) -> Result<Fields, Problem> {
    if bytes.is_empty() {
        return object(b"{}");
    }
    if !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "unsupported media type",
            "the body must be JSON: Content-Type: application/json",
        ));
    }
    object(bytes)
}

/// The keys of a JSON object, none of them taken yet.
pub(super) fn object(bytes: &[u8]) -> Result<Fields, Problem> {
    let map: indexed::Map<Box<RawValue>> = serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            let message = "the body must be a JSON object".to_owned();
            return Problem::invalid(vec![(String::new(), message)]);
        }
        Problem::malformed(format!("the body is not JSON: {error}"))
    })?;
    Ok(Fields {
        left: map.0,
        known: Vec::new(),
        errors: Vec::new(),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

impl Fields {
    /// What every change takes; `headers` carry If-Match.
    pub(super) fn terms(&mut self, headers: &HeaderMap) -> Result<Terms, Problem> {
        Ok(Terms {
            reason: self.text("reason", REASON),
            dry_run: self.flag("dry_run"),
            if_revision: if_match(headers)?,
        })
    }

    /// A text of at most `limit` characters.
    pub(super) fn text(&mut self, key: &'static str, limit: usize) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if text.chars().count() <= limit => Some(text),
            Value::String(_) => {
                self.wrong(key, format!("must have at most {limit} characters"));
                None
            }
            other => {
                self.wrong(key, format!("must be a text, not {}", shown(&other)));
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str) -> Option<u64> {
        let value = self.take(key)?;
        let number = value.as_u64();
        if number.is_none() {
            self.wrong(
                key,
                format!("must be a whole number of 0 or more, not {}", shown(&value)),
            );
        }
        number
    }

    /// `true` or `false`; absent is `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.wrong(key, format!("must be true or false, not {}", shown(&other)));
                false
            }
        }
    }

    /// Any JSON.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.take(key)
    }

    /// Weights by pool.
    pub(super) fn weights(&mut self, key: &'static str) -> Weights {
        let mut weights = Weights::new();
        let Some(raw) = self.take_raw(key) else {
            self.wrong(key, "is missing; it must give each pool its weight".into());
            return weights;
        };
        let Ok(pools) = serde_json::from_str::<indexed::Map<Value>>(raw.get()) else {
            let message = "must be an object that gives each pool its weight";
            self.wrong(key, message.into());
            return weights;
        };
        for (pool, weight) in pools.0 {
            let path = format!("{key}.{pool}");
            match weight.as_u64().map(u32::try_from) {
                Some(Ok(weight)) => {
                    if weights.insert(pool, weight).is_some() {
                        self.wrong(&path, "is given twice".into());
                    }
                }
                _ => self.wrong(
                    &path,
                    format!(
                        "must be a whole number from 0 to 1000000, not {}",
                        shown(&weight)
                    ),
                ),
            }
        }
        weights
    }

    /// Says that `key` is wrong.
    pub(super) fn wrong(&mut self, key: &str, message: String) {
        self.errors.push((key.to_owned(), message));
    }

    /// Says that `key` has to be there.
    pub(super) fn needed<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.errors.iter().any(|(wrong, _)| wrong == key) {
            self.wrong(key, "is missing".into());
        }
        value
    }

    /// Everything that was wrong, also keys that nobody took.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join(", ");
        for (key, _) in std::mem::take(&mut self.left) {
            let message = if self.known.contains(&key.as_str()) {
                "is given twice".into()
            } else if known.is_empty() {
                "unknown key; this call takes none".into()
            } else {
                format!("unknown key; keys of this call are {known}")
            };
            self.wrong(&key, message);
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Problem::invalid(self.errors))
    }

    /// The first value of `key`; `null` counts as absent.
    fn take(&mut self, key: &'static str) -> Option<Value> {
        let raw = self.take_raw(key)?;
        serde_json::from_str(raw.get()).ok()
    }

    fn take_raw(&mut self, key: &'static str) -> Option<Box<RawValue>> {
        self.known.push(key);
        let position = self.left.iter().position(|(name, _)| name == key)?;
        let (_, raw) = self.left.remove(position);
        (raw.get() != "null").then_some(raw)
    }
}

/// A value as a message may repeat it.
fn shown(value: &Value) -> String {
    const LENGTH: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The revision that the caller has seen.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" && values.next().is_none() {
        return Ok(None);
    }
    let digits = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    match (digits.parse(), values.next()) {
        (Ok(revision), None) => Ok(Some(revision)),
        _ => Err(Problem::malformed(format!(
            "header If-Match must be one revision in quotes, as \"7\", not `{}`",
            text.escape_debug()
        ))),
    }
}
