//! What a health check asks and what it accepts, resolved from `[pools.NAME.health_check]`.
//!
//! It asks nobody: the router does, and brings the answer here to be judged.

use std::fmt;
use std::time::Duration;

use regex::bytes::Regex;

use crate::check;
use crate::model::{BodyMatch, HealthCheck, HealthProtocol, Pool};
use crate::pattern;
use crate::problem::{Fault, Path};
use crate::units::{GrpcStatuses, Statuses};

/// The standard method of a gRPC server that tells its health.
pub const GRPC_METHOD: &str = "/grpc.health.v1.Health/Check";

/// How the targets of one pool are checked.
#[derive(Clone, Debug)]
pub struct Check {
    /// From the start of one check to the start of the next.
    pub interval: Duration,
    /// For the connection and the whole answer.
    pub timeout: Duration,
    /// Successes until an unhealthy target is healthy.
    pub healthy_threshold: u32,
    /// Failures until a healthy target is unhealthy.
    pub unhealthy_threshold: u32,
    /// Port to ask at, where it is not the target's own.
    pub port: Option<u16>,
    /// Whether it goes over TLS, under the pool's terms.
    pub tls: bool,
    /// What is asked.
    pub question: Question,
}

/// What is asked of a target.
#[derive(Clone, Debug)]
pub enum Question {
    /// A call over HTTP/2.
    Grpc(Grpc),
    /// A request.
    Http(Http),
    /// A connection.
    Tcp,
}

impl Question {
    /// The name of the host asked for, where it is not the target's address.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Grpc(grpc) => grpc.host.as_deref(),
            Self::Http(http) => http.host.as_deref(),
            Self::Tcp => None,
        }
    }
}

/// A call, and the answers to it that are accepted.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// The method, with a leading `/`.
    pub method: String,
    /// The service asked about, and a `SERVING` expected of it; `None` where only the status counts.
    pub service: Option<String>,
    /// The authority; `None` is the target's address.
    pub host: Option<String>,
    /// The user agent; `None` is the router's own.
    pub user_agent: Option<String>,
    /// Accepted status codes.
    pub accepted: GrpcStatuses,
}

/// A request, and the answers to it that are accepted.
#[derive(Clone, Debug)]
pub struct Http {
    /// The method, in the case it is sent in.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The host; `None` is the target's address.
    pub host: Option<String>,
    /// The user agent; `None` is the router's own.
    pub user_agent: Option<String>,
    /// The scheme that the target is told a client has used; `None` tells nothing.
    pub client_scheme: Option<&'static str>,
    /// Accepted status codes.
    pub accepted: Statuses,
    /// What the body must hold.
    pub body: Option<Body>,
}

/// What a body must hold; shown as it was written.
#[derive(Clone, Debug)]
pub struct Body {
    expression: Regex,
    shown: String,
}

impl Body {
    /// Whether `body` holds it.
    pub fn is_in(&self, body: &[u8]) -> bool {
        self.expression.is_match(body)
    }

    fn new(written: &BodyMatch, path: &Path) -> Result<Self, Fault> {
        let (expression, shown) = match written {
            BodyMatch::Text(text) if text.is_empty() => {
                let message = "the text is empty; leave the key out to accept any body";
                return Err(path.fault(message));
            }
            BodyMatch::Text(text) => (pattern::containing(text), format!("{text:?}")),
            BodyMatch::Regex { regex } => (
                pattern::expression(regex, pattern::Case::Sensitive),
                format!("/{regex}/"),
            ),
        };
        let place = || match written {
            BodyMatch::Text(_) => path.clone(),
            BodyMatch::Regex { .. } => path.key("regex"),
        };
        let expression = expression.map_err(|message| place().fault(message))?;
        Ok(Self { expression, shown })
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Check {
    /// What `written` means for the targets of `pool`; `path` is where it was written.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn compile(written: &HealthCheck, pool: &Pool, path: &Path) -> Result<Self, Vec<Fault>> {
        let mut reading = Reading {
            written,
            path,
            faults: foreign(written, path),
        };
        reading.times();
        let tls = reading.tls(pool);
        let question = match written.protocol {
            HealthProtocol::Grpc => reading.grpc().map(Question::Grpc),
            HealthProtocol::Http => reading.http().map(Question::Http),
            HealthProtocol::Tcp => Some(Question::Tcp),
        };
        match question {
            Some(question) if reading.faults.is_empty() => Ok(Self {
                interval: written.interval.0,
                timeout: written.timeout.0,
                healthy_threshold: written.healthy_threshold,
                unhealthy_threshold: written.unhealthy_threshold,
                port: written.port,
                tls,
                question,
            }),
            _ => Err(reading.faults),
        }
    }
}

/// Keys of another protocol than the one asked for.
fn foreign(written: &HealthCheck, path: &Path) -> Vec<Fault> {
    use HealthProtocol::{Grpc, Http};
    let keys: [(&str, bool, &[HealthProtocol]); 9] = [
        ("path", written.path.is_some(), &[Http, Grpc]),
        ("status", written.status.is_some(), &[Http]),
        ("body", written.body.is_some(), &[Http]),
        ("host", written.host.is_some(), &[Http, Grpc]),
        ("method", written.method.is_some(), &[Http]),
        ("user_agent", written.user_agent.is_some(), &[Http, Grpc]),
        ("grpc_service", written.grpc_service.is_some(), &[Grpc]),
        ("grpc_status", written.grpc_status.is_some(), &[Grpc]),
        ("tls", written.tls.is_some(), &[Http, Grpc]),
    ];
    let protocol = written.protocol;
    let foreign = keys
        .iter()
        .filter(|(_, is_given, of)| *is_given && !of.contains(&protocol));
    foreign
        .map(|(key, _, of)| {
            let of: Vec<_> = of.iter().map(|of| format!("`{}`", of.as_str())).collect();
            path.key(key).fault(format!(
                "does not apply to {} check, only to {}",
                protocol.with_article(),
                of.join(" and ")
            ))
        })
        .collect()
}

/// A check being read, and what was wrong so far.
struct Reading<'a> {
    written: &'a HealthCheck,
    path: &'a Path,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// The value, or the fault at its key.
    fn take<T>(&mut self, key: &str, value: Result<T, impl ToString>) -> Option<T> {
        value
            .map_err(|message| {
                self.faults
                    .push(self.path.key(key).fault(message.to_string()))
            })
            .ok()
    }

