//! What is counted, and how Prometheus is shown it: as text, or as messages, which have native histograms (decision 27).
//!
//! Label values are names of the file, fixed words and status codes; nothing a client sends becomes a label.
//! A part of a label set that is not known (the route of a request that matched none) is the empty text, which
//! Prometheus reads as "without this label".

mod board;
mod changes;
mod cookies;
mod discovery;
mod drift;
mod family;
mod grid;
mod guard;
mod key;
mod logs;
mod measure;
mod messages;
mod own;
mod process;
mod requests;
mod series;
mod shadow;
mod shares;
mod spans;
mod switches;
mod targets;
mod text;
mod times;
mod tls;
mod webhooks;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use config::model::ProxyProtocol;
use config::snapshot::{Listener, Snapshot, Structure};

use crate::clients::Clients;
use crate::pool::Pools;
use crate::record::{Blame, Cause, Desync, Record, Retried, Traits};
use crate::tally::Tallies;
use changes::Changes;
use cookies::Cookies;
pub use cookies::Sighted;
use discovery::Discovery;
pub use drift::{Drift, Part};
use family::Family;
pub use guard::Guarded;
use guard::Guards;
pub(crate) use logs::LogSeries;
use logs::Logs;
use measure::Ratio;
pub use measure::{Counter, Gauge};
use own::{Exposition, Own};
use requests::Requests;
use shadow::Shadow;
pub use shares::Share;
pub use spans::SpanSeries;
use spans::Spans;
pub use switches::Mover;
use targets::Targets;
use tls::Tls;
pub use webhooks::HookSeries;
use webhooks::Webhooks;

/// What is tried again.
const RETRIED: [Cause; 3] = [
    Cause::ConnectFailed,
    Cause::ConnectTimeout,
    Cause::TargetClosed,
];

/// What bounds open connections.
const CONNECTION_LIMITS: [&str; 2] = ["max_connections", "max_connections_per_client"];

/// Why a PROXY header is refused.
pub(crate) const PROXY_HEADERS: [&str; 5] =
    ["invalid", "oversized", "timeout", "truncated", "untrusted"];

