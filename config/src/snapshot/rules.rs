//! What is changed on the way, as written: fields, cookies, addresses.

use std::collections::HashSet;

use http::{HeaderName, HeaderValue, header};
use regex::{Regex, RegexBuilder};

use super::names::Faults;
use super::routes::{cookie_name, header_name};
use crate::cookie::rules::{Expire, Names, Rules};
use crate::fields::{Edit, FRAMING, Fields};
use crate::model::{self, Values};
use crate::pattern::{MAX_COMPILED, MAX_LENGTH, refusal};
use crate::problem::Trail;
use crate::rewrite::{Replacement, Rewrite, Url, pieces};

/// Which fields a rule is about.
#[derive(Clone, Copy)]
pub(super) enum Direction<'a> {
    /// To a shadow pool, which is not told what clients are; with the name of the partition header.
    Copy(&'a HeaderName),
    /// To targets; with the name of the partition header.
    Request(&'a HeaderName),
    /// To clients.
    Response,
}

/// Fields of requests that kanaria itself sets, and what decides them.
const OURS: [(&str, &str); 9] = [
    ("x-forwarded-for", "`server.forwarded` decides it"),
    ("x-forwarded-host", "`server.forwarded` decides it"),
    ("x-forwarded-port", "`server.forwarded` decides it"),
    ("x-forwarded-proto", "`server.forwarded` decides it"),
    ("x-amzn-trace-id", "kanaria sets it on every request"),
    ("x-request-id", "kanaria sets it on every request"),
    ("x-kanaria-shadow", "kanaria sets it on copies"),
    ("host", "`rewrite.host` changes it"),
    ("cookie", "`cookies` of a pool change it"),
];

pub(super) fn fields(
    written: &model::Fields,
    direction: Direction<'_>,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Fields {
    let mut edits = Vec::new();
    let mut removed = HashSet::new();
    let removing = path.key("remove");
    for (position, name) in written.remove.iter().enumerate() {
        let path = removing.index(position);
        if let Some(name) = faults.check(&path, changeable(name, direction)) {
            if !removed.insert(name.clone()) {
                faults.add(&path, format!("`{name}` is removed already"));
            }
            edits.push(Edit::Remove(name));
        }
    }
    let mut set = HashSet::new();
    let setting = path.key("set");
    for (name, value) in &written.set {
        let path = setting.key(name);
        let name = faults.check(&path, changeable(name, direction));
        let value = faults.check(&path, field_value(value));
        if let (Some(name), Some(value)) = (name, value) {
            if removed.contains(&name) || !set.insert(name.clone()) {
                let message = format!(
                    "`{name}` is removed or set already; `set` replaces every value by itself"
                );
                faults.add(&path, message);
            }
            edits.push(Edit::Set(name, value));
        }
    }
    let adding = path.key("add");
    for (name, values) in &written.add {
        let path = adding.key(name);
        let name = faults.check(&path, changeable(name, direction));
        for value in added(values, &path, faults) {
            edits.extend(name.clone().map(|name| Edit::Add(name, value)));
        }
    }
    Fields(edits.into())
}

fn added(values: &Values<String>, path: &Trail<'_>, faults: &mut Faults) -> Vec<HeaderValue> {
    match values {
        Values::One(value) => faults.check(path, field_value(value)).into_iter().collect(),
        Values::Many(values) => {
            let values = values.iter().enumerate();
            let values =
                values.filter_map(|(n, value)| faults.check(&path.index(n), field_value(value)));
            values.collect()
        }
    }
}

/// The name of a field that may be changed by a rule.
fn changeable(name: &str, direction: Direction<'_>) -> Result<HeaderName, String> {
    let name = header_name(name)?;
    let text = name.as_str();
    if FRAMING.contains(&name) {
        return Err(format!(
            "`{text}` belongs to the connection or to the framing of a message, which no rule may change"
        ));
    }
    if text.starts_with("kanaria-") {
        return Err(format!("`{text}` is set by kanaria alone"));
    }
    let partition = match direction {
        Direction::Response => return Ok(name),
        // A cookie of a copy is a credential like any other.
        Direction::Copy(_) if name == header::COOKIE => return Ok(name),
        Direction::Copy(_) if name == header::HOST => {
            return Err("`host` is not for a rule: `shadow.host` changes it".to_owned());
        }
        Direction::Copy(partition) | Direction::Request(partition) => partition,
    };
    if name == *partition {
        return Err(format!(
            "`{text}` is the partition header; `partitions` decides it"
        ));
    }
    match OURS.iter().find(|(own, _)| *own == text) {
        Some((_, why)) => Err(format!("`{text}` is not for a rule: {why}")),
        None => Ok(name),
    }
}

fn field_value(value: &str) -> Result<HeaderValue, String> {
    if value.len() > MAX_LENGTH {
        return Err(format!(
            "the value is {} bytes long; allowed are {MAX_LENGTH}",
            value.len()
        ));
    }
    let parsed = HeaderValue::from_str(value).ok();
    parsed.filter(|_| value.trim() == value).ok_or_else(|| {
        format!("{value:?} is no value of a field; allowed is visible ASCII, with spaces inside")
    })
}

/// The cookie rules of a pool; `ours` are names that `sticky` uses.
pub(super) fn cookies(
    written: &model::Cookies,
    ours: &HashSet<&str>,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Rules {
    let name = |name: &str| match ours.contains(name) {
        true => Err(format!(
            "`{name}` is the cookie of `sticky`, which no rule may change"
        )),
        false => cookie_name(name),
    };
    let expiring = path.key("expire");
    let expire = written.expire.iter().enumerate().filter_map(|(n, expire)| {
        let path = expiring.index(n);
        let name = faults.check(&path.key("name"), name(&expire.name));
        let lines = expire_lines(expire, &path, faults);
        Some(Expire {
            name: name?.into(),
            when: expire.when,
            lines,
        })
    });
    let expire = expire.collect();
    Rules {
        request: cookie_names(&written.request, &name, &path.key("request"), faults),
        response: cookie_names(&written.response, &name, &path.key("response"), faults),
        expire,
    }
}

fn cookie_names(
    written: &model::CookieNames,
    name: &dyn Fn(&str) -> Result<String, String>,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Names {
    let mut changes: Vec<(Box<str>, Option<Box<str>>)> = Vec::new();
    let mut taken = HashSet::new();
    let renaming = path.key("rename");
    for (from, to) in &written.rename {
        let path = renaming.key(from);
        let from = faults.check(&path, name(from));
        let to = faults.check(&path, name(to));
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        if from == to || !taken.insert(to.clone()) {
            let message = format!("`{to}` is the name it has, or another one gets, already");
            faults.add(&path, message);
        }
        changes.push((from.into(), Some(to.into())));
    }
    let dropping = path.key("drop");
    for (position, dropped) in written.drop.iter().enumerate() {
        let path = dropping.index(position);
        let Some(dropped) = faults.check(&path, name(dropped)) else {
            continue;
        };
        if changes.iter().any(|(from, _)| **from == *dropped) {
            faults.add(&path, format!("`{dropped}` is renamed or dropped already"));
        }
        changes.push((dropped.into(), None));
    }
    // Two cookies of one name would be what nobody meant, so one that has the new name by itself goes.
    for to in taken {
        if !changes.iter().any(|(from, _)| **from == *to) {
            changes.push((to.into(), None));
        }
    }
    changes.sort();
    Names { changes }
}

fn expire_lines(written: &model::Expire, path: &Trail<'_>, faults: &mut Faults) -> Vec<String> {
    let is_path = written.path.starts_with('/')
        && !written.path.contains(';')
        && written.path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path {
        let message = format!("{:?} is not a path of a cookie, as /", written.path);
        faults.add(&path.key("path"), message);
    }
    if written.domains.is_empty() {
        let message = "the list is empty; \"\" is the cookie without a Domain";
        faults.add(&path.key("domains"), message);
    }
    let mut lines = Vec::new();
    for (position, domain) in written.domains.iter().enumerate() {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if !domain.bytes().all(is_allowed) {
            let message = format!("{domain:?} is not a domain, as example.com");
            faults.add(&path.key("domains").index(position), message);
        }
        let domain = match domain.as_str() {
            "" => String::new(),
            domain => format!("; Domain={domain}"),
        };
        // A browser that knows no Max-Age goes by Expires; a name with a prefix is taken only with Secure.
        let secure = if written.name.starts_with("__") {
            "; Secure"
        } else {
            ""
        };
        lines.push(format!(
            "{}=; Path={}{domain}{secure}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            written.name, written.path
        ));
    }
    lines
}

pub(super) fn rewrite(
    written: &model::Rewrite,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Rewrite> {
    let mut each = |key: &str, written: &Option<model::Replacement>, check: Check| {
        let path = path.key(key);
        let written = written.as_ref()?;
        replacement(written, check, &path, faults)
    };
    let whole = each("url", &written.url, url_text);
    let by_path = each("path", &written.path, path_text);
    let by_query = each("query", &written.query, query_text);
    let host = each("host", &written.host, host_text);
    if written.url.is_some() && (written.path.is_some() || written.query.is_some()) {
        let message = "`url` is path and query together; write either it or `path` and `query`";
        faults.add(&path.key("url"), message);
    }
    if *written == model::Rewrite::default() {
        faults.add(
            path,
            "names nothing to rewrite: write `path`, `query`, `url` or `host`",
        );
    }
    let url = match whole {
        Some(whole) => Url::Whole(whole),
        None => Url::Parts {
            path: by_path,
            query: by_query,
        },
    };
    Some(Rewrite { url, host })
}

/// What a text that is put somewhere may contain, literally; and whether it is all that will be there.
type Check = fn(&str, bool) -> Result<(), String>;

fn replacement(
    written: &model::Replacement,
    check: Check,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Replacement> {
    match written {
        model::Replacement::Text(text) => {
            faults.check(path, check(text, true))?;
            Some(Replacement::Text(text.as_str().into()))
        }
        model::Replacement::Regex { regex, to } => {
            let regex = faults.check(&path.key("regex"), expression(regex));
            faults.check(&path.key("to"), check(to, false));
            let regex = regex?;
            let pieces = faults.check(&path.key("to"), pieces(to, &regex))?;
            Some(Replacement::Regex(regex, pieces))
        }
    }
}

fn expression(text: &str) -> Result<Regex, String> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return Err(format!(
            "the expression is {} bytes long; allowed are 1 to {MAX_LENGTH}",
            text.len()
        ));
    }
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| refusal(text, &error))
}

fn path_text(text: &str, whole: bool) -> Result<(), String> {
    url_text(text, whole)?;
    if text.contains('?') {
        return Err(format!(
            "`{text}` is not a path alone; the query stands under `query`"
        ));
    }
    Ok(())
}

fn query_text(text: &str, _whole: bool) -> Result<(), String> {
    visible(text)?;
    if text.starts_with('?') {
        return Err(format!("`{text}` is not a query; write it without `?`"));
    }
    Ok(())
}

fn url_text(text: &str, whole: bool) -> Result<(), String> {
    visible(text)?;
    if whole && !text.starts_with('/') {
        return Err(format!("`{text}` is not a path; a path starts with `/`"));
    }
    Ok(())
}

pub(super) fn host_text(text: &str, whole: bool) -> Result<(), String> {
    visible(text)?;
    let is_host = text.parse::<http::uri::Authority>().is_ok() && !text.contains('@');
    if whole && !is_host {
        return Err(format!(
            "`{text}` is not a host, as www.example.com or www.example.com:8080"
        ));
    }
    Ok(())
}

fn visible(text: &str) -> Result<(), String> {
    if text.len() > MAX_LENGTH {
        return Err(format!(
            "the text is {} bytes long; allowed are {MAX_LENGTH}",
            text.len()
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
        return Err(format!(
            "{text:?} has characters that an address cannot have; write them percent-encoded"
        ));
    }
    Ok(())
}