    fn times(&mut self) {
        let times = [
            ("interval", self.written.interval),
            ("timeout", self.written.timeout),
        ];
        check::not_zero(self.path, &times, &mut self.faults);
    }

    fn tls(&mut self, pool: &Pool) -> bool {
        if self.written.protocol == HealthProtocol::Tcp {
            return false;
        }
        let asked = self.written.tls;
        if asked == Some(true) && pool.tls.is_none() {
            let message = "the pool has no `tls`, whose terms the check would use";
            self.faults.push(self.path.key("tls").fault(message));
        }
        pool.tls.is_some() && asked != Some(false)
    }

    fn http(&mut self) -> Option<Http> {
        let written = self.written;
        let path = written.path.as_deref();
        let path = path.map_or_else(|| Err(missing_path()), path_and_query);
        let path = self.take("path", path);
        let accepted = written.status.as_deref().unwrap_or("200").parse();
        let accepted = self.take("status", accepted);
        let method = method(written.method.as_deref().unwrap_or("GET"));
        let method = self.take("method", method);
        let body = self.body(method.as_deref());
        let (host, user_agent) = (self.host(), self.user_agent());
        Some(Http {
            method: method?,
            path: path?,
            host: host?,
            user_agent: user_agent?,
            client_scheme: None,
            accepted: accepted?,
            body: body?,
        })
    }

    fn grpc(&mut self) -> Option<Grpc> {
        let written = self.written;
        let method = written
            .path
            .as_deref()
            .map_or_else(|| Ok(GRPC_METHOD.to_owned()), path_and_query);
        let method = self.take("path", method);
        let accepted = written.grpc_status.as_deref().unwrap_or("0").parse();
        let accepted = self.take("grpc_status", accepted);
        let service = match (&written.path, &written.grpc_service) {
            (Some(_), Some(_)) => {
                Err("is asked about by the standard method alone; leave out `path` or this key")
            }
            (Some(_), None) => Ok(None),
            (None, service) => Ok(Some(service.clone().unwrap_or_default())),
        };
        let service = self.take("grpc_service", service);
        let (host, user_agent) = (self.host(), self.user_agent());
        Some(Grpc {
            method: method?,
            service: service?,
            host: host?,
            user_agent: user_agent?,
            accepted: accepted?,
        })
    }

    fn body(&mut self, method: Option<&str>) -> Option<Option<Body>> {
        let path = self.path.key("body");
        let body = self.written.body.as_ref().map(|body| match method {
            Some("HEAD") => Err(path.fault("an answer to HEAD has no body")),
            _ => Body::new(body, &path),
        });
        body.transpose()
            .map_err(|fault| self.faults.push(fault))
            .ok()
    }

    fn host(&mut self) -> Option<Option<String>> {
        let host = self.written.host.as_ref().map(|host| {
            let is_host = host.parse::<http::uri::Authority>().is_ok();
            let message = || format!("{host:?} is not a host, as www.example.com");
            is_host.then(|| host.clone()).ok_or_else(message)
        });
        self.take("host", host.transpose())
    }

