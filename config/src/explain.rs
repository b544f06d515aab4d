//! The decision step by step, in sentences for operators.
//!
//! It tells what `decide` does and decides nothing: the answer at its end is `decide`'s own.

use serde::Serialize;

use crate::action::Forward;
use crate::decide::{self, Key};
use crate::decision::{Choice, Decision, Reason, Sticky};
use crate::facts::Facts;
use crate::flag;
use crate::ids::{PoolId, RouteId};
use crate::matching::Request;
use crate::model::{self, StickyMode};
use crate::partition::{self, Room};
use crate::path::Path;
use crate::snapshot::{Route, Snapshot};

/// How many routes that did not match are told one by one.
const TOLD: usize = 20;

/// A decision and the way to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What was asked, in order, and what was found.
    pub steps: Vec<Step>,
    /// The answer.
    pub decision: Outcome,
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was asked: `host`, `partition`, `path`, `route`, `answer`, `flag`, `id`, `bucket`, `pin`, `weight`, `cap` or `rewrite`.
    pub name: &'static str,
    /// What was found.
    pub text: String,
}

/// A decision, by names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The partition of the host.
    pub partition: String,
    /// The route; none is answered 404, or 400 when the path can be read in several ways.
    pub route: Option<String>,
    /// What the route answers by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The pool.
    pub pool: Option<String>,
    /// Why this pool.
    pub reason: Option<&'static str>,
    /// The flag that decided.
    pub flag: Option<String>,
    /// The client's place.
    pub bucket: Option<u16>,
    /// What the request said of its place.
    pub sticky: Option<&'static str>,
    /// Whether the client is given a cookie.
    pub new_id: bool,
}

/// Tells how `snapshot` decides on `facts`.
pub fn explain(snapshot: &Snapshot, facts: &Facts<'_>) -> Explanation {
    let mut room: Room = [0; _];
    let host = partition::normalize(facts.host, &mut room);
    let decision = decide::decide(snapshot, facts);
    let path = Path::read(facts.path);
    let request = Request {
        facts,
        host,
        partition: decision.partition,
        path: path.usual(),
    };
    let mut steps = Steps(Vec::new());
    steps.host(&request);
    steps.partition(snapshot, &request);
    steps.path(&request);
    if decision.ambiguous {
        steps.readings(snapshot, &request, &path);
    } else {
        steps.routes(snapshot, &request, decision.route);
    }
    if let Some(id) = decision.route {
        steps.action(snapshot, snapshot.route(id), facts, decision.choice);
    }
    Explanation {
        steps: steps.0,
        decision: Outcome::new(snapshot, &decision),
    }
}

impl Outcome {
    fn new(snapshot: &Snapshot, decision: &Decision) -> Self {
        let route = decision.route.map(|id| snapshot.route(id));
        let choice = decision.choice;
        let forward = route.and_then(Route::forward);
        let flag = forward
            .zip(choice.and_then(|choice| choice.flag))
            .map(|(forward, flag)| &forward.flags[usize::from(flag.0)]);
        Self {
            partition: snapshot.partition_name(decision.partition).to_string(),
            route: route.map(|route| route.name.to_string()),
            answer: route.and_then(|route| route.action.answer()),
            pool: choice.map(|choice| snapshot.pool(choice.pool).name.to_string()),
            reason: choice.map(|choice| choice.reason.as_str()),
            flag: flag.map(|flag| flag.name.to_string()),
            bucket: choice.and_then(|choice| choice.bucket),
            sticky: choice.map(|choice| choice.sticky.as_str()),
            new_id: choice.is_some_and(|choice| choice.new_id.is_some()),
        }
    }
}

struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.0.push(Step { name, text });
    }

    fn host(&mut self, request: &Request<'_>) {
        let (sent, host) = (request.facts.host, request.host);
        let text = match (sent, host) {
            ("", _) => "the request names no host".into(),
            (_, "") => format!("`{}` is no host name and counts as none", cut(sent)),
            _ if sent == host => format!("the host is `{host}`"),
            _ => format!("the host `{}` is compared as `{host}`", cut(sent)),
        };
        self.add("host", text);
    }

    fn partition(&mut self, snapshot: &Snapshot, request: &Request<'_>) {
        let partitions = &snapshot.structure.partitions;
        let name = snapshot.partition_name(request.partition);
        let header = snapshot.partition_header();
        let text = if partitions.told(request.facts).is_some() {
            format!("partition `{name}`: a trusted proxy says so in `{header}`")
        } else if let Some(entry) = partitions.entry(request.host) {
            format!("partition `{name}`: the host is `{entry}` of `partitions.hosts`")
        } else {
            format!(
                "partition `{name}`: the default, no entry of `partitions.hosts` names the host"
            )
        };
        self.add("partition", text);
    }

    /// Told only where it is not compared as it came.
    fn path(&mut self, request: &Request<'_>) {
        let sent = request.facts.path;
        if sent.as_bytes() != request.path {
            let read = String::from_utf8_lossy(request.path);
            let text = format!("the path `{}` is compared as `{}`", cut(sent), cut(&read));
            self.add("path", text);
        }
    }

    /// Why no route may take the request.
    fn readings(&mut self, snapshot: &Snapshot, request: &Request<'_>, path: &Path<'_>) {
        for read in [path.usual()].into_iter().chain(path.others()) {
            let id = decide::first(
                snapshot,
                &Request {
                    path: read,
                    ..*request
                },
            );
            let route = id.map_or_else(
                || "no route".into(),
                |id| format!("`{}`", snapshot.route(id).name),
            );
            let read = String::from_utf8_lossy(read);
            self.add(
                "path",
                format!("read as `{}` it leads to {route}", cut(&read)),
            );
        }
        let text = "targets may read the path in several ways, which lead to different routes: answered 400";
        self.add("route", text);
    }

    fn routes(&mut self, snapshot: &Snapshot, request: &Request<'_>, taken: Option<RouteId>) {
        let routes = &snapshot.structure.routes;
        let n_passed = taken.map_or(routes.len(), |id| id.0 as usize);
        for route in &routes[..n_passed.min(TOLD)] {
            let failed = route
                .conditions
                .iter()
                .find(|condition| !condition.holds(request));
            let key = failed.map(|condition| condition.key()).unwrap_or_default();
            self.add("route", format!("`{}` does not match: `{key}`", route.name));
        }
        if n_passed > TOLD {
            self.add("route", format!("{} more do not match", n_passed - TOLD));
        }
        let Some(id) = taken else {
            self.add("route", "no route matches: answered 404");
            return;
        };
        let route = snapshot.route(id);
        let keys = route
            .conditions
            .iter()
            .map(|condition| format!("`{}`", condition.key()));
        let keys: Vec<_> = keys.collect();
        let text = match keys.as_slice() {
            [] => format!("`{}` takes every request", route.name),
            keys => format!("`{}` matches: {}", route.name, keys.join(", ")),
        };
        self.add("route", text);
    }

    /// What the route does, and how it came to its pool if it has any.
    fn action(
        &mut self,
        snapshot: &Snapshot,
        route: &Route,
        facts: &Facts<'_>,
        choice: Option<Choice>,
    ) {
        if let Some(answer) = route.action.answer() {
            let text = format!("`{}` answers by itself: {answer}", route.name);
            self.add("answer", text);
        }
        if let (Some(forward), Some(choice)) = (route.forward(), &choice) {
            self.flags(snapshot, forward, facts);
            self.id(route, forward, facts, choice);
            self.bucket(snapshot, forward, choice);
            self.pin(snapshot, route, forward, choice);
            self.weight(snapshot, route, forward, choice);
            self.cap(snapshot, route, forward, choice);
            self.fallback(snapshot, forward);
            self.rewrite(forward, facts);
        }
    }

    fn flags(&mut self, snapshot: &Snapshot, forward: &Forward, facts: &Facts<'_>) {
        for flag in &forward.flags {
            let (name, pool) = (&flag.name, &snapshot.pool(flag.pool).name);
            if flag.is_carried(facts, snapshot.flag_signer()) {
                self.add(
                    "flag",
                    format!("`{name}` is carried: pool `{pool}`, whatever the weights"),
                );
                return;
            }
            let flags = std::slice::from_ref(flag);
            let old = flag::expired(flags, facts, snapshot.flag_signer()).is_some();
            self.add(
                "flag",
                match old {
                    true => format!("`{name}` is carried, but has expired: its cookie is cleared"),
                    false => format!("`{name}` is not carried"),
                },
            );
        }
    }

    fn id(&mut self, route: &Route, forward: &Forward, facts: &Facts<'_>, choice: &Choice) {
        let cookie = &route.settings.sticky.cookie;
        let text = match choice.sticky {
            Sticky::Hit => match decide::known_by(route, forward, facts) {
                Some(Key::Cookie(name)) => {
                    format!("known by the cookie `{name}`; gets none of ours")
                }
                Some(Key::Header(name)) => format!("known by the header `{name}`; gets no cookie"),
                Some(Key::Ip) => "known by the client's address; gets no cookie".into(),
                None => format!("known by its cookie `{cookie}`"),
            },
            Sticky::New => format!("no cookie `{cookie}`: a new client, which gets one"),
            Sticky::Invalid => {
                format!("the cookie `{cookie}` holds no id of ours: a new client, which gets one")
            }
            Sticky::None if route.settings.sticky.mode == StickyMode::Off && forward.divides() => {
                "stickiness is off: each request is placed afresh".into()
            }
            Sticky::None => "the route has one pool: nobody needs a place".into(),
        };
        self.add("id", text);
    }

    fn bucket(&mut self, snapshot: &Snapshot, forward: &Forward, choice: &Choice) {
        let Some(bucket) = choice.bucket else {
            return;
        };
        let cohort = &snapshot.structure.cohorts[usize::from(forward.cohort.0)];
        let is_known = choice.sticky == Sticky::Hit;
        let text = match is_known {
            true => format!("bucket {bucket} in cohort `{cohort}`"),
            false => format!(
                "bucket {bucket} in cohort `{cohort}`, for this one; another new client gets another"
            ),
        };
        self.add("bucket", text);
    }

    fn pin(&mut self, snapshot: &Snapshot, route: &Route, forward: &Forward, choice: &Choice) {
        let Some(pinning) = &forward.pinning else {
            return;
        };
        let (pool, cookie) = (&snapshot.pool(choice.pool).name, &pinning.cookie);
        let text = match (choice.reason, choice.new_pin) {
            (Reason::Pin, _) if snapshot.drains(route.id, choice.pool) => {
                format!("pinned to `{pool}` by `{cookie}`: it drains, and keeps whom it has")
            }
            (Reason::Pin, _) => format!("kept on `{pool}` by `{cookie}`"),
            (_, true) => format!("no pin in `{cookie}` counts; the client gets one to `{pool}`"),
            (_, false) => "no pin is asked for".into(),
        };
        self.add("pin", text);
    }

    fn fallback(&mut self, snapshot: &Snapshot, forward: &Forward) {
        let names = forward.fallback.iter();
        let names = names.map(|id| format!("`{}`", snapshot.pool(*id).name));
        let names: Vec<_> = names.collect();
        if !names.is_empty() {
            let text = format!("on 404 these are asked in turn: {}", names.join(", "));
            self.add("fallback", text);
        }
    }

    fn rewrite(&mut self, forward: &Forward, facts: &Facts<'_>) {
        let Some(rewrite) = &forward.rewrite else {
            return;
        };
        let Ok(made) = rewrite.apply(facts.host, facts.path, facts.query) else {
            let text = "makes no address that can be sent: answered 500";
            return self.add("rewrite", text);
        };
        let target = made
            .target
            .map(|it| format!("the target is asked for `{it}`"));
        let host = made.host.as_ref().and_then(|host| host.to_str().ok());
        let host = host.map(|it| format!("the target is told host `{it}`"));
        let text: Vec<_> = target.into_iter().chain(host).collect();
        match text.as_slice() {
            [] => self.add("rewrite", "changes nothing of this request"),
            text => self.add("rewrite", text.join(", ")),
        }
    }

    fn weight(&mut self, snapshot: &Snapshot, route: &Route, forward: &Forward, choice: &Choice) {
        let Some(split) = snapshot.split(route.id) else {
            return;
        };
        let name = |id: PoolId| &snapshot.pool(id).name;
        let canaries = forward.pools.iter().filter(|id| **id != forward.stable);
        let owned = canaries.chain([&forward.stable]).map(|id| {
            let buckets = split.buckets_of(*id);
            match buckets.is_empty() {
                true => format!("`{}` has no bucket", name(*id)),
                false => format!(
                    "`{}` has {} to {} ({} %)",
                    name(*id),
                    buckets.start,
                    buckets.end - 1,
                    buckets.len() as f64 / 100.0
                ),
            }
        });
        let mut text = owned.collect::<Vec<_>>().join(", ");
        let by_weight = name(split.pool_of(choice.bucket.unwrap_or(0)));
        text.push_str(&match choice.flag {
            Some(_) => format!("; without the flag the client would go to `{by_weight}`"),
            None if choice.reason == Reason::Pin => {
                format!("; without the pin the client would go to `{by_weight}`")
            }
            None => format!("; the client goes to `{by_weight}`"),
        });
        self.add("weight", text);
    }

    fn cap(&mut self, snapshot: &Snapshot, route: &Route, forward: &Forward, choice: &Choice) {
        if choice.pool == forward.stable || !forward.pools.contains(&choice.pool) {
            return;
        }
        let Some(bounds) = bounds(&route.settings.cap) else {
            return;
        };
        let name = |id: PoolId| &snapshot.pool(id).name;
        let (canary, stable) = (name(choice.pool), name(forward.stable));
        let text = format!(
            "`{canary}` gets {bounds} from this router; what is over goes to `{stable}` with reason `cap`"
        );
        self.add("cap", text);
    }
}

/// What `written` bounds, in words; `None` when it bounds nothing.
fn bounds(written: &model::Cap) -> Option<String> {
    let (rps, concurrent) = (written.max_rps, written.max_concurrent);
    match (rps, concurrent) {
        (0, 0) => None,
        (rps, 0) => Some(format!("at most {rps} requests a second")),
        (0, concurrent) => Some(format!("at most {concurrent} requests at a time")),
        (rps, concurrent) => Some(format!(
            "at most {rps} requests a second and {concurrent} at a time"
        )),
    }
}

/// What a client sent is shown, but not at any length.
fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(100)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
