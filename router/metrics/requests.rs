//! Series of finished requests.
//!
//! A request finds its series by the numbers of its decision, in a map that readers share without a lock and that is
//! copied when a combination appears for the first time. Only then, and for requests of a file no longer in force, are
//! labels looked up by text.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::action::Forward;
use config::decision::Reason;
use config::model::{Cap, Failover};
use config::snapshot::{Route, Snapshot, Structure};
use prometheus::{GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::key::{Key, Spread};
use super::own::Own;
use super::shares::{RouteShares, Share};
use crate::record::Record;
use crate::tally::{Seat, Tallies};

const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

pub(super) struct Requests {
    vectors: Vectors,
    tallies: Arc<Tallies>,
    board: ArcSwap<Board>,
}

struct Vectors {
    requests: IntCounterVec,
    duration: HistogramVec,
    upstream: HistogramVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    switches: IntCounterVec,
    sticky: IntCounterVec,
}

/// What the structure in force has counted.
#[derive(Default)]
struct Board {
    structure: Option<Arc<Structure>>,
    routes: Vec<RouteBoard>,
    unrouted: Arc<Known>,
}

#[derive(Clone)]
struct RouteBoard {
    known: Arc<Known>,
    shares: Arc<RouteShares>,
}

/// Series by what the numbers of a decision say.
type Known = ArcSwap<HashMap<u64, Arc<Series>, BuildHasherDefault<Spread>>>;

/// The series that one request moves.
struct Series {
    requests: IntCounter,
    duration: Histogram,
    upstream: Option<Histogram>,
    received: IntCounter,
    sent: IntCounter,
    sticky: Option<IntCounter>,
    switches: Option<IntCounter>,
    /// Where pools are compared; none when it is charged to none.
    seat: Option<Seat>,
}

impl Requests {
    pub(super) fn new(own: &Own<'_>) -> Self {
        Self {
            vectors: Vectors::new(own),
            tallies: Arc::default(),
            board: ArcSwap::from_pointee(Board::default()),
        }
    }

    /// What the pools of each route did in the last hour.
    pub(super) fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    pub(super) fn publish(&self, snapshot: &Snapshot) {
        let before = self.board.load();
        self.board.store(Arc::new(before.next(snapshot)));
    }

    /// Whether the series of routes and pools are those of the structure of `snapshot`.
    pub(super) fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.board.load().is_of(snapshot)
    }

    /// Shows the series of `route` that an alert must see before they count their first event.
    pub(super) fn show(&self, route: &Route, forward: &Forward) {
        let settings = &route.settings;
        let has_canaries = forward.divides() || !settings.flags.is_empty();
        let fails_over = has_canaries && settings.failover == Failover::Stable;
        let causes = [
            (Reason::Cap, has_canaries && settings.cap != Cap::default()),
            (Reason::Failover, fails_over),
            (Reason::Fallback, !settings.fallback.is_empty()),
        ];
        for (cause, _) in causes.iter().filter(|(_, happens)| *happens) {
            let labels = [&*route.name, cause.as_str()];
            self.vectors.switches.with_label_values(&labels);
        }
    }

    pub(super) fn finished(&self, record: &Record, snapshot: &Snapshot) {
        let board = self.board.load();
        let key = Key::of(record);
        let choice = record.decision.and_then(|decision| decision.choice);
        if !board.is_of(snapshot) {
            let series = self.series(&key, record, snapshot);
            return series.count(record);
        }
        let route = record.decision.and_then(|decision| decision.route);
        let route = route.map(|id| &board.routes[id.0 as usize]);
        let known = route.map_or(&board.unrouted, |route| &route.known);
        match known.load().get(&key.packed()) {
            Some(series) => series.count(record),
            None => self.meet(known, key, record, snapshot).count(record),
        }
        if let (Some(route), Some(choice)) = (route, choice) {
            route.shares.count(&choice, snapshot.revision);
        }
    }

    /// Sets what is known in `ratio`, which shows nothing of another structure.
    pub(super) fn report_shares(&self, ratio: &GaugeVec) {
        let board = self.board.load();
        let Some(structure) = &board.structure else {
            return;
        };
        for (route, counted) in structure.routes.iter().zip(&board.routes) {
            for share in counted.shares.report() {
                let set = |kind, value| {
                    let labels = [&*route.name, &*share.pool, kind];
                    match value {
                        Some(value) => ratio.with_label_values(&labels).set(value),
                        // Where there was none before, either, that is no error.
                        None => drop(ratio.remove_label_values(&labels)),
                    }
                };
                set("asked", Some(share.asked));
                set("users", share.users);
                set("requests", share.requests);
            }
        }
    }

    pub(super) fn shares(&self, name: &str) -> Vec<Share> {
        let board = self.board.load();
        let Some(structure) = &board.structure else {
            return Vec::new();
        };
        let position = structure.routes.iter().position(|r| *r.name == *name);
        position.map_or_else(Vec::new, |position| board.routes[position].shares.report())
    }

    fn series(&self, key: &Key, record: &Record, snapshot: &Snapshot) -> Series {
        Series {
            seat: self.seat(key, record, snapshot),
            ..self.vectors.series(key, record, snapshot)
        }
    }

    /// Where a request is charged: to the pool that was chosen. What a cap sent to stable, or a `fallback` to another
    /// pool, says nothing of either.
    fn seat(&self, key: &Key, record: &Record, snapshot: &Snapshot) -> Option<Seat> {
        let decision = record.decision?;
        let choice = decision.choice?;
        if matches!(choice.reason, Reason::Cap | Reason::Fallback) {
            return None;
        }
        let route = &snapshot.route(decision.route?).name;
        let charged = &snapshot.pool(key.from.unwrap_or(choice.pool)).name;
        let tally = self.tallies.of(route, charged);
        Some(tally.seat(snapshot.partition_name(decision.partition)))
    }

    #[cold]
    fn meet(&self, known: &Known, key: Key, record: &Record, snapshot: &Snapshot) -> Arc<Series> {
        let series = Arc::new(self.series(&key, record, snapshot));
        known.rcu(|map| {
            let mut map = HashMap::clone(map);
            map.insert(key.packed(), Arc::clone(&series));
            map
        });
        series
    }
}