    fn user_agent(&mut self) -> Option<Option<String>> {
        let agent = self.written.user_agent.as_ref().map(|agent| {
            let is_visible = |c: char| c.is_ascii_graphic() || c == ' ';
            let is_value = !agent.trim().is_empty() && agent.chars().all(is_visible);
            let message = || format!("{agent:?} is not a user agent, which has visible ASCII only");
            is_value.then(|| agent.clone()).ok_or_else(message)
        });
        self.take("user_agent", agent.transpose())
    }
}

fn missing_path() -> String {
    "this key is missing; an `http` check needs a path, as \"/healthz\"".into()
}

fn path_and_query(path: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_graphic() && c != '#';
    if !path.starts_with('/') || !path.chars().all(is_allowed) {
        return Err(format!(
            "{path:?} is not a path; it starts with `/` and has visible ASCII only, without `#`"
        ));
    }
    Ok(path.to_owned())
}

fn method(method: &str) -> Result<String, String> {
    let is_method = http::Method::from_bytes(method.as_bytes()).is_ok();
    if !is_method || method == "CONNECT" {
        return Err(format!(
            "{method:?} is not a method a health check can use, as GET or HEAD"
        ));
    }
    Ok(method.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the keys of a check, as TOML, mean for a pool with these keys.
    #[track_caller]
    fn compiled(pool: &str, check: &str) -> Result<Check, Vec<String>> {
        let text = format!("targets = []\n{pool}\n[health_check]\n{check}");
        let pool: Pool = toml::from_str(&text).unwrap();
        let check = pool.health_check.as_ref().unwrap();
        Check::compile(check, &pool, &Path::default()).map_err(|faults| {
            let shown = |fault: &Fault| format!("{}: {}", fault.path, fault.message);
            faults.iter().map(shown).collect()
        })
    }

    #[track_caller]
    fn http(check: &str) -> Http {
        match compiled("", check).unwrap().question {
            Question::Http(http) => http,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn grpc(check: &str) -> Grpc {
        match compiled("", &format!("protocol = 'grpc'\n{check}"))
            .unwrap()
            .question
        {
            Question::Grpc(grpc) => grpc,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_enough() {
        let http = http("path = '/healthz'");
        assert_eq!((&*http.method, &*http.path), ("GET", "/healthz"));
        assert!(http.accepted.contains(200) && !http.accepted.contains(204));
        assert!(http.body.is_none() && http.host.is_none() && http.user_agent.is_none());
    }

    #[test]
    fn a_body_holds_a_text_or_a_match_anywhere() {
        let holds = |check: &str, body: &str| {
            let http = http(&format!("path = '/'\nbody = {check}"));
            http.body.unwrap().is_in(body.as_bytes())
        };
        assert!(holds("'a.c'", "xx a.c xx"));
        assert!(!holds("'a.c'", "abc"), "a text is no expression");
        assert!(!holds("'ok'", "OK"));
        assert!(holds("{ regex = 'a.c' }", "xx abc xx"));
        assert!(!holds("{ regex = '^a.c$' }", "xx abc xx"));
    }

    #[test]
    fn grpc_asks_the_standard_method_unless_told_another() {
        let standard = grpc("grpc_service = 'shop.Orders'");
        assert_eq!(standard.method, GRPC_METHOD);
        assert_eq!(standard.service.as_deref(), Some("shop.Orders"));
        assert_eq!(grpc("").service.as_deref(), Some(""));
        let other = grpc("path = '/AWS.ALB/healthcheck'\ngrpc_status = '12'");
        assert_eq!(
            (&*other.method, other.service),
            ("/AWS.ALB/healthcheck", None)
        );
        assert!(other.accepted.contains(12) && !other.accepted.contains(0));
    }

    #[test]
    fn a_check_goes_over_tls_where_the_pool_does() {
        let tls = |pool: &str, check: &str| compiled(pool, check).unwrap().tls;
        assert!(tls("tls = {}", "path = '/'"));
        assert!(tls("tls = {}", "path = '/'\ntls = true"));
        assert!(!tls("tls = {}", "path = '/'\ntls = false"));
        assert!(!tls("", "path = '/'"));
        assert!(
            !tls("tls = {}", "protocol = 'tcp'"),
            "a connection is enough"
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = compiled(
            "",
            "protocol = 'tcp'\nstatus = 'x'\ntls = true\ntimeout = '0'",
        );
        assert_eq!(
            wrong.unwrap_err(),
            [
                "status: does not apply to a `tcp` check, only to `http`",
                "tls: does not apply to a `tcp` check, only to `http` and `grpc`",
                "timeout: must be longer than 0: it would be over before it began",
            ]
        );
    }

    #[test]
    fn a_timeout_may_be_longer_than_the_interval() {
        let check = compiled("", "path = '/'\ninterval = '1s'\ntimeout = '5s'").unwrap();
        assert!(check.timeout > check.interval);
    }
}
