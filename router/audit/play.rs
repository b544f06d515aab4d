//! Carries a scenario out, step by step, with a browser's cookies, and says in one sentence what broke.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use jar::{Cookie, Jar, Origin, without_port};
use regex::Regex;
use serde::Serialize;

use super::Door;
use super::scenario::{Expect, Scenario, Step, said};

/// How a request is led to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The pool.
    pub pool: String,
    /// Name of the flag.
    pub flag: String,
    /// The header that carries it; without one it is a cookie.
    pub header: Option<String>,
    /// The cookie that carries it.
    pub cookie: Option<String>,
    /// Its value.
    pub value: String,
    /// The router tells where the request went.
    pub reveal: bool,
}

/// How a scenario went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every step came out as it must.
    pub passed: bool,
    /// The steps that were taken; the last one is the one that broke.
    pub steps: Vec<Played>,
    /// What broke, in one sentence.
    pub why: Option<String>,
}

/// A step that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// Its number, from 1.
    pub step: usize,
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Method and path.
    pub request: String,
    /// Status of the answer.
    pub status: u16,
    /// Names of the cookies that were sent, in this order.
    pub sent: Vec<String>,
    /// Cookies of the answer that browsers do not take, and why.
    pub ignored: Vec<String>,
}

/// Why a scenario could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} `{name}`: {reason}")]
pub struct Failure {
    /// The step, from 1.
    pub step: usize,
    /// Its name.
    pub name: String,
    /// What happened.
    pub reason: String,
}

/// Carries out `scenario`; ends with the first step that does not come out as it must.
///
/// # Errors
/// When a request has no answer.
pub async fn play(scenario: &Scenario, ways: &[Way], door: &Door) -> Result<Report, Failure> {
    let mut player = Player::new(scenario, ways, door);
    let mut report = Report {
        passed: true,
        steps: Vec::new(),
        why: None,
    };
    for (number, step) in (1..).zip(&scenario.steps) {
        let (played, why) = player.take(number, step).await.map_err(|reason| Failure {
            step: number,
            name: step.name.clone(),
            reason,
        })?;
        report.steps.push(played);
        if let Some(why) = why {
            report.passed = false;
            report.why = Some(player.sentence(number, step, &why));
            break;
        }
    }
    Ok(report)
}

struct Player<'a> {
    ways: &'a [Way],
    door: &'a Door,
    host: String,
    jar: Jar,
    /// Who set each cookie of the jar.
    setters: Vec<(Cookie, usize, String)>,
    words: BTreeMap<String, String>,
}

impl<'a> Player<'a> {
    fn new(scenario: &Scenario, ways: &'a [Way], door: &'a Door) -> Self {
        Self {
            ways,
            door,
            host: scenario.host.clone().unwrap_or_else(|| door.authority()),
            jar: Jar::default(),
            setters: Vec::new(),
            words: BTreeMap::new(),
        }
    }

