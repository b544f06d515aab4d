//! Errors as RFC 9457 problem details, with one entry in `errors` for each key or place that is wrong.

use std::fmt;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use config::live::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::control::Rejection;

/// An error answer.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// What kind of problem it is, for programs: `urn:kanaria:problem:...`.
    #[serde(rename = "type", serialize_with = "as_urn")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong here, and what is allowed.
    detail: String,
    /// Each key or place that is wrong: `{key, message}`, of files also `file`, `line`, `column`.
    #[schema(value_type = Vec<Object>)]
    errors: Vec<Value>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        for error in &self.errors {
            let text = |name: &str| error[name].as_str().unwrap_or_default();
            write!(f, "\n  {}: {}", text("key"), text("message"))?;
        }
        Ok(())
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

fn as_urn<S: serde::Serializer>(kind: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:kanaria:problem:{kind}"))
}

impl Problem {
    /// A problem of `kind`.
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// A request that cannot be understood at all.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "malformed request",
            detail,
        )
    }

    /// Values that are understood and not allowed; each names its key.
    pub(super) fn invalid(errors: Vec<(String, String)>) -> Self {
        let detail: Vec<_> = errors
            .iter()
            .map(|(key, message)| match key.as_str() {
                "" => message.clone(),
                key => format!("{key}: {message}"),
            })
            .collect();
        let errors = errors
            .into_iter()
            .map(|(key, message)| json!({ "key": key, "message": message }))
            .collect();
        Self {
            errors,
            ..Self::unprocessable(detail.join("; "))
        }
    }

    fn unprocessable(detail: String) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "invalid values",
            detail,
        )
    }

    /// Something that is not there.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found", detail)
    }

    /// Somebody who may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "not allowed", detail)
    }

    /// Somebody unknown.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "not authorized",
            detail,
        )
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "not possible now",
            detail,
        )
    }

    /// The same for a call about one target, which has no list in which it stands.
    pub(super) fn of_one_target(mut self) -> Self {
        for error in &mut self.errors {
            let key = error["key"].as_str();
            if let Some(key) = key.and_then(|key| key.strip_prefix("targets[0].")) {
                error["key"] = key.into();
            }
        }
        self
    }

    pub(super) fn with_detail(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }

    pub(super) fn with_errors(mut self, errors: Vec<Value>) -> Self {
        self.errors = errors;
        self
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Refused(refusal) => refused(&refusal),
            Rejection::Stale { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "another revision is in force",
                detail,
            ),
            Rejection::Undurable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-durable",
                "the change cannot be written down",
                detail,
            ),
            Rejection::Invalid(invalid) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "file-invalid",
                "the file is refused",
                detail,
            )
            .with_errors(invalid.problems),
            Rejection::NeedsRestart(why) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "needs-restart",
                "the file needs a restart",
                detail,
            )
            .with_errors(vec![json!({ "key": "listeners", "message": why })]),
            Rejection::Uncompilable(fault) => {
                Self::invalid(vec![(fault.path.to_string(), fault.message)])
            }
            Rejection::NoRevision { .. } => {
                let error = json!({ "key": "revision", "message": detail });
                Self::missing(detail).with_errors(vec![error])
            }
            Rejection::NoJournal(_) | Rejection::Closed => Self::unavailable(detail),
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let (status, kind, title) = kind(refusal);
    let errors = refusal
        .complaints()
        .into_iter()
        .map(|complaint| json!({ "key": complaint.key, "message": complaint.message }))
        .collect();
    Problem::new(status, kind, title, refusal.to_string()).with_errors(errors)
}

/// Status, kind and title.
fn kind(refusal: &Refusal) -> (StatusCode, &'static str, &'static str) {
    let conflict = |kind, title| (StatusCode::CONFLICT, kind, title);
    match refusal {
        Refusal::UnknownRoute { .. }
        | Refusal::UnknownPool { .. }
        | Refusal::UnknownTargets { .. } => (StatusCode::NOT_FOUND, "not-found", "not found"),
        Refusal::NoPools { .. }
        | Refusal::NoPins { .. }
        | Refusal::NoRamp { .. }
        | Refusal::Pools { .. }
        | Refusal::Heavy { .. }
        | Refusal::NoBucket { .. }
        | Refusal::Twice { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "invalid values",
        ),
        Refusal::LastTarget { .. } => conflict("last-target", "the pool would be empty"),
        Refusal::NothingToDrain { .. } => conflict("nothing-to-drain", "nothing to drain"),
        Refusal::AheadOfRamp { .. } => conflict("ahead-of-ramp", "the ramp has not come to that"),
        Refusal::Cold { .. } => conflict("cold", "too little is known of stable"),
        Refusal::NoStepLeft { .. }
        | Refusal::NotHeld { .. }
        | Refusal::RampIsOff { .. }
        | Refusal::RampIsOn { .. }
        | Refusal::RampIsOver { .. } => conflict("ramp-state", "the ramp is elsewhere"),
        Refusal::OutOfHours { .. } => conflict("out-of-hours", "steps open at other hours"),
        Refusal::NoRoom { .. } => conflict("no-room", "other canaries have what the step needs"),
        Refusal::WeakCanary { .. } => {
            conflict("weak-canary", "the canary has too few healthy targets")
        }
        Refusal::Unprobed { .. } => {
            conflict("probe-failed", "the canary does not answer as it must")
        }
        Refusal::WeakStable { .. } => {
            conflict("weak-stable", "stable could not take its traffic back")
        }
        Refusal::AllZero => conflict("all-zero", "nothing would be served"),
        Refusal::Latched { .. } | Refusal::RampIsMarked { .. } => {
            conflict("latched", "the route is latched")
        }
        Refusal::Step { .. } => conflict("max-step", "the step is too large"),
        Refusal::Occupied { .. } => conflict("occupied", "a canary has users"),
        Refusal::NothingToRestore { .. } => conflict("nothing-to-restore", "nothing to restore"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::missing(format!(
        "there is no `{}`; /openapi.json lists all calls",
        uri.path()
    ))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "method not allowed",
        format!("`{}` does not take {method}", uri.path()),
    )
}
