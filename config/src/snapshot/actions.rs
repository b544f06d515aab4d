//! What a route does, as written: exactly one of pools, `redirect` and `respond`.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::names::Faults;
use crate::action::Respond;
use crate::model::{self, Cap, Failover, Fields, Sticky};
use crate::problem::Trail;
use crate::redirect::{Keyword, Port, Redirect, Template};

/// The longest text of a redirect, as long as a pattern may be.
const LONGEST_TEXT: usize = 4_096;

/// The longest `body`; more belongs into a file of its own.
const LONGEST_BODY: usize = 64 * 1024;

/// What a route says it does.
pub(super) enum Written<'a> {
    Forward(&'a str),
    Redirect(&'a model::Redirect),
    Respond(&'a model::Respond),
}

impl<'a> Written<'a> {
    /// The one thing that `route` does; every further one is a fault.
    pub(super) fn of(
        route: &'a model::Route,
        path: &Trail<'_>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let stable = route.stable.as_deref().map(Self::Forward);
        let redirect = route.redirect.as_ref().map(Self::Redirect);
        let respond = route.respond.as_ref().map(Self::Respond);
        let mut given = [stable, redirect, respond].into_iter().flatten();
        let Some(first) = given.next() else {
            let message = "a route needs `stable`, `redirect` or `respond`, which say what it does";
            faults.add(path, message);
            return None;
        };
        for other in given {
            let message = format!(
                "a route does one thing: `{}` and `{}` exclude each other",
                first.key(),
                other.key()
            );
            faults.add(&path.key(other.key()), message);
        }
        if !matches!(first, Self::Forward(_)) {
            only_of_pools(route, first.key(), path, faults);
        }
        Some(first)
    }

    const fn key(&self) -> &'static str {
        match self {
            Self::Forward(_) => "stable",
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
        }
    }
}

/// Keys about pools would do nothing in a route that has none.
fn only_of_pools(route: &model::Route, action: &str, path: &Trail<'_>, faults: &mut Faults) {
    for (key, given) in [
        ("weights", !route.weights.is_empty()),
        ("cohort", route.cohort != "default"),
        ("failover", route.failover != Failover::default()),
        ("fallback", !route.fallback.is_empty()),
        ("max_step", route.max_step != 0.0),
        ("sticky", route.sticky != Sticky::default()),
        ("flags", !route.flags.is_empty()),
        ("cap", route.cap != Cap::default()),
        ("guard", route.guard.is_some()),
        ("ramp", route.ramp.is_some()),
        ("shadow", route.shadow.is_some()),
        ("rewrite", route.rewrite.is_some()),
    ] {
        if given {
            let message = format!("is about pools, and a route with `{action}` has none");
            faults.add(&path.key(key), message);
        }
    }
    if route.headers.request != Fields::default() {
        let message = format!("no request goes on from a route with `{action}`");
        faults.add(&path.key("headers").key("request"), message);
    }
}

pub(super) fn redirect(
    written: &model::Redirect,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Redirect> {
    faults.check(&path.key("status"), redirect_status(written.status));
    check_change(written, path, faults);
    let secure = written.protocol.as_deref().map(protocol).transpose();
    let secure = faults.check(&path.key("protocol"), secure);
    let host = host(written.host.as_deref().unwrap_or("#{host}"));
    let host = faults.check(&path.key("host"), host);
    let port = written.port.as_ref().map(port).transpose();
    let port = faults.check(&path.key("port"), port);
    let target = target_path(written.path.as_deref().unwrap_or("/#{path}"));
    let target = faults.check(&path.key("path"), target);
    let query = query(written.query.as_deref().unwrap_or("#{query}"));
    let query = faults.check(&path.key("query"), query);
    Some(Redirect {
        status: written.status,
        secure: secure?.flatten(),
        host: host?,
        port: port?,
        path: target?,
        query: query?,
    })
}

fn redirect_status(status: u16) -> Result<(), String> {
    match status {
        301 | 302 | 303 | 307 | 308 => Ok(()),
        _ => Err(format!(
            "{status} is no redirect; allowed are 301, 302, 303, 307 and 308"
        )),
    }
}

/// As an ALB wants it: a redirect that changes at most the query leads back to its own rule.
fn check_change(written: &model::Redirect, path: &Trail<'_>, faults: &mut Faults) {
    let same = |text: &Option<String>, keyword: &str| text.as_deref().is_none_or(|t| t == keyword);
    let port = match &written.port {
        Some(model::Port::Number(_)) => false,
        Some(model::Port::Text(text)) => text == "#{port}",
        None => true,
    };
    if port
        && same(&written.protocol, "#{protocol}")
        && same(&written.host, "#{host}")
        && same(&written.path, "/#{path}")
    {
        let message = "a redirect to where the client is already would never end; change at least one of protocol, host, port and path";
        faults.add(path, message);
    }
}

/// Whether https is asked for; `None` where the client's protocol stays.
fn protocol(text: &str) -> Result<Option<bool>, String> {
    match text {
        "http" | "HTTP" => Ok(Some(false)),
        "https" | "HTTPS" => Ok(Some(true)),
        "#{protocol}" => Ok(None),
        _ => Err(format!(
            "`{text}` is not a protocol; write `http`, `https` or `#{{protocol}}`"
        )),
    }
}

fn host(text: &str) -> Result<Template, String> {
    let template = template(text, &[Keyword::Host])?;
    let literal = template.literal();
    let address = literal
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'));
    let is_address = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || !(is_address || literal.bytes().all(is_allowed)) {
        return Err(format!(
            "`{text}` is not a host; allowed are letters, digits, `-`, `.`, `_` and `#{{host}}`, and the port under `port`"
        ));
    }
    Ok(template)
}

fn port(written: &model::Port) -> Result<Port, String> {
    match written {
        model::Port::Number(port) => Ok(Port::Fixed(*port)),
        model::Port::Text(text) if text == "#{port}" => Ok(Port::Asked),
        model::Port::Text(text) => match text.parse() {
            Ok(port @ 1..) => Ok(Port::Fixed(port)),
            _ => Err(format!(
                "`{text}` is not a port; allowed are 1 to 65535 and `#{{port}}`"
            )),
        },
    }
}

fn target_path(text: &str) -> Result<Template, String> {
    let allowed = [
        Keyword::Protocol,
        Keyword::Host,
        Keyword::Port,
        Keyword::Path,
    ];
    let template = template(text, &allowed)?;
    if !text.starts_with('/') {
        return Err(format!("`{text}` is not a path; a path starts with `/`"));
    }
    if template.literal().contains(['?', '#']) {
        return Err(format!(
            "`{text}` is not a path alone; the query stands under `query`"
        ));
    }
    Ok(template)
}

fn query(text: &str) -> Result<Template, String> {
    let template = template(text, &Keyword::ALL)?;
    if text.starts_with('?') || template.literal().contains('#') {
        return Err(format!(
            "`{text}` is not a query; write it without `?` and `#`"
        ));
    }
    Ok(template)
}

fn template(text: &str, allowed: &[Keyword]) -> Result<Template, String> {
    if text.len() > LONGEST_TEXT {
        return Err(format!(
            "the text is {} bytes long; allowed are {LONGEST_TEXT}",
            text.len()
        ));
    }
    let template = Template::new(text, allowed)?;
    if !template
        .literal()
        .bytes()
        .all(|byte| byte.is_ascii_graphic())
    {
        return Err(format!(
            "`{text}` has characters that an address cannot have; write them percent-encoded"
        ));
    }
    Ok(template)
}

pub(super) fn respond(
    written: &model::Respond,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Respond> {
    let bodiless = faults.check(&path.key("status"), bodiless(written.status));
    let content_type = faults.check(
        &path.key("content_type"),
        content_type(&written.content_type),
    );
    check_body(written, bodiless.unwrap_or(false), path, faults);
    let retry_after = written.retry_after.map(|time| {
        let seconds = time.0.as_secs();
        if seconds == 0 || time.0.subsec_nanos() > 0 {
            return Err(format!(
                "{time} is not a number of whole seconds, at least 1s"
            ));
        }
        Ok(HeaderValue::from(seconds))
    });
    let retry_after = faults.check(&path.key("retry_after"), retry_after.transpose());
    Some(Respond {
        status: written.status,
        content_type: content_type?,
        body: Arc::from(written.body.as_deref().unwrap_or_default().as_bytes()),
        retry_after: retry_after?,
    })
}

/// Whether an answer of `status` has no body (RFC 9110 sections 15.3.5 and 15.3.6).
fn bodiless(status: u16) -> Result<bool, String> {
    match status {
        200..=299 | 400..=599 if StatusCode::from_u16(status).is_ok() => {
            Ok(matches!(status, 204 | 205))
        }
        _ => Err(format!(
            "{status} is no status of a fixed answer; allowed are 200 to 299 and 400 to 599, and `redirect` for 3xx"
        )),
    }
}

fn check_body(written: &model::Respond, bodiless: bool, path: &Trail<'_>, faults: &mut Faults) {
    match (&written.body, &written.body_file) {
        (Some(_), Some(_)) => faults.add(
            &path.key("body_file"),
            "an answer has `body` or `body_file`, not both",
        ),
        (Some(body), None) if body.len() > LONGEST_BODY => faults.add(
            &path.key("body"),
            format!(
                "the body is {} bytes long; allowed are {LONGEST_BODY}, and more in a `body_file`",
                body.len()
            ),
        ),
        (None, Some(file)) if file.as_os_str().is_empty() => {
            faults.add(&path.key("body_file"), "a path must not be empty");
        }
        _ => {}
    }
    let has_body = written.body.as_ref().is_some_and(|body| !body.is_empty());
    if bodiless && (has_body || written.body_file.is_some()) {
        let key = if has_body { "body" } else { "body_file" };
        let message = format!("an answer with status {} has no body", written.status);
        faults.add(&path.key(key), message);
    }
}

fn content_type(text: &str) -> Result<HeaderValue, String> {
    let is_type = text.split_once('/').is_some_and(|(kind, rest)| {
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        is_name(kind) && is_name(rest.split(';').next().unwrap_or_default().trim_end())
    });
    let value = HeaderValue::from_str(text);
    match value {
        Ok(value) if is_type && text.is_ascii() => Ok(value),
        _ => Err(format!(
            "{text:?} is not a media type, as text/html; charset=utf-8"
        )),
    }
}
