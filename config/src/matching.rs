//! Which requests a route takes: its conditions, compiled. All of them must hold; in each any value.

use std::net::IpAddr;

use http::HeaderName;

use crate::cookie;
use crate::facts::Facts;
use crate::ids::{ListenerId, PartitionId};
use crate::pattern::{Pattern, Wildcard};
use crate::units::Cidr;

/// A request and what has been found out about it before any route is asked.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) facts: &'a Facts<'a>,
    /// The host, normalized.
    pub(crate) host: &'a str,
    /// The path, in the reading that is compared.
    pub(crate) path: &'a [u8],
    pub(crate) partition: PartitionId,
}

/// One condition of a route.
#[derive(Debug)]
pub(crate) enum Condition {
    Cookie(String, Vec<Pattern>),
    Header(HeaderName, Vec<Pattern>),
    Host(Vec<Pattern>),
    Listener(Vec<ListenerId>),
    Method(Vec<String>),
    Partition(Vec<PartitionId>),
    Path(Vec<Pattern>),
    Query(Vec<Parameter>),
    SourceIp(Vec<Cidr>),
}

/// What one parameter of a query is compared with.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// `None` takes any name.
    pub(crate) key: Option<Wildcard>,
    pub(crate) value: Wildcard,
}

impl Condition {
    pub(crate) fn holds(&self, request: &Request<'_>) -> bool {
        let facts = request.facts;
        match self {
            Self::Cookie(name, values) => {
                cookie::any(facts.fields, name, |value| any(values, value))
            }
            Self::Header(name, values) => facts.fields.any(name, &mut |value| any(values, value)),
            Self::Host(values) => any(values, request.host.as_bytes()),
            Self::Listener(ids) => ids.contains(&facts.listener),
            Self::Method(methods) => methods.iter().any(|method| method == facts.method),
            Self::Partition(ids) => ids.contains(&request.partition),
            Self::Path(values) => any(values, request.path),
            Self::Query(parameters) => any_parameter(parameters, facts.query.unwrap_or_default()),
            Self::SourceIp(networks) => contains(networks, facts.source_ip),
        }
    }

    /// The key an operator wrote it under, for explanations.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Cookie(name, _) => format!("cookie.{name}"),
            Self::Header(name, _) => format!("header.{name}"),
            Self::Host(_) => "host".into(),
            Self::Listener(_) => "listener".into(),
            Self::Method(_) => "method".into(),
            Self::Partition(_) => "partition".into(),
            Self::Path(_) => "path".into(),
            Self::Query(_) => "query".into(),
            Self::SourceIp(_) => "source_ip".into(),
        }
    }

    /// How much work it is to ask; cheap conditions are asked first.
    pub(crate) const fn cost(&self) -> u8 {
        match self {
            Self::Listener(_) | Self::Method(_) | Self::Partition(_) => 0,
            Self::Host(_) | Self::Path(_) | Self::SourceIp(_) => 1,
            Self::Cookie(..) | Self::Header(..) | Self::Query(_) => 2,
        }
    }
}

/// Whether `address` lies in one of `networks`.
pub(crate) fn contains(networks: &[Cidr], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

fn any(values: &[Pattern], value: &[u8]) -> bool {
    values.iter().any(|pattern| pattern.matches(value))
}

/// A parameter without `=` is a name with an empty value; nothing is decoded, as in an ALB.
fn any_parameter(parameters: &[Parameter], query: &str) -> bool {
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').any(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        !part.is_empty()
            && parameters
                .iter()
                .any(|parameter| parameter.matches(key, value))
    })
}

impl Parameter {
    fn matches(&self, key: &str, value: &str) -> bool {
        let wanted = self.key.as_ref();
        wanted.is_none_or(|wanted| wanted.matches(key.as_bytes()))
            && self.value.matches(value.as_bytes())
    }
}

#[cfg(test)]
mod tests;
