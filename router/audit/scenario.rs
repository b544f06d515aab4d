//! What a scenario file says, with every fault at its line and column.

use std::collections::BTreeMap;
use std::fmt;

use config::load::{Environment, filled};
use http::Method;
use regex::Regex;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A client's way through the pools, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Where the router listens: `http://127.0.0.1:8080`.
    #[serde(default)]
    pub url: Option<String>,
    /// What clients call it; without it the host of `url`.
    #[serde(default)]
    pub host: Option<String>,
    /// What the client does, in this order.
    pub steps: Vec<Step>,
}

/// One request, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the client does, for people.
    pub name: String,
    /// The pool that serves it.
    pub pool: Spanned<String>,
    /// Method and path: `POST /login`.
    pub request: Spanned<String>,
    /// Fields of a form, sent as its body.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// Another body.
    #[serde(default)]
    pub body: Option<String>,
    /// Header fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// It is another client, without cookies.
    #[serde(default)]
    pub fresh: bool,
    /// Words of the answer that later steps name as `{{word}}`: what the one group of a regular expression finds in its body.
    #[serde(default)]
    pub take: BTreeMap<String, Spanned<String>>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

/// What an answer must be like; anything below status 400 when nothing is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Any of these.
    pub status: Vec<u16>,
    /// A text that its body has.
    pub contains: Option<String>,
    /// A text that its body does not have.
    pub lacks: Option<String>,
    /// How many cookies of a name the client holds after it.
    pub cookies: BTreeMap<String, usize>,
}

/// Something wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Reads a scenario for a route that has ways to `pools`; `environment` has what stands in `${NAME}`.
///
/// # Errors
/// All of its faults, but for those behind a fault of the form.
pub fn read(
    text: &str,
    pools: &[&str],
    environment: Environment<'_>,
) -> Result<Scenario, Vec<Fault>> {
    let mut scenario: Scenario = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![fault(text, at, error.message().to_owned())]
    })?;
    let mut faults = Vec::new();
    if scenario.steps.is_empty() {
        faults.push(fault(text, 0, "there is no step".into()));
    }
    for step in &mut scenario.steps {
        let at = step.request.span().start;
        let mut found = step.faults(pools);
        found.extend(step.fill(environment).into_iter().map(|it| (at, it)));
        faults.extend(found.into_iter().map(|(at, it)| fault(text, at, it)));
    }
    if faults.is_empty() {
        Ok(scenario)
    } else {
        Err(faults)
    }
}

impl Step {
    /// Method and path.
    pub fn request(&self) -> Option<(Method, &str)> {
        let (method, path) = self.request.get_ref().split_once(' ')?;
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = method.parse().ok().filter(|_| is_method && is_path)?;
        Some((method, path))
    }

    fn faults(&self, pools: &[&str]) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        let pool = self.pool.get_ref().as_str();
        if !pools.contains(&pool) {
            let known = match pools {
                [] => "none does".to_owned(),
                pools => format!("those that do lead to {}", pools.join(", ")),
            };
            let message = format!("pool `{pool}`: no flag of the route leads to it; {known}");
            faults.push((self.pool.span().start, message));
        }
        let at = self.request.span().start;
        if self.request().is_none() {
            let message = format!(
                "request {:?} is not a method and a path, as \"POST /login\"",
                self.request.get_ref()
            );
            faults.push((at, message));
        }
        if self.body.is_some() && !self.form.is_empty() {
            faults.push((at, "write either `form` or `body`".into()));
        }
        for (word, expression) in &self.take {
            if let Some(message) = expression_fault(word, expression.get_ref()) {
                faults.push((expression.span().start, message));
            }
        }
        faults
    }

    /// Puts what `environment` says in place of `${NAME}` and `${NAME:-default}`, as in a configuration; what it does not
    /// say is told.
    fn fill(&mut self, environment: Environment<'_>) -> Vec<String> {
        let mut unknown = Vec::new();
        let values = self.form.values_mut().chain(self.headers.values_mut());
        for value in values.chain(&mut self.body) {
            match filled(value, environment) {
                Ok(filled) => *value = filled,
                Err(why) => unknown.push(why),
            }
        }
        unknown
    }
}

fn expression_fault(word: &str, expression: &str) -> Option<String> {
    match Regex::new(expression) {
        Err(error) => Some(format!("take.{word}: {error}")),
        Ok(regex) if regex.captures_len() != 2 => Some(format!(
            "take.{word}: the expression has {} groups; what is taken is what one group finds",
            regex.captures_len() - 1
        )),
        Ok(_) => None,
    }
}

/// `text` with what `known` says in place of `{{word}}`; a word that it does not know stays.
pub(super) fn said<'a>(text: &str, known: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut parts = text.split("{{");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = part.split_once("}}");
        match named.and_then(|(word, rest)| Some((known(word.trim())?, rest))) {
            Some((value, rest)) => said.extend([value, rest]),
            None => said.extend(["{{", part]),
        }
    }
    said
}

fn fault(text: &str, at: usize, message: String) -> Fault {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |feed| feed + 1);
    Fault {
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &[&str]) {
        let faults = read(text, &["ec2", "ecs"], &|_| None).expect_err("refused");
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(
                told.starts_with(expected),
                "{told:?}, expected {expected:?}"
            );
        }
    }

    #[test]
    fn every_fault_has_its_place() {
        refused("steps = [", &["1:10: "]);
        refused("steps = []", &["1:1: there is no step"]);
        refused("step = []", &["1:1: unknown field `step`"]);
        let text = "[[steps]]\nname = \"a\"\npool = \"gcp\"\nrequest = \"login\"\n\n\
                    [[steps]]\nname = \"b\"\npool = \"ec2\"\nrequest = \"POST /login\"\nbody = \"x\"\n\
                    form = { password = \"${PASSWORD}\" }\ntake = { token = \"a(b\", other = \"ab\" }\n";
        refused(
            text,
            &[
                "3:8: pool `gcp`: no flag of the route leads to it; those that do lead to ec2, ecs",
                "4:11: request \"login\" is not a method and a path",
                "9:11: write either `form` or `body`",
                "12:33: take.other: the expression has 0 groups",
                "12:18: take.token: regex parse error",
                "9:11: the environment variable `PASSWORD` is not set",
            ],
        );
    }

    #[test]
    fn what_the_environment_says_is_put_in_place() {
        let text = "[[steps]]\nname = \"a\"\npool = \"ec2\"\nrequest = \"POST /login\"\n\
                    form = { user = \"audit\", password = \"x${PASSWORD}${NO:-1}$${\" }\nexpect.status = [200]";
        let known = |name: &str| (name == "PASSWORD").then(|| "p\"w".to_owned());
        let scenario = read(text, &["ec2"], &known).unwrap();
        let step = &scenario.steps[0];
        assert_eq!(step.form["password"], "xp\"w1${");
        assert_eq!(step.request(), Some((Method::POST, "/login")));
        assert_eq!(step.expect.status, [200]);
    }
}