impl Board {
    fn is_of(&self, snapshot: &Snapshot) -> bool {
        let structure = self.structure.as_ref();
        structure.is_some_and(|structure| Arc::ptr_eq(structure, &snapshot.structure))
    }

    /// Numbers mean something else in another structure, so only names carry over to it.
    fn next(&self, snapshot: &Snapshot) -> Self {
        let same = self.is_of(snapshot);
        let structure = &snapshot.structure;
        let before: HashMap<&str, &RouteBoard> = match &self.structure {
            Some(structure) => {
                let names = structure.routes.iter().map(|route| &*route.name);
                names.zip(&self.routes).collect()
            }
            None => HashMap::new(),
        };
        let routes = structure.routes.iter().map(|route| {
            let before = before.get(&*route.name);
            let known = before.filter(|_| same).map(|before| &before.known);
            RouteBoard {
                known: known.cloned().unwrap_or_default(),
                shares: RouteShares::next(before.map(|before| &before.shares), route.id, snapshot),
            }
        });
        Self {
            routes: routes.collect(),
            unrouted: if same {
                Arc::clone(&self.unrouted)
            } else {
                Arc::default()
            },
            structure: Some(Arc::clone(structure)),
        }
    }
}

impl Vectors {
    fn new(own: &Own<'_>) -> Self {
        Self {
            requests: own.counters(
                "kanaria_requests_total",
                "Finished requests; code 000 means that nothing was sent, 460 that the client was gone.",
                &["route", "partition", "pool", "reason", "code"],
            ),
            duration: own.histograms(
                "kanaria_request_duration_seconds",
                "From a request's first byte to its end; upgraded connections are left out.",
                &["route", "partition", "pool"],
                SECONDS,
            ),
            upstream: own.histograms(
                "kanaria_upstream_duration_seconds",
                "From the head sent to a target to the first byte of its answer.",
                &["route", "pool"],
                SECONDS,
            ),
            received: own.counters(
                "kanaria_received_bytes_total",
                "Bytes read from clients: heads and bodies of requests that finished.",
                &["route", "partition", "pool"],
            ),
            sent: own.counters(
                "kanaria_sent_bytes_total",
                "Bytes sent to clients: heads and bodies of the answers to them.",
                &["route", "partition", "pool"],
            ),
            switches: own.counters(
                "kanaria_pool_switches_total",
                "Requests that another pool served in place of the one chosen.",
                &["route", "cause"],
            ),
            sticky: own.counters(
                "kanaria_sticky_total",
                "What requests said of their client's place.",
                &["route", "result"],
            ),
        }
    }

    fn series(&self, key: &Key, record: &Record, snapshot: &Snapshot) -> Series {
        let structure = &*snapshot.structure;
        let choice = record.decision.and_then(|decision| decision.choice);
        let route = record.decision.and_then(|decision| decision.route);
        let route = route.map_or("", |id| &structure.routes[id.0 as usize].name);
        let pool = choice.map_or("", |choice| &structure.pools[choice.pool.0 as usize].name);
        let partition = key.partition.map_or("", |id| snapshot.partition_name(id));
        let reason = key.reason.map_or("", Reason::as_str);
        Series {
            requests: self.requests.with_label_values(&[
                route,
                partition,
                pool,
                reason,
                &key.code(),
            ]),
            duration: self.duration.with_label_values(&[route, partition, pool]),
            received: self.received.with_label_values(&[route, partition, pool]),
            sent: self.sent.with_label_values(&[route, partition, pool]),
            upstream: choice.map(|_| self.upstream.with_label_values(&[route, pool])),
            sticky: key
                .sticky
                .map(|sticky| self.sticky.with_label_values(&[route, sticky.as_str()])),
            switches: key
                .from
                .map(|_| self.switches.with_label_values(&[route, reason])),
            seat: None,
        }
    }
}

impl Series {
    fn count(&self, record: &Record) {
        self.requests.inc();
        self.received.inc_by(record.bytes_in);
        self.sent.inc_by(record.bytes_out);
        if record.status != 101 {
            self.duration.observe(record.duration.as_secs_f64());
        }
        let ttfb = record.upstream.and_then(|upstream| upstream.ttfb);
        if let (Some(upstream), Some(ttfb)) = (&self.upstream, ttfb) {
            upstream.observe(ttfb.as_secs_f64());
        }
        for counter in [&self.sticky, &self.switches].into_iter().flatten() {
            counter.inc();
        }
        let choice = record.decision.as_ref().and_then(|it| it.choice.as_ref());
        if let (Some(seat), Some(choice)) = (&self.seat, choice) {
            seat.count(record, choice);
        }
    }
}
