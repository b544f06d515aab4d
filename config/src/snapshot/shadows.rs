//! The shadow pool of a route, as written to as used.

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderName, HeaderValue};

use super::conditions::{method_name, path_pattern};
use super::names::Faults;
use super::routes::header_name;
use super::{ramps, rules};
use crate::ids::PoolId;
use crate::model;
use crate::pattern::{Case, Pattern, Wildcard};
use crate::problem::Trail;
use crate::shadow::{MARK, Redaction, SAFE, Shadow};
use crate::split::Split;

/// Copies that may be underway at once; each has its bytes, and most its connection.
const MOST_IN_FLIGHT: u32 = 10_000;
/// A rate above any that a router carries.
const MOST_RPS: u32 = 1_000_000;

/// What is known of the pools of the route that has the table.
pub(super) struct Surroundings<'a> {
    pub(super) pool: Result<PoolId, String>,
    pub(super) split: &'a Split,
    pub(super) partition_header: &'a HeaderName,
}

pub(super) fn compile(
    written: &model::Shadow,
    around: Surroundings<'_>,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Arc<Shadow>> {
    let pool = faults.check(&path.key("pool"), around.pool);
    check_other(written, pool, around.split, path, faults);
    let percent = ramps::share(written.percent);
    let share = faults.check(&path.key("percent"), percent);
    check_bounds(written, path, faults);
    let methods = methods(written, &path.key("methods"), faults);
    let paths = patterns(&written.paths, &path.key("paths"), faults);
    if written.paths.is_empty() {
        faults.add(
            &path.key("paths"),
            "the list is empty; at least one value is needed",
        );
    }
    let denied = patterns(&written.deny_paths, &path.key("deny_paths"), faults);
    let drops = drops(written, &path.key("drop_headers"), faults);
    let direction = rules::Direction::Copy(around.partition_header);
    let headers = rules::fields(&written.headers, direction, &path.key("headers"), faults);
    let host = written.host.as_deref().map(host).transpose();
    let host = faults.check(&path.key("host"), host);
    let redaction = redaction(written, &path.key("redact"), faults);
    let ignored = ignored(written, &path.key("ignore"), faults);
    Some(Arc::new(Shadow {
        pool: pool?,
        settings: written.clone(),
        share: share?,
        methods,
        paths,
        denied,
        drops,
        headers,
        host: host?,
        ignored,
        redaction,
    }))
}

/// A route that never sends a request elsewhere has nothing to copy.
fn check_other(
    written: &model::Shadow,
    pool: Option<PoolId>,
    split: &Split,
    path: &Trail<'_>,
    faults: &mut Faults,
) {
    if let (Some(pool), [(only, _)]) = (pool, &*split.weights)
        && pool == *only
    {
        let message = format!(
            "`{}` is the route's only pool, which serves every request itself; name another one",
            written.pool
        );
        faults.add(&path.key("pool"), message);
    }
}

fn check_bounds(written: &model::Shadow, path: &Trail<'_>, faults: &mut Faults) {
    if !(1..=MOST_IN_FLIGHT).contains(&written.max_in_flight) {
        let message = format!(
            "must be from 1 to {MOST_IN_FLIGHT}, found {}",
            written.max_in_flight
        );
        faults.add(&path.key("max_in_flight"), message);
    }
    if written.max_rps > MOST_RPS {
        let message = format!("must be from 0 to {MOST_RPS}, found {}", written.max_rps);
        faults.add(&path.key("max_rps"), message);
    }
    if written.timeout.0.is_zero() {
        faults.add(&path.key("timeout"), "0s is no time for an answer");
    }
    if written.max_bytes.0 <= written.max_body.0 {
        let message = "must be more than `max_body`, or the largest copy would never be made";
        faults.add(&path.key("max_bytes"), message);
    }
}

fn methods(written: &model::Shadow, path: &Trail<'_>, faults: &mut Faults) -> Box<[Box<str>]> {
    if written.methods.is_empty() {
        faults.add(path, "the list is empty; at least one value is needed");
    }
    let methods = written.methods.iter().enumerate();
    let methods = methods.filter_map(|(position, method)| {
        let path = path.index(position);
        let method = faults.check(&path, method_name(method))?;
        if !written.unsafe_methods && !SAFE.contains(&method.as_str()) {
            let message = format!(
                "`{method}` may change something, and a copy changes it twice; `unsafe_methods = true` lets it be copied"
            );
            faults.add(&path, message);
        }
        Some(method.into_boxed_str())
    });
    methods.collect()
}

fn patterns(written: &[model::Pattern], path: &Trail<'_>, faults: &mut Faults) -> Box<[Pattern]> {
    let patterns = written.iter().enumerate();
    patterns
        .filter_map(|(position, pattern)| {
            faults.check(&path.index(position), path_pattern(pattern))
        })
        .collect()
}

fn drops(written: &model::Shadow, path: &Trail<'_>, faults: &mut Faults) -> Box<[HeaderName]> {
    let drop = |name: &str| {
        let name = header_name(name)?;
        if name == HOST {
            return Err("every request has a `Host`; `host` changes it".to_owned());
        }
        if name == MARK {
            return Err(format!("`{MARK}` is what tells a copy from a request"));
        }
        Ok(name)
    };
    let names = written.drop_headers.iter().enumerate();
    names
        .filter_map(|(position, name)| faults.check(&path.index(position), drop(name)))
        .collect()
}

fn ignored(written: &model::Shadow, path: &Trail<'_>, faults: &mut Faults) -> Box<[Wildcard]> {
    let facets = written.ignore.iter().enumerate();
    facets
        .filter_map(|(position, facet)| faults.check(&path.index(position), ignorable(facet)))
        .collect()
}

/// What an answer may differ in, or some of it.
fn ignorable(text: &str) -> Result<Wildcard, String> {
    const WHOLE: [&str; 5] = ["status", "body", "body:type", "html:text", "html:tags"];
    let facet = match text.split_once(':') {
        // Names of fields have no case.
        Some(("header", name)) if !name.is_empty() => {
            format!("header:{}", name.to_ascii_lowercase())
        }
        Some(("cookie", name)) if !name.is_empty() => text.to_owned(),
        Some(("json", path)) if path.starts_with('$') => text.to_owned(),
        _ if WHOLE.contains(&text) => text.to_owned(),
        _ => {
            return Err(format!(
                "`{text}` is nothing that answers differ in; write `status`, `header:NAME`, `cookie:NAME`, `json:$.PATH`, `html:text`, `html:tags`, `body` or `body:type`"
            ));
        }
    };
    Wildcard::new(&facet, Case::Sensitive)
}

fn redaction(written: &model::Shadow, path: &Trail<'_>, faults: &mut Faults) -> Redaction {
    for (position, rule) in written.redact.iter().enumerate() {
        faults.check(&path.index(position), Redaction::new(&[rule]));
    }
    if written.record.is_none() && !written.redact.is_empty() {
        faults.add(path, "nothing is written down without `record`");
    }
    Redaction::new(&written.redact).unwrap_or_default()
}

fn host(text: &str) -> Result<HeaderValue, String> {
    rules::host_text(text, true)?;
    HeaderValue::from_str(text).map_err(|_| format!("`{text}` is not a host"))
}
