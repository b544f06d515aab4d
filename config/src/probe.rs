//! `routes.ramp.probe`: what targets of a canary are asked before a step, and which answers let it open.
//!
//! It asks nobody: the router does, over the pool's own terms, as a health check does.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::health::{Check, Http, Question};
use crate::model::Pool;
use crate::units::Statuses;

/// For a connection and the whole answer, of each target.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Who asks.
const USER_AGENT: &str = concat!("kanaria-Probe/", env!("CARGO_PKG_VERSION"));

/// An address that is asked for; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe(Option<Asked>);

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    text: String,
    scheme: &'static str,
    host: String,
    path: String,
}

impl Probe {
    /// What targets of `pool` are asked; `None` when nothing is. The pool's settings say how they are reached, and the
    /// address what is asked for: the scheme is told, as a client's is.
    pub fn check(&self, pool: &Pool) -> Option<Check> {
        let asked = self.0.as_ref()?;
        let question = Question::Http(Http {
            method: "GET".into(),
            path: asked.path.clone(),
            host: Some(asked.host.clone()),
            user_agent: Some(USER_AGENT.into()),
            client_scheme: Some(asked.scheme),
            accepted: Statuses::successes(),
            body: None,
        });
        Some(Check {
            interval: TIMEOUT,
            timeout: TIMEOUT,
            healthy_threshold: 1,
            unhealthy_threshold: 1,
            port: None,
            tls: pool.tls.is_some(),
            question,
        })
    }

    /// Whether it asks for nothing.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || {
            format!(
                "{text:?} is not an address to ask; write scheme, host and path, as http://www.example.com/healthz"
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(wrong()),
        };
        // `Uri` takes names of users, and leaves fragments out without a word.
        if text.contains(['#', '@']) {
            return Err(wrong());
        }
        let host = uri.authority().ok_or_else(wrong)?.to_string();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self(Some(Asked {
            text: text.to_owned(),
            scheme,
            host,
            path: path.to_owned(),
        })))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", |asked| &asked.text))
    }
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "probe" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn asked(text: &str) -> (&'static str, String, String) {
        let probe: Probe = text.parse().unwrap();
        assert_eq!(probe.to_string(), text);
        let asked = probe.0.unwrap();
        (asked.scheme, asked.host, asked.path)
    }

    #[test]
    fn an_address_is_scheme_host_and_path() {
        let expected = |scheme, host: &str, path: &str| (scheme, host.into(), path.into());
        assert_eq!(
            asked("http://www.example.com/healthz?deep=1"),
            expected("http", "www.example.com", "/healthz?deep=1")
        );
        assert_eq!(
            asked("https://www.example.com:8443"),
            expected("https", "www.example.com:8443", "/")
        );
        assert!("".parse::<Probe>().unwrap().is_none());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "/healthz",
            "www.example.com",
            "www.example.com/healthz",
            "ftp://www.example.com/",
            "http:///healthz",
            "http://me@www.example.com/",
            "http://www.example.com/#top",
            "http://www.example.com/a b",
            " http://www.example.com/",
        ] {
            assert!(text.parse::<Probe>().is_err(), "{text}");
        }
    }
}
