//! Series of finished requests.
//!
//! A request finds its series by the numbers of its decision, in a map that readers share without a lock and that is
//! copied when a combination appears for the first time. Only then, and for requests of a file no longer in force, are
//! labels looked up by text.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::action::Forward;
use config::decision::{Choice, Reason};
use config::ids::RouteId;
use config::model::{Cap, Failover};
use config::snapshot::{Route, Snapshot};

use super::board::{self, Board, Known};
use super::family::Family;
use super::key::Key;
use super::measure::Ratio;
use super::own::Own;
use super::series::{Series, Vectors};
use super::shares::Share;
use super::switches::{Memory, Mover, Stamp};
use crate::record::Record;
use crate::tally::{Seat, Tallies};

/// Parts of a pool in its route, in the order of `RouteShares::parts`.
const KINDS: [&str; 3] = ["asked", "users", "requests"];

pub(super) struct Requests {
    vectors: Vectors,
    tallies: Arc<Tallies>,
    memory: Arc<Memory>,
    board: ArcSwap<Board>,
}

impl Requests {
    pub(super) fn new(own: &Own) -> Self {
        let vectors = Vectors::new(own);
        let forgotten = own.counter(
            "kanaria_clients_forgotten_total",
            "Known clients that others took the place of in the memory of who was where.",
        );
        Self {
            memory: Arc::new(Memory::new(vectors.switches.clone(), forgotten)),
            vectors,
            tallies: Arc::default(),
            board: ArcSwap::from_pointee(Board::default()),
        }
    }

    /// What the pools of each route did in the last hour.
    pub(super) fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    pub(super) fn publish(&self, snapshot: &Snapshot, by: Mover) {
        let before = self.board.load();
        let next = before.next(snapshot, by, &self.memory);
        self.board.store(Arc::new(next));
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
        let falls_back = !settings.fallback.is_empty();
        let causes = [
            (
                Reason::Cap.as_str(),
                has_canaries && settings.cap != Cap::default(),
            ),
            (Reason::Failover.as_str(), fails_over),
            (Reason::Fallback.as_str(), falls_back),
            ("unexplained", has_canaries || falls_back),
        ];
        for (cause, _) in causes.iter().filter(|(_, happens)| *happens) {
            self.vectors.switches.of(&[&*route.name, cause]);
        }
    }

    pub(super) fn finished(&self, record: &Record, snapshot: &Snapshot) {
        let board = self.board.load();
        let key = Key::of(record);
        if !board.is_of(snapshot) {
            return self.finished_late(&board, key, record, snapshot);
        }
        let decision = record.decision.as_ref();
        let route = decision.and_then(|decision| decision.route);
        let route = route.map(|id| &board.routes[id.0 as usize]);
        let known = route.map_or(&board.unrouted, |route| &route.known);
        let known_now = known.load();
        let met;
        let series = match known_now.get(&key.packed()) {
            Some(series) => series,
            None => {
                met = self.meet(&board, known, key, record, snapshot);
                &met
            }
        };
        series.count(record);
        let choice = decision.and_then(|decision| decision.choice.as_ref());
        if let (Some(route), Some(choice)) = (route, choice) {
            route.count(series, record, choice, snapshot.revision);
        }
    }

    /// A request of a file no longer in force: its labels are looked up by text, and so are its route and pool in the one
    /// that is.
    #[cold]
    fn finished_late(&self, board: &Board, key: Key, record: &Record, snapshot: &Snapshot) {
        self.series(&key, record, snapshot).count(record);
        let Some((route, choice)) = decided(record).filter(|_| board::was_served(record)) else {
            return;
        };
        let names = (
            &snapshot.route(route).name,
            &snapshot.pool(choice.pool).name,
        );
        if let Some((switches, number)) = board.named(names.0, names.1) {
            switches.see(choice, Stamp::of(choice, number), snapshot.revision);
        }
    }

    /// Sets what is known in `ratio`, which shows nothing of another structure.
    pub(super) fn report_shares(&self, ratio: &Family<Ratio>) {
        let board = self.board.load();
        let Some(structure) = &board.structure else {
            return;
        };
        for (route, counted) in structure.routes.iter().zip(&board.routes) {
            for (pool, parts) in counted.shares.parts() {
                for (kind, part) in KINDS.into_iter().zip(parts) {
                    let labels = [&*route.name, &*pool, kind];
                    match part {
                        Some(part) => ratio.of(&labels).set(part),
                        None => ratio.remove(&labels),
                    }
                }
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
    fn meet(
        &self,
        board: &Board,
        known: &Known,
        key: Key,
        record: &Record,
        snapshot: &Snapshot,
    ) -> Arc<Series> {
        let mut series = self.series(&key, record, snapshot);
        if let Some((route, choice)) = decided(record) {
            let shares = &board.routes[route.0 as usize].shares;
            series.line = Some(shares.line(choice, key.from));
            series.stamp = Stamp::of(choice, board.number(choice.pool));
        }
        let series = Arc::new(series);
        known.rcu(|map| {
            let mut map = HashMap::clone(map);
            map.insert(key.packed(), Arc::clone(&series));
            map
        });
        series
    }
}

/// The route and the choice in it, when there was one.
fn decided(record: &Record) -> Option<(RouteId, &Choice)> {
    let decision = record.decision.as_ref()?;
    Some((decision.route?, decision.choice.as_ref()?))
}