/// Everything kanaria counts.
pub struct Metrics {
    exposition: Exposition,
    requests: Requests,
    errors: Vec<(Cause, Arc<Counter>)>,
    weight_ratio: Arc<Family<Ratio>>,
    changes: Changes,
    targets: Targets,
    connections: Arc<Family<Gauge>>,
    refused: Arc<Family<Counter>>,
    introductions: Arc<Family<Counter>>,
    desync: Vec<Arc<Counter>>,
    invalid_headers: Arc<Counter>,
    retries: Arc<Family<Counter>>,
    fail_open: Arc<Family<Counter>>,
    cookies: Cookies,
    discovery: Discovery,
    guards: Guards,
    tls: Tls,
    logs: Logs,
    shadow: Shadow,
    spans: Spans,
    webhooks: Webhooks,
    pools: OnceLock<Arc<Pools>>,
    clients: OnceLock<Arc<Clients>>,
    uncounted: Arc<Counter>,
    /// Held while series are set as a whole or looked at; in it the file whose series were never looked at.
    unshown: Mutex<Option<Arc<Structure>>>,
    /// Bytes of the last text.
    length: AtomicUsize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let own = Own::default();
        own.process();
        own.gauges("kanaria_build_info", "The version that runs.", &["version"])
            .of(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            requests: Requests::new(&own),
            errors: errors_of_ours(&own),
            changes: Changes::new(&own),
            cookies: Cookies::new(&own),
            discovery: Discovery::new(&own),
            guards: Guards::new(&own),
            tls: Tls::new(&own),
            logs: Logs::new(&own),
            shadow: Shadow::new(&own),
            spans: Spans::new(&own),
            webhooks: Webhooks::new(&own),
            weight_ratio: own.ratios(
                "kanaria_weight_ratio",
                "Part of a pool in its route: asked for, of users seen and of requests since the weights changed.",
                &["route", "pool", "kind"],
            ),
            targets: Targets::new(&own),
            connections: own.gauges(
                "kanaria_connections",
                "Open connections of clients.",
                &["listener", "protocol"],
            ),
            refused: own.counters(
                "kanaria_connections_refused_total",
                "Connections closed at once because as many were open as may be: of all clients, or of one.",
                &["listener", "limit"],
            ),
            desync: desync(&own),
            invalid_headers: own.counter(
                "kanaria_invalid_headers_total",
                "Requests with a header whose name has other characters than letters, digits and -.",
            ),
            introductions: own.counters(
                "kanaria_proxy_headers_refused_total",
                "Connections closed for the PROXY header that they began with, or did not.",
                &["listener", "cause"],
            ),
            retries: own.counters(
                "kanaria_retries_total",
                "Further tries of requests in the pool that had failed them.",
                &["pool", "cause", "result"],
            ),
            fail_open: own.counters(
                "kanaria_fail_open_total",
                "Requests that went to a target in spite of its health, because the pool had no healthy one.",
                &["pool"],
            ),
            pools: OnceLock::new(),
            clients: OnceLock::new(),
            uncounted: own.counter(
                "kanaria_clients_uncounted_total",
                "Connections and requests let in uncounted, because more clients were busy than are counted.",
            ),
            unshown: Mutex::default(),
            length: AtomicUsize::new(0),
            exposition: own.exposition(),
        }
    }

    /// Series that are set as a whole must not be shown while they are.
    fn alone(&self) -> MutexGuard<'_, Option<Arc<Structure>>> {
        self.unshown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything in the text format of Prometheus.
    pub fn gather(&self) -> String {
        // As long as the last one, and some more: to make it longer again and again would copy it as often.
        let mut text = String::with_capacity(self.length.load(Ordering::Relaxed) * 9 / 8);
        let _one_at_a_time = self.fresh();
        self.exposition.write_text(&mut text);
        self.length.store(text.len(), Ordering::Relaxed);
        text
    }

    /// The same as messages of `io.prometheus.client`, each after its length, with native histograms.
    pub fn messages(&self) -> Vec<u8> {
        let mut messages = Vec::new();
        let _one_at_a_time = self.fresh();
        self.exposition.write_messages(&mut messages);
        messages
    }

    /// Series that are copies show what they are copies of, and stay so while the guard is held.
    fn fresh(&self) -> MutexGuard<'_, Option<Arc<Structure>>> {
        let mut unshown = self.alone();
        if let Some(structure) = unshown.take() {
            self.show(&structure);
        }
        self.requests.report_shares(&self.weight_ratio);
        let pools = self.pools.get().map(|pools| &**pools);
        self.targets.set(pools, Instant::now());
        let uncounted = self.clients.get().map_or(0, |clients| clients.uncounted());
        self.uncounted.copy(uncounted);
        unshown
    }

    /// The pools whose targets `kanaria_target_up` tells of; the first call counts.
    pub fn watch(&self, pools: Arc<Pools>) {
        // A second call would be a second set of pools in one process, which there is not.
        let _ = self.pools.set(pools);
    }

    /// How finding targets goes: pool, failures so far, time since the last good answer.
    pub fn discovered<'a>(&self, found: impl Iterator<Item = (&'a str, u64, Duration)>) {
        let _one_at_a_time = self.alone();
        self.discovery.set(found);
    }

    /// What is seen of the cookies of all routes.
    pub fn cookies<'a>(&self, sighted: impl Iterator<Item = Sighted<'a>>) {
        let _one_at_a_time = self.alone();
        self.cookies.set(sighted);
    }

    /// What all guards say.
    pub fn guarded<'a>(&self, guarded: impl Iterator<Item = Guarded<'a>>) {
        let _one_at_a_time = self.alone();
        self.guards.set(guarded);
    }

    /// Steps of all ramps, from 1.
    pub fn ramps<'a>(&self, steps: impl Iterator<Item = (&'a str, usize)>) {
        let _one_at_a_time = self.alone();
        self.guards.set_ramps(steps);
    }

    /// There was enough evidence of harm by a canary of `route`, in `metric`.
    pub fn guard_tripped(&self, route: &str, metric: &str) {
        self.guards.tripped(route, metric);
    }

    /// `snapshot` is in force from now on, and came about `by`. Shares of a route whose weights it changes are counted anew.
    pub fn published(&self, snapshot: &Snapshot, by: Mover) {
        self.changes.published(snapshot);
        if self.requests.is_of(snapshot) {
            return self.requests.publish(snapshot, by);
        }
        self.keep(&snapshot.structure);
        // A thousand routes are shown when somebody looks: nobody should wait for that.
        let mut unshown = self.alone();
        *unshown = Some(Arc::clone(&snapshot.structure));
        self.weight_ratio.reset();
        self.requests.publish(snapshot, by);
    }

    /// Forgets what pools did that `structure` has not.
    fn keep(&self, structure: &Structure) {
        let routes: HashSet<&str> = structure.routes.iter().map(|route| &*route.name).collect();
        let pools: HashSet<&str> = structure.pools.iter().map(|pool| &*pool.name).collect();
        let is_known = |route: &str, pool: &str| routes.contains(route) && pools.contains(pool);
        self.tallies().keep(&is_known);
    }

    /// Series of `structure` that an alert must see before they count their first event.
    fn show(&self, structure: &Structure) {
        for listener in &structure.listeners {
            self.show_listener(listener);
        }
        for pool in &structure.pools {
            self.fail_open.of(&[&*pool.name]);
            for cause in RETRIED {
                for result in Retried::ALL {
                    let labels = [&*pool.name, cause.as_str(), result.as_str()];
                    self.retries.of(&labels);
                }
            }
        }
        let actors = changes::actors(structure);
        for route in &structure.routes {
            let Some(forward) = route.forward() else {
                continue;
            };
            self.requests.show(route, forward);
            if forward.divides() {
                self.changes.show(route, &actors);
            }
        }
    }

    fn show_listener(&self, listener: &Listener) {
        for limit in CONNECTION_LIMITS {
            self.refused.of(&[&*listener.name, limit]);
        }
        if listener.tls.is_some() {
            self.tls.show(&listener.name);
        }
        if listener.proxy_protocol == ProxyProtocol::Required {
            for cause in PROXY_HEADERS {
                self.introductions.of(&[&*listener.name, cause]);
            }
        }
    }

    /// A change took `time` until no request was decided by the state before it.
    pub fn in_force(&self, time: Duration) {
        self.changes.in_force(time);
    }

    /// The file was loaded anew, or was not: `applied`, `held` or `refused`.
    pub fn reloaded(&self, result: &'static str) {
        self.changes.reloaded(result);
    }

    /// `actor` returned `route` to its stable pool.
    pub fn rolled_back(&self, route: &str, actor: &str) {
        self.changes.rolled_back(route, actor);
    }

    /// The gauge of a listener's open connections: resolve it once, then `inc` and `dec`.
    pub fn connections(&self, listener: &str, protocol: &'static str) -> Arc<Gauge> {
        self.connections.of(&[listener, protocol])
    }

    /// A connection was accepted, or it turned out that it speaks `protocol`.
    pub fn connection_opened(&self, listener: &str, protocol: &'static str) {
        self.connections(listener, protocol).inc();
    }

    /// A connection ended, or turned out to speak another protocol.
    pub fn connection_closed(&self, listener: &str, protocol: &'static str) {
        self.connections(listener, protocol).dec();
    }

    /// A connection was closed at once: as many as `limit` says are open.
    pub fn connection_refused(&self, listener: &str, limit: &str) {
        self.refused.of(&[listener, limit]).inc();
    }

    /// The clients whose limits `kanaria_clients_uncounted_total` tells of; the first call counts.
    pub fn limit(&self, clients: Arc<Clients>) {
        // A second call would be a second data plane in one process, which there is not.
        let _ = self.clients.set(clients);
    }

    /// A connection was closed because its PROXY header was refused for `cause`.
    pub fn introduction_refused(&self, listener: &str, cause: &str) {
        self.introductions.of(&[listener, cause]).inc();
    }

    /// A handshake of TLS ended: `full`, `resumed`, `failed` or `timed_out`.
    pub fn handshake(&self, listener: &str, result: &'static str) {
        self.tls.shaken(listener, result);
    }

    /// Names of the certificates in use, and when they end, in seconds since 1970 as `now` is.
    pub fn certificates<'a>(&self, certificates: impl Iterator<Item = (&'a str, i64)>, now: i64) {
        let _one_at_a_time = self.alone();
        self.tls.set(certificates, now);
    }

    /// Asked and achieved shares of a route's pools, in the order of the file.
    pub fn shares(&self, route: &str) -> Vec<Share> {
        self.requests.shares(route)
    }

    /// Counts the copies of requests of `route` that became `result`.
    pub(crate) fn shadow(&self, route: &str, result: &str) -> Arc<Counter> {
        self.shadow.of(route, result)
    }

    /// What the pools of each route did in the last hour.
    pub fn tallies(&self) -> &Arc<Tallies> {
        self.requests.tallies()
    }

    /// What an access log counts.
    pub(crate) fn access_log(&self, log: &str, is_stdout: bool) -> LogSeries {
        self.logs.of(log, is_stdout)
    }

    /// What counts spans.
    pub fn spans(&self) -> SpanSeries {
        self.spans.series()
    }

    /// What the webhook called `hook` counts.
    pub fn webhook(&self, hook: &str) -> HookSeries {
        self.webhooks.of(hook)
    }

    /// What waits to be written: name of each log, bytes, whether the site waits.
    pub fn backlogs(&self, backlogs: &[(String, usize, bool)]) {
        let _one_at_a_time = self.alone();
        self.logs.set(backlogs);
    }

    /// A request finished.
    pub(crate) fn finished(&self, record: &Record, snapshot: &Snapshot) {
        self.requests.finished(record, snapshot);
        if let Some(cause) = record.error {
            let counter = self.errors.iter().find(|(of, _)| *of == cause);
            counter.inspect(|(_, counter)| counter.inc());
        }
        if record.traits != Traits::default() {
            self.odd(record.traits);
        }
        for retry in &record.retries {
            let pool = &*snapshot.pool(retry.pool).name;
            let labels = [pool, retry.cause.as_str(), retry.result.as_str()];
            self.retries.of(&labels).inc();
        }
        let served = record.decision.and_then(|decision| decision.choice);
        if let (true, Some(choice)) = (record.fail_open, served) {
            let pool = &*snapshot.pool(choice.pool).name;
            self.fail_open.of(&[pool]).inc();
        }
    }

    fn odd(&self, traits: Traits) {
        if traits.invalid_header {
            self.invalid_headers.inc();
        }
        if let Some(desync) = traits.desync {
            self.desync[desync as usize - 1].inc();
        }
    }
}

/// A counter for every reason, at 0 from the start.
fn desync(own: &Own) -> Vec<Arc<Counter>> {
    let counters = own.counters(
        "kanaria_desync_total",
        "Requests whose head is not compliant, served or refused, by the worst about it.",
        &["class", "reason"],
    );
    let each = Desync::ALL.map(|desync| counters.of(&[desync.class().as_str(), desync.as_str()]));
    each.into()
}

/// A counter for every cause that is not the target's, at 0 from the start: an alert needs the series before the error.
fn errors_of_ours(own: &Own) -> Vec<(Cause, Arc<Counter>)> {
    let errors = own.counters(
        "kanaria_router_errors_total",
        "Requests that a client or kanaria itself spoiled; the target's errors are not among them.",
        &["cause"],
    );
    Cause::ALL
        .into_iter()
        .filter(|cause| cause.blame() != Blame::Target)
        .map(|cause| (cause, errors.of(&[cause.as_str()])))
        .collect()
}

#[cfg(test)]
mod tests;
