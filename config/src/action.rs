//! What a route does with the requests it takes, compiled: its pools, another address, or a fixed answer.

use std::sync::Arc;

use http::HeaderValue;

use crate::decide::Key;
use crate::flag::Flag;
use crate::ids::{CohortId, PoolId};
use crate::pin::Pinning;
use crate::redirect::Redirect;
use crate::rewrite::Rewrite;
use crate::shadow::Shadow;
use crate::split::Split;

/// What a route does.
#[derive(Debug)]
pub enum Action {
    /// It sends requests to its pools.
    Forward(Forward),
    /// It answers with another address.
    Redirect(Redirect),
    /// It answers with a fixed text.
    Respond(Respond),
}

/// The pools of a route and how clients are placed on them.
#[derive(Debug)]
pub struct Forward {
    /// The cohort whose key places its clients.
    pub cohort: CohortId,
    /// The pool that a rollback returns to.
    pub stable: PoolId,
    /// Pools with a weight, 0 counts too, in the order of the file; at least `stable`.
    pub pools: Vec<PoolId>,
    /// Ways to a pool that beat the weights, by `FlagId`.
    pub flags: Vec<Flag>,
    /// The file's weights.
    pub initial: Split,
    /// Another address for targets.
    pub rewrite: Option<Box<Rewrite>>,
    /// Pools that are asked in this order when the answer is 404.
    pub fallback: Vec<PoolId>,
    /// Which requests are copied for another pool.
    pub shadow: Option<Arc<Shadow>>,
    /// How its clients are kept on the pool they were on, beyond their bucket.
    pub pinning: Option<Box<Pinning>>,
    pub(crate) keys: Vec<Key>,
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// Status of the answer.
    pub status: u16,
    /// Type of the body.
    pub content_type: HeaderValue,
    /// The body; that of a `body_file` is put here by who reads it.
    pub body: Arc<[u8]>,
    /// `Retry-After`.
    pub retry_after: Option<HeaderValue>,
}

impl Action {
    /// The word in answers of the admin API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
        }
    }

    /// The answer as a text for operators; `None` when targets answer.
    pub fn answer(&self) -> Option<String> {
        match self {
            Self::Forward(_) => None,
            Self::Redirect(redirect) => {
                Some(format!("{} to {}", redirect.status, redirect.shown()))
            }
            Self::Respond(respond) => Some(format!(
                "{}, {} bytes of {}",
                respond.status,
                respond.body.len(),
                respond.content_type.to_str().unwrap_or_default()
            )),
        }
    }
}

impl Forward {
    /// Whether requests can go to more than one pool, so that clients need a place.
    pub fn divides(&self) -> bool {
        self.pools.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::RouteId;
    use crate::testing::{Sent, snapshot};

    const SITE: &str = r##"
[[routes]]
name = "old"
match = { host = "old.example" }
redirect = { host = "new.example" }
[[routes]]
name = "down"
match = { path = "/down" }
respond = { status = 503, content_type = "text/html", body = "later" }
[[routes]]
name = "web"
stable = "ec2"
weights = { ec2 = 90, ecs = 10 }
"##;

    #[track_caller]
    fn check(request: &str, route: &str, answer: Option<&str>) {
        let snapshot = snapshot(SITE);
        let decision = snapshot.decide(&Sent::read(request).facts());
        let taken = snapshot.route(decision.route.unwrap());
        assert_eq!(&*taken.name, route);
        assert_eq!(taken.action.answer().as_deref(), answer);
        assert_eq!(decision.choice.is_none(), answer.is_some());
    }

    #[test]
    fn a_route_that_answers_by_itself_takes_its_requests_in_order_and_places_nobody() {
        let old = "302 to #{protocol}://new.example/#{path}?#{query}";
        check("GET old.example/down", "old", Some(old));
        let down = "503, 5 bytes of text/html";
        check("GET other.example/down", "down", Some(down));
        check("GET other.example/", "web", None);
        assert_eq!(snapshot(SITE).split(RouteId(0)), None);
    }
}
