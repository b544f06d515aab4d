//! What control asks and tells the rest of the program, so that it depends on none of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::facts::Facts;
use config::live::{Live, TargetEdits};
use config::probe::Probe;
use config::problem::Fault;
use config::snapshot::{Snapshot, Structure, Target};
use serde::Serialize;
use serde_json::Value;

use super::{Account, Comparison, CookiesView, GuardView, Pace, Question};
use crate::diff::ShadowView;
use crate::journal::Kind;

/// The rest of the program. Its functions may block for as long as reading a file takes, and `load` for as long as the
/// first answers about new pools may take.
pub trait House: Send + Sync + 'static {
    /// Reads and compiles the file.
    fn load(&self) -> Result<Structure, Invalid>;
    /// Compiles a text instead of the file; the name decides the format.
    fn check(&self, name: &str, text: &str) -> Result<Structure, Invalid>;
    /// Compiles a structure and a live state.
    fn compile(&self, structure: Arc<Structure>, live: &Live) -> Result<Snapshot, Fault>;
    /// Takes a new structure into use, just before it is in force: pools, access logs. Returns what the operator should know.
    fn applied(&self, structure: &Structure) -> Vec<String>;
    /// Gives pools the targets that operators want, of all pools; those that go drain. Just before it is in force.
    fn edited(&self, targets: &BTreeMap<String, TargetEdits>);
    /// Explains a decision step by step.
    fn explain(&self, snapshot: &Snapshot, facts: &Facts<'_>) -> Value;
    /// How many targets of a pool are healthy.
    fn health(&self, pool: &str) -> Option<Health>;
    /// Asks the healthy targets of a pool as `probe` says; `None` when there is no such pool, or nothing to ask.
    fn probe(&self, pool: &str, probe: &Probe) -> Option<Probing>;
    /// The targets of a pool, and those that leave it.
    fn targets(&self, pool: &str) -> Option<Vec<TargetView>>;
    /// The targets that discovery names for a pool, deregistered ones too.
    fn discovered(&self, pool: &str) -> Vec<Target>;
    /// How a pool finds its targets, and how that goes; `None` when the file lists them.
    fn discovery(&self, pool: &str) -> Option<DiscoveryView>;
    /// Achieved shares of a route, by pool.
    fn shares(&self, route: &str) -> Vec<Share>;
    /// The pools of a route beside each other.
    fn compare(&self, question: &Question<'_>, now: SystemTime) -> Comparison;
    /// What the guard of a route says; `None` without one.
    fn guard(&self, route: &str) -> Option<GuardView>;
    /// What is known of the cookies of a route; `None` when it has no two pools.
    fn cookies(&self, route: &str) -> Option<CookiesView>;
    /// What became of the copies of a route, and what they showed; `None` without a shadow.
    fn shadow(&self, route: &str) -> Option<ShadowView>;
    /// The same of every route that has one.
    fn shadows(&self) -> Vec<ShadowView>;
    /// What the guard of a route has written down in the state folder, by stages that began then, in milliseconds since 1970.
    fn account(&self, state_dir: &Path, route: &str, starts_ms: &[u64]) -> io::Result<Account>;
    /// How the ramp of a route that runs gets on.
    fn pace(&self, route: &str) -> Option<Pace>;
    /// All metrics, as Prometheus reads them.
    fn metrics(&self, form: Form) -> Vec<u8>;
    /// Counts what happened.
    fn observe(&self, observation: Observation<'_>);
}

/// What Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Messages of `io.prometheus.client`, with native histograms.
    Messages,
    /// The text format.
    Text,
}

/// Targets that are being asked: whether all answered as they must, or the first that did not and what was seen.
pub type Probing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A file that is not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// For people: every problem with its place.
    pub text: String,
    /// For programs: one object a problem.
    pub problems: Vec<Value>,
}

/// Healthy targets of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Now.
    pub healthy: usize,
    /// Of how many.
    pub total: usize,
    /// A minute ago.
    #[serde(skip)]
    pub minute_ago: usize,
}

/// One target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetView {
    /// Where it listens.
    pub address: SocketAddr,
    /// `initial`, `healthy`, `unhealthy`, `draining` or `unused`.
    pub state: &'static str,
    /// Why it takes no requests.
    pub reason: Option<&'static str>,
    /// What its last health check saw, for people.
    pub description: Option<Arc<str>>,
    /// Its part of the pool's requests.
    pub weight: u32,
    /// Requests it has now.
    pub in_flight: u32,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
}

/// How a pool finds its targets, and how that goes.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DiscoveryView {
    /// As in the file: `dns web.ecs.internal:8080`.
    pub by: String,
    /// How many targets it goes on with.
    pub targets: usize,
    /// Whether there has been a good answer.
    pub answered: bool,
    /// Seconds since the last good answer; since the search began when there was none.
    pub age_s: f64,
    /// Why the last try failed; `null` when it did not.
    pub failure: Option<String>,
    /// For how many seconds every try has failed; `null` when the last one did not.
    pub failing_s: Option<f64>,
}

impl DiscoveryView {
    /// What an operator who looks at `pool` should be told first.
    pub fn warning(&self, pool: &str) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let failing = self.failing_s.unwrap_or_default();
        let rest = match (self.targets, self.answered) {
            (0, _) => "the pool has no discovered target".to_owned(),
            (n, true) => format!("requests go on to the targets of the last answer ({n})"),
            (n, false) => format!("requests go on to the targets the pool had before ({n})"),
        };
        Some(format!(
            "pool `{pool}`: {} fails for {failing:.0} s: {failure}; {rest}",
            self.by
        ))
    }
}

/// Achieved part of one pool, 0 to 1; `None` before anything was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The pool.
    pub pool: String,
    /// Of users.
    pub users: Option<f64>,
    /// Of requests, those that flags sent too.
    pub requests: Option<f64>,
    /// How far chance can be the reason, and what else is.
    pub drift: Option<DriftView>,
}

/// Why a pool's part of the requests is another one than was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DriftView {
    /// Interval of its part of the users, with 95 %.
    pub users: RangeView,
    /// Interval of its part of the requests, with 95 %; when it holds the share asked for, chance is reason enough.
    pub requests: RangeView,
    /// What moves its part of the requests: `flags`, `pins`, `cookieless` (requests without an id), `users` (which clients
    /// came), `heavy_users` (who sends more than others, or less), `cap`, `failover` and `fallback`.
    pub causes: BTreeMap<&'static str, DriftCause>,
}

/// From where to where, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RangeView {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What one cause does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DriftCause {
    /// By how much it moves the pool's part of the requests, as a part of 1; all causes together are the difference
    /// between that part and the share asked for.
    pub moves: f64,
    /// Requests of its kind that were sent to the pool; for `cap`, `failover` and `fallback` those that another pool served
    /// in its place, and that it served in place of another.
    pub requests: u64,
}

/// Something to count.
pub enum Observation<'a> {
    /// A snapshot is about to be in force.
    Published {
        /// It.
        snapshot: &'a Snapshot,
        /// What made it.
        kind: Kind,
    },
    /// A change took so long from being asked for to being in force.
    InForce(Duration),
    /// The file was read again: `applied`, `unchanged`, `held` or `refused`.
    Reloaded(&'static str),
    /// A route was rolled back.
    RolledBack {
        /// The route.
        route: &'a str,
        /// Who asked.
        actor: &'a str,
    },
}
