//! What the pools of a route do to each other's cookies: what will happen, and the rule against it.

use serde::Deserialize;
use serde_json::Value;

use super::super::execute::Surroundings;
use super::super::offline::pretty;
use super::super::words::{clean, count};
use super::{BOLD, GREEN, RED, YELLOW, paint};

/// `GET /api/v1/routes/{name}/cookies`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Cookies {
    route: String,
    conflicts: usize,
    findings: Vec<Finding>,
    cookies: Vec<Value>,
    not_looked_at: u64,
    requests_twice: u64,
    twice: Vec<Twice>,
    skew: Vec<Skew>,
    cacheable: Vec<Cacheable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Finding {
    what: String,
    conflict: bool,
    cookie: String,
    sentence: String,
    advice: String,
    rule: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Twice {
    cookie: String,
    requests: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Skew {
    cause: String,
    requests: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cacheable {
    pool: String,
    answers: u64,
    path: Option<String>,
}

/// Whether an answer, about one route or all, tells of a conflict.
pub(in super::super) fn conflict(answer: &Value) -> bool {
    routes(answer).iter().any(|route| route.conflicts > 0)
}

/// `kanaria cookies`.
pub(super) fn cookies(answer: &Value, surroundings: &Surroundings) -> String {
    let routes = routes(answer);
    if routes.is_empty() {
        return match answer {
            Value::Array(_) => {
                "no route has two pools whose cookies could get into each other's way\n".into()
            }
            _ => pretty(answer),
        };
    }
    let told = routes.iter().map(|route| route.tell(surroundings));
    told.collect::<Vec<_>>().join("\n")
}

fn routes(answer: &Value) -> Vec<Cookies> {
    match answer {
        Value::Array(_) => Vec::deserialize(answer).unwrap_or_default(),
        _ => Cookies::deserialize(answer).into_iter().collect(),
    }
}

impl Cookies {
    fn tell(&self, surroundings: &Surroundings) -> String {
        let conflicts = count(self.conflicts, "conflict");
        let color = if self.conflicts > 0 { RED } else { GREEN };
        let mut text = format!(
            "{}   {}, {} seen\n",
            paint(&clean(&self.route), BOLD, surroundings),
            paint(&conflicts, color, surroundings),
            match self.cookies.len() {
                1 => "1 kind of cookies".to_owned(),
                n => format!("{n} kinds of cookies"),
            },
        );
        for finding in &self.findings {
            text.push_str(&finding.tell(surroundings));
        }
        self.tell_requests(&mut text);
        text
    }

    fn tell_requests(&self, text: &mut String) {
        if self.requests_twice > 0 {
            let names = self.twice.iter();
            let names = names.map(|it| format!("{} ({})", clean(&it.cookie), it.requests));
            text.push_str(&format!(
                "\n  requests with a cookie that was sent twice: {}: {}\n",
                self.requests_twice,
                names.collect::<Vec<_>>().join(", ")
            ));
        }
        if !self.skew.is_empty() {
            let causes = self.skew.iter();
            let causes = causes.map(|it| format!("{} {}", clean(&it.cause), it.requests));
            text.push_str(&format!(
                "\n  requests that may not fit the page they belong to: {}\n",
                causes.collect::<Vec<_>>().join(", ")
            ));
        }
        for cached in &self.cacheable {
            text.push_str(&format!(
                "\n  answers of {} that caches in front may give to clients of other pools: {}, the first for {}\n",
                clean(&cached.pool),
                cached.answers,
                clean(cached.path.as_deref().unwrap_or("/"))
            ));
        }
        if self.not_looked_at > 0 {
            text.push_str(&format!(
                "\n  not looked at: {} cookies, of more kinds than are kept\n",
                self.not_looked_at
            ));
        }
    }
}

impl Finding {
    fn tell(&self, surroundings: &Surroundings) -> String {
        let (word, color) = match self.conflict {
            true => ("conflict", RED),
            false => ("note", YELLOW),
        };
        let mut text = format!(
            "\n  {} {} ({})\n    {}\n    what to do: {}",
            paint(word, color, surroundings),
            clean(&self.cookie),
            clean(&self.what),
            clean(&self.sentence),
            clean(&self.advice)
        );
        match &self.rule {
            None => text.push('\n'),
            Some(rule) => {
                text.push_str("; add to the file, then `kanaria reload`:\n\n");
                for line in rule.lines() {
                    let line = format!("      {}", clean(line));
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
            }
        }
        text
    }
}
