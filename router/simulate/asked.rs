//! The request that all clients make: what a scenario says, and for the rest something that the route's match takes.

use std::net::{IpAddr, Ipv4Addr};

use config::facts::Facts;
use config::ids::{ListenerId, RouteId};
use config::model::{Match, Pattern, Values};
use config::problem::{Fault, Path};
use config::scenario::Request;
use config::snapshot::{Snapshot, Structure};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fields: HeaderMap,
}

impl Asked {
    /// One that the route at `route` should take.
    pub(super) fn of(structure: &Structure, route: RouteId, request: &Request) -> Self {
        let matches = &structure.routes[route.0 as usize].settings.matches;
        let text = |given: &Option<String>, own: Option<String>, otherwise: &str| {
            let found = given.clone().or(own);
            found.unwrap_or_else(|| otherwise.to_owned())
        };
        let host = matches.host.as_ref().and_then(pattern);
        let host = host.or_else(|| structure.host_in(first(matches.partition.as_ref()?)?));
        Self {
            method: text(
                &request.method,
                matches.method.as_ref().and_then(first).cloned(),
                "GET",
            ),
            host: text(&request.host, host, "www.example.com"),
            path: text(&request.path, matches.path.as_ref().and_then(pattern), "/"),
            query: request.query.clone(),
            fields: fields(matches, request),
        }
    }

    /// Whether the route takes it.
    pub(super) fn check(&self, snapshot: &Snapshot, route: RouteId) -> Result<(), Fault> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let decision = snapshot.decide(&Facts {
            listener: ListenerId(0),
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            fields: &self.fields,
            source_ip: address,
            client_ip: address,
            trusted: false,
            now: 0,
            fresh: &[0; 16],
        });
        if decision.route == Some(route) {
            return Ok(());
        }
        let taken = decision.route.map_or_else(
            || "no route takes".to_owned(),
            |other| format!("route `{}` takes", snapshot.route(other).name),
        );
        let message = format!(
            "{taken} `{} {}{}`, and not `{}`; write a request of it here: method, host, path, query, headers",
            self.method,
            self.host,
            self.path,
            snapshot.route(route).name
        );
        Err(Path::default().key("request").fault(message))
    }
}

fn fields(matches: &Match, request: &Request) -> HeaderMap {
    let own = matches.header.iter();
    let own = own.filter_map(|(name, values)| Some((name.clone(), pattern(values)?)));
    let mut fields = HeaderMap::new();
    for (name, value) in own.chain(request.headers.clone()) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            fields.insert(name, value);
        }
    }
    fields
}

fn first<T>(values: &Values<T>) -> Option<&T> {
    match values {
        Values::One(value) => Some(value),
        Values::Many(values) => values.first(),
    }
}

/// A text that the first pattern takes; `None` for a regular expression.
fn pattern(values: &Values<Pattern>) -> Option<String> {
    match first(values)? {
        Pattern::Wildcard(text) => Some(text.replace(['*', '?'], "x")),
        Pattern::Regex { .. } => None,
    }
}
