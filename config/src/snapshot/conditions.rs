//! `match` as written to conditions, cheap ones first.

use std::collections::BTreeMap;

use http::header::HOST;

use super::names::{self, Faults};
use super::routes::{Scope, cookie_name, header_name};
use crate::ids::ListenerId;
use crate::matching::{Condition, Parameter};
use crate::model::{self, Match, QueryCondition, QueryValue, Values};
use crate::partition::check_host_pattern;
use crate::pattern::{Case, Pattern, Wildcard};
use crate::problem::Trail;

pub(super) fn compile(
    scope: &Scope<'_>,
    written: &Match,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    conditions.extend(partition(scope, written, path, faults));
    conditions.extend(listener(scope, written, path, faults));
    conditions.extend(method(written, path, faults));
    conditions.extend(source_ip(written, path, faults));
    conditions.extend(host(written, path, faults));
    conditions.extend(request_path(written, path, faults));
    conditions.extend(headers(scope, written, path, faults));
    conditions.extend(cookies(written, path, faults));
    conditions.extend(query(written, path, faults));
    conditions.sort_by_key(Condition::cost);
    conditions
}

/// Every value, compiled by `each`; those at fault are noted and left out.
fn all<T, C>(
    values: &Values<T>,
    path: &Trail<'_>,
    faults: &mut Faults,
    each: impl Fn(&T) -> Result<C, String>,
) -> Vec<C> {
    match values {
        Values::One(value) => faults.check(path, each(value)).into_iter().collect(),
        Values::Many(values) => {
            if values.is_empty() {
                faults.add(path, "the list is empty; at least one value is needed");
            }
            let values = values.iter().enumerate();
            values
                .filter_map(|(position, value)| faults.check(&path.index(position), each(value)))
                .collect()
        }
    }
}

fn partition(
    scope: &Scope<'_>,
    written: &Match,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Condition> {
    let partitions = scope.partitions;
    let ids = all(
        written.partition.as_ref()?,
        &path.key("partition"),
        faults,
        |name| {
            let known = partitions.names.iter().map(|(name, _)| name);
            let id = partitions.named(name);
            id.ok_or_else(|| names::unknown("partition", name, known))
        },
    );
    Some(Condition::Partition(ids))
}

fn listener(
    scope: &Scope<'_>,
    written: &Match,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Condition> {
    let ids = all(
        written.listener.as_ref()?,
        &path.key("listener"),
        faults,
        |name| scope.listeners.find(name).map(ListenerId),
    );
    Some(Condition::Listener(ids))
}

fn method(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Option<Condition> {
    let methods = all(
        written.method.as_ref()?,
        &path.key("method"),
        faults,
        |method| method_name(method),
    );
    Some(Condition::Method(methods))
}

pub(super) fn method_name(method: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
    if method.is_empty() || !method.bytes().all(is_letter) {
        return Err(format!(
            "`{method}` is not a method; allowed are A-Z, `-` and `_`, compared exactly"
        ));
    }
    Ok(method.to_owned())
}

fn source_ip(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Option<Condition> {
    let networks = all(
        written.source_ip.as_ref()?,
        &path.key("source_ip"),
        faults,
        |network| Ok(*network),
    );
    Some(Condition::SourceIp(networks))
}

fn host(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Option<Condition> {
    let hosts = all(written.host.as_ref()?, &path.key("host"), faults, |host| {
        if let model::Pattern::Wildcard(text) = host {
            check_host_pattern(text)?;
        }
        Pattern::new(host, Case::Insensitive)
    });
    Some(Condition::Host(hosts))
}

fn request_path(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Option<Condition> {
    let paths = all(
        written.path.as_ref()?,
        &path.key("path"),
        faults,
        path_pattern,
    );
    Some(Condition::Path(paths))
}

pub(super) fn path_pattern(pattern: &model::Pattern) -> Result<Pattern, String> {
    if let model::Pattern::Wildcard(text) = pattern
        && !text.is_empty()
        && !text.starts_with(['/', '*', '?'])
    {
        return Err(format!("`{text}` matches no path; a path starts with `/`"));
    }
    Pattern::of_path(pattern)
}

fn headers(
    scope: &Scope<'_>,
    written: &Match,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Vec<Condition> {
    let path = path.key("header");
    let mut conditions = Vec::new();
    for (name, values) in &written.header {
        let path = path.key(name);
        let Some(header) = faults.check(&path, header_name(name)) else {
            continue;
        };
        if header == HOST {
            faults.add(&path, "the host is matched by `host`, not by `header`");
        }
        if header == scope.partitions.header {
            let message = "a client's own copy of this header is not believed; match `partition`";
            faults.add(&path, message);
        }
        let values = all(values, &path, faults, |value| {
            Pattern::new(value, Case::Insensitive)
        });
        conditions.push(Condition::Header(header, values));
    }
    conditions
}

fn cookies(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Vec<Condition> {
    let path = path.key("cookie");
    let mut conditions = Vec::new();
    for (name, values) in &written.cookie {
        let path = path.key(name);
        let name = faults.check(&path, cookie_name(name));
        let values = all(values, &path, faults, |value| {
            Pattern::new(value, Case::Sensitive)
        });
        conditions.extend(name.map(|name| Condition::Cookie(name, values)));
    }
    conditions
}

fn query(written: &Match, path: &Trail<'_>, faults: &mut Faults) -> Vec<Condition> {
    let path = path.key("query");
    match &written.query {
        None => Vec::new(),
        Some(QueryCondition::ByKey(keys)) => by_key(keys, &path, faults),
        Some(QueryCondition::AnyOf(values)) => vec![any_of(values, &path, faults)],
    }
}

fn by_key(
    keys: &BTreeMap<String, Values<String>>,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Vec<Condition> {
    let conditions = keys.iter().map(|(key, values)| {
        let path = path.key(key);
        let is_key = wildcard(key).map_err(|message| format!("in the parameter's name {message}"));
        faults.check(&path, is_key);
        let parameters = all(values, &path, faults, |value| wildcard(value));
        let parameters = parameters.into_iter().map(|value| Parameter {
            key: wildcard(key).ok(),
            value,
        });
        Condition::Query(parameters.collect())
    });
    conditions.collect()
}

fn any_of(values: &[QueryValue], path: &Trail<'_>, faults: &mut Faults) -> Condition {
    if values.is_empty() {
        faults.add(path, "the list is empty; at least one value is needed");
    }
    let parameters = values.iter().enumerate().filter_map(|(position, written)| {
        let path = path.index(position);
        let key = written.key.as_deref().map(wildcard).transpose();
        let key = faults.check(&path.key("key"), key);
        let value = faults.check(&path.key("value"), wildcard(&written.value));
        Some(Parameter {
            key: key?,
            value: value?,
        })
    });
    Condition::Query(parameters.collect())
}

fn wildcard(text: impl AsRef<str>) -> Result<Wildcard, String> {
    Wildcard::with_escapes(text.as_ref(), Case::Insensitive)
}
