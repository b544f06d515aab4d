//! Series of finished requests.
//!
//! A request finds its series by the numbers of its decision, in a map that readers share without a lock and that is
//! copied when a combination appears for the first time. Only then, and for requests of a file no longer in force, are
//! labels looked up by text.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::action::Forward;
use config::decision::Reason;
use config::model::{Cap, Failover};
use config::snapshot::{Route, Snapshot};
use prometheus::GaugeVec;

use super::board::{Board, Known};
use super::key::Key;
use super::own::Own;
use super::series::{Series, Vectors};
use super::shares::Share;
use crate::record::Record;
use crate::tally::{Seat, Tallies};

pub(super) struct Requests {
    vectors: Vectors,
    tallies: Arc<Tallies>,
    board: ArcSwap<Board>,
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
        let mut series = self.vectors.series(key, record, snapshot);
        series.seat = self.seat(key, record, snapshot);
        series
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
