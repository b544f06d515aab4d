//! Who is asking, and whether a browser was tricked into asking: before any call is looked at.
//!
//! A tokenless caller on a loopback or unix socket is `local` and may everything; so its Host must be one that only this
//! machine has, or a page of any site could reach the API by a name of its own that resolves to loopback.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use config::model::{Role, Token};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{Admin, Door, Problem};

/// Who is asking, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// `token:NAME` or `local`.
    pub(super) actor: String,
    role: Role,
}

impl Caller {
    /// Refuses a caller whose role is below `role`.
    pub(super) fn may(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let name = |role| match role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        Err(Problem::forbidden(format!(
            "{} has role {}; this call needs {}",
            self.actor,
            name(self.role),
            name(role)
        )))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Without the guard there is no caller, and then nothing is allowed.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::unauthorized("this call needs a caller"))
    }
}

pub(super) async fn guard(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
    next: Next,
) -> Response {
    let structure = Arc::clone(&admin.control.standing().structure);
    let open = match request.uri().path() {
        "/livez" | "/readyz" => true,
        "/metrics" => structure.admin.metrics_public,
        _ => false,
    };
    if open {
        return next.run(request).await;
    }
    match checked(
        admin.door,
        &structure.admin.tokens,
        request.uri(),
        request.headers(),
    ) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn checked(
    door: Door,
    tokens: &[Token],
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let host = host(uri, headers)?;
    if door == Door::Loopback && !is_of_this_machine(host) {
        return Err(Problem::forbidden(format!(
            "host `{host}` is not a name of this machine's loopback; use localhost or its address"
        )));
    }
    same_site(host, headers)?;
    caller(door, tokens, headers)
}

/// The host asked for, with port. HTTP/1.0 and unix sockets may do without.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Ok(""),
        (Some(host), None) => host
            .to_str()
            .map_err(|_| Problem::malformed("header Host is not text")),
        _ => Err(Problem::malformed("header Host was sent twice")),
    }
}

fn is_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Refuses what a browser sends for a page of another site.
fn same_site(host: &str, headers: &HeaderMap) -> Result<(), Problem> {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    for site in headers.get_all(SEC_FETCH_SITE) {
        if site != "same-origin" && site != "none" {
            return Err(Problem::forbidden(
                "requests that a page of another site makes are refused",
            ));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let text = origin.to_str().unwrap_or_default();
        let authority = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(Problem::forbidden(format!(
                "origin `{}` is another site's; requests from its pages are refused",
                text.escape_debug()
            )));
        }
    }
    Ok(())
}

fn caller(door: Door, tokens: &[Token], headers: &HeaderMap) -> Result<Caller, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (None, _) if is_local(door, tokens) => Ok(Caller {
            actor: "local".into(),
            role: Role::Admin,
        }),
        (None, _) => Err(Problem::unauthorized(
            "this call needs a token: Authorization: Bearer TOKEN",
        )),
        (Some(given), None) => known(tokens, given.as_bytes())
            .ok_or_else(|| Problem::unauthorized("the token is not known")),
        _ => Err(Problem::unauthorized("header Authorization was sent twice")),
    }
}

/// Whether a caller without a token is trusted for where it comes from.
///
/// Whoever configures tokens wants them asked for, also of the other programs of this machine; a socket file has its own permissions.
const fn is_local(door: Door, tokens: &[Token]) -> bool {
    match door {
        Door::Unix => true,
        Door::Loopback => tokens.is_empty(),
        Door::Network => false,
    }
}

/// The bearer of a token. Every token is compared, and each in constant time, so that time tells nothing.
fn known(tokens: &[Token], given: &[u8]) -> Option<Caller> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = given.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let given: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
    let given: String = given.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut found = None;
    for token in tokens {
        let sha256 = token.sha256.to_ascii_lowercase();
        let same: Choice = sha256.as_bytes().ct_eq(given.as_bytes());
        if bool::from(same) && found.is_none() {
            found = Some(token);
        }
    }
    found.map(|token| Caller {
        actor: format!("token:{}", token.name),
        role: token.role,
    })
}