    /// Takes one step; what is wrong with its outcome, if anything is.
    async fn take(
        &mut self,
        number: usize,
        step: &Step,
    ) -> Result<(Played, Option<String>), String> {
        if step.fresh {
            self.jar = Jar::default();
            self.setters.clear();
        }
        let (method, path) = step.request().ok_or("its request is none")?;
        let path = self.said(path);
        let way = self
            .ways
            .iter()
            .find(|way| way.pool == *step.pool.get_ref());
        let way = way.ok_or("no flag leads to its pool")?;
        let sent: Vec<(String, String)> = self
            .jar
            .send(&self.origin(&path), now())
            .into_iter()
            .map(|cookie| (cookie.name.clone(), cookie.value.clone()))
            .collect();
        let mut request = Request::builder().method(method).uri(&path);
        for (name, value) in self.fields(step, way, &sent) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body(step)));
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.door.ask(&self.host, request).await?;
        let ignored = self.take_in(&answer, &path, number, step);
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let why = misled(way, &answer)
            .or_else(|| self.take_words(step, &text))
            .or_else(|| self.differs(&step.expect, answer.status().as_u16(), &text));
        let played = Played {
            step: number,
            name: step.name.clone(),
            pool: way.pool.clone(),
            request: step.request.get_ref().clone(),
            status: answer.status().as_u16(),
            sent: sent.into_iter().map(|(name, _)| name).collect(),
            ignored,
        };
        Ok((played, why))
    }

    fn origin<'b>(&'b self, path: &'b str) -> Origin<'b> {
        Origin {
            host: without_port(&self.host),
            path: path.split('?').next().unwrap_or(path),
            secure: self.door.tls.is_some(),
        }
    }

    fn fields(&self, step: &Step, way: &Way, sent: &[(String, String)]) -> Vec<(String, String)> {
        let mut fields = vec![(HOST.to_string(), self.host.clone())];
        let mut cookies: Vec<_> = sent
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match (&way.header, &way.cookie) {
            (Some(header), _) => fields.push((header.clone(), way.value.clone())),
            (None, Some(cookie)) => cookies.push(format!("{cookie}={}", way.value)),
            (None, None) => {}
        }
        if !cookies.is_empty() {
            fields.push((COOKIE.to_string(), cookies.join("; ")));
        }
        if !step.form.is_empty() {
            let kind = "application/x-www-form-urlencoded";
            fields.push((CONTENT_TYPE.to_string(), kind.to_owned()));
        }
        let own = step.headers.iter();
        fields.extend(own.map(|(name, value)| (name.clone(), self.said(value))));
        fields
    }

    fn body(&self, step: &Step) -> Bytes {
        let fields = step.form.iter();
        let fields =
            fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(&self.said(value))));
        let form = fields.collect::<Vec<_>>().join("&");
        Bytes::from(step.body.as_ref().map_or(form, |body| self.said(body)))
    }

    /// `text` with the words that were taken so far.
    fn said(&self, text: &str) -> String {
        said(text, |word| self.words.get(word).map(String::as_str))
    }

    /// Takes in the cookies of an answer; those that browsers do not take, and why.
    fn take_in(
        &mut self,
        answer: &Response<Bytes>,
        path: &str,
        number: usize,
        step: &Step,
    ) -> Vec<String> {
        let mut jar = std::mem::take(&mut self.jar);
        let origin = self.origin(path);
        let mut ignored = Vec::new();
        for line in answer
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .map(HeaderValue::as_bytes)
        {
            if let Err(why) = jar.take(line, &origin, now()) {
                let name = line.split(|byte| *byte == b'=').next().unwrap_or_default();
                let name = String::from_utf8_lossy(name.trim_ascii());
                ignored.push(format!("{name}: {}", why.as_str()));
            }
        }
        self.jar = jar;
        let known = std::mem::take(&mut self.setters);
        let setter = |cookie: &Cookie| {
            let before = known.iter().find(|(known, ..)| known == cookie);
            before
                .cloned()
                .unwrap_or_else(|| (cookie.clone(), number, step.pool.get_ref().clone()))
        };
        self.setters = self.jar.cookies().iter().map(setter).collect();
        ignored
    }

    fn take_words(&mut self, step: &Step, text: &str) -> Option<String> {
        for (word, expression) in &step.take {
            let found = Regex::new(expression.get_ref()).ok();
            let found = found
                .as_ref()
                .and_then(|regex| regex.captures(text)?.get(1));
            let Some(found) = found else {
                return Some(format!(
                    "nothing in the answer is what take.{word} looks for"
                ));
            };
            self.words.insert(word.clone(), found.as_str().to_owned());
        }
        None
    }

    fn differs(&self, expect: &Expect, status: u16, text: &str) -> Option<String> {
        let is_expected = match expect.status.as_slice() {
            [] => status < 400,
            some => some.contains(&status),
        };
        if !is_expected {
            return Some(format!("the status is {status}"));
        }
        if let Some(wanted) = expect.contains.as_ref().filter(|it| !text.contains(&**it)) {
            return Some(format!("the answer does not have `{wanted}`"));
        }
        if let Some(unwanted) = expect.lacks.as_ref().filter(|it| text.contains(&**it)) {
            return Some(format!("the answer still has `{unwanted}`"));
        }
        expect.cookies.iter().find_map(|(name, wanted)| {
            let held = self
                .jar
                .cookies()
                .iter()
                .filter(|cookie| cookie.name == *name)
                .count();
            (held != *wanted)
                .then(|| format!("the client holds {held} cookies `{name}` and not {wanted}"))
        })
    }

    /// What broke, and which cookies were there.
    fn sentence(&self, number: usize, step: &Step, why: &str) -> String {
        let cookies = self.setters.iter().map(|(cookie, by, pool)| {
            let domain = match cookie.host_only {
                true => format!("the host {} alone", cookie.domain),
                false => format!("the domain {}", cookie.domain),
            };
            format!(
                "`{}` for {domain} under {} (set by {pool} in step {by})",
                cookie.name, cookie.path
            )
        });
        let cookies: Vec<_> = cookies.collect();
        let jar = match cookies.as_slice() {
            [] => "no cookie".to_owned(),
            some => some.join(", "),
        };
        format!(
            "step {number} `{}` failed at {}: {why}; the jar has {jar}",
            step.name,
            step.pool.get_ref()
        )
    }
}

/// Why the request was not where it should be; `None` when it was, as far as the router tells.
fn misled(way: &Way, answer: &Response<Bytes>) -> Option<String> {
    if !way.reveal {
        return None;
    }
    let told = answer.headers().get("kanaria-decision");
    let told = told.and_then(|told| told.to_str().ok());
    let Some(told) = told else {
        return Some(format!(
            "the router did not take the flag `{}`, so nothing is known of the pool: has it this file in force, and is this machine in the flag's `from`",
            way.flag
        ));
    };
    let mut parts = told.split(';').map(str::trim);
    let is_there = parts.any(|part| part.strip_prefix("pool=") == Some(&way.pool));
    (!is_there).then(|| format!("another pool served it: {told}"))
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}
