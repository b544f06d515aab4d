//! `${NAME}` and `${NAME:-default}` in string values; `$${` stands for `${` itself. Keys are left alone.

use crate::document::{Node, Value};
use crate::problem::Trail;
use crate::text::{Finding, Place, Texts};

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the references in every string value of the tree at `path`; what cannot be replaced is reported and left broken.
pub(crate) fn interpolate(
    path: &Trail<'_>,
    node: &mut Node,
    texts: &Texts,
    environment: Environment<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut interpolation = Interpolation {
        texts,
        environment,
        findings,
    };
    interpolation.at(path, node);
}

/// `text` with the references in it replaced; what cannot be replaced is an error, in words.
///
/// # Errors
/// A variable that is not set and has no default, or a reference that is none.
pub fn filled(text: &str, environment: Environment<'_>) -> Result<String, String> {
    replace(text, environment).map_err(|refusal| refusal.message)
}

struct Interpolation<'a> {
    texts: &'a Texts,
    environment: Environment<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Interpolation<'_> {
    fn at(&mut self, path: &Trail<'_>, node: &mut Node) {
        match &mut node.value {
            Value::Text(text) if text.contains("${") => match replace(text, self.environment) {
                Ok(replaced) => *text = replaced,
                Err(refusal) => {
                    self.findings.push(Finding {
                        place: refusal.place(node.place, self.texts),
                        path: path.path(),
                        message: refusal.message,
                    });
                    node.value = Value::Broken;
                }
            },
            Value::List(items) => {
                for (position, item) in items.iter_mut().enumerate() {
                    self.at(&path.index(position), item);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    self.at(&path.key(&entry.key), &mut entry.node);
                }
            }
            _ => {}
        }
    }
}

#[derive(Debug, PartialEq)]
struct Refusal {
    /// The reference as written, to find its place inside the value.
    reference: String,
    message: String,
}

impl Refusal {
    fn new(reference: &str, message: impl Into<String>) -> Self {
        Self {
            reference: reference.to_owned(),
            message: message.into(),
        }
    }

    /// The place of the reference, or that of the whole value when escapes hide it.
    fn place(&self, value: Place, texts: &Texts) -> Place {
        let written = texts.text(value.file).get(value.start..value.end);
        match written.and_then(|written| written.find(&self.reference)) {
            Some(offset) => Place {
                start: value.start + offset,
                end: value.start + offset + self.reference.len(),
                ..value
            },
            None => value,
        }
    }
}

fn replace(text: &str, environment: Environment<'_>) -> Result<String, Refusal> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            replaced.push_str(escaped);
            replaced.push_str("${");
            rest = &reference[2..];
            continue;
        }
        replaced.push_str(before);
        let Some(end) = reference.find('}') else {
            let message = "`${` without `}`; write `$${` for the characters themselves";
            return Err(Refusal::new(reference, message));
        };
        replaced.push_str(&resolve(&reference[..=end], environment)?);
        rest = &reference[end + 1..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// The value of one whole reference. As in a shell, a default also stands in for an empty variable.
fn resolve(reference: &str, environment: Environment<'_>) -> Result<String, Refusal> {
    let inner = &reference[2..reference.len() - 1];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_name(name) {
        let message = format!(
            "`{reference}` names no variable; write `${{NAME}}` or `${{NAME:-default}}`, and `$${{` for the characters themselves"
        );
        return Err(Refusal::new(reference, message));
    }
    match (environment(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let message = format!(
                "the environment variable `{name}` is not set; set it or give a default as `${{{name}:-default}}`"
            );
            Err(Refusal::new(reference, message))
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        let environment = |name: &str| match name {
            "HOST" => Some("ec2".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        match (replace(text, &environment), expect) {
            (Ok(given), Ok(expected)) => assert_eq!(given, expected),
            (Err(refusal), Err(part)) => assert!(refusal.message.contains(part), "{refusal:?}"),
            (given, _) => panic!("{text}: {given:?}"),
        }
    }

    #[test]
    fn references_are_replaced() {
        check("a ${HOST} b ${HOST}", Ok("a ec2 b ec2"));
        check("${NO:-1:-2}", Ok("1:-2"));
        check("${NO:-}", Ok(""));
        check("${HOST:-other}", Ok("ec2"));
        check("${EMPTY:-other}", Ok("other"));
        check("[${EMPTY}]", Ok("[]"));
    }

    #[test]
    fn what_a_variable_holds_is_not_replaced_again() {
        check("${NESTED}", Ok("${HOST}"));
    }

    #[test]
    fn dollars_without_a_brace_and_escaped_references_stay() {
        check("$HOST ^a$ $$", Ok("$HOST ^a$ $$"));
        check("$${HOST}", Ok("${HOST}"));
        check("$$${HOST}", Ok("$${HOST}"));
        check("日本${HOST}", Ok("日本ec2"));
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        check("${NO}", Err("`NO` is not set"));
        check("${HOST", Err("without `}`"));
        check("${}", Err("names no variable"));
        check("${1A}", Err("names no variable"));
        check("${A-b}", Err("names no variable"));
    }
}
