//! The route's cap: how much of what is placed on a canary it gets, by the second and at a time, on the virtual clock.
//!
//! `cap` counts and refuses. Made up is when within its second a request comes. A place is given back when the head of the
//! answer is there: bodies and WebSockets, which hold it for longer, are left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::decision::{Decision, Reason};
use config::ids::{PoolId, RouteId};
use config::snapshot::Structure;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::crowd::At;
use crate::cap::{Board, Caps, Pass};

/// What canaries may have, and what they have of it.
pub(super) struct Bounds {
    board: Arc<Board>,
    route: RouteId,
    stable: PoolId,
    /// The begin, as the caps count time.
    origin: Instant,
    chance: StdRng,
    /// When the requests of this second come, since the begin.
    moments: Vec<Duration>,
    /// Places that are held: when each is given back, and a number that tells them apart.
    held: BTreeMap<(Duration, u64), Pass>,
    n_held: u64,
    /// The live state under which it was last told that a canary has enough.
    told: Option<u64>,
}

/// A request at the door of its pool.
pub(super) struct Entered {
    /// Where it goes: to stable, with reason `cap`, when the canary that was chosen has enough.
    pub(super) decision: Decision,
    pass: Option<Pass>,
}

impl Bounds {
    pub(super) fn new(structure: &Structure, route: RouteId, stable: PoolId, seed: u64) -> Self {
        let origin = Instant::now();
        let caps = Caps::at(origin);
        caps.align(structure);
        Self {
            board: caps.current(),
            route,
            stable,
            origin,
            chance: StdRng::seed_from_u64(seed ^ 0x626f_756e_6473),
            moments: Vec::new(),
            held: BTreeMap::new(),
            n_held: 0,
            told: None,
        }
    }

    /// Spreads the requests of the second that begins `since_begin_s` after the begin over it, in a new order: whom one
    /// counts first must not have the place.
    pub(super) fn spread(&mut self, arrivals: &mut [At], since_begin_s: u64) {
        if self.board.of(self.route).is_empty() {
            return;
        }
        arrivals.shuffle(&mut self.chance);
        let (second, chance) = (Duration::from_secs(since_begin_s), &mut self.chance);
        let moment = |_| second + Duration::from_nanos(chance.random_range(0..1_000_000_000));
        self.moments.clear();
        self.moments.extend((0..arrivals.len()).map(moment));
        self.moments.sort_unstable();
    }

    /// A request of this second, by its place among them, knocks.
    pub(super) fn enter(&mut self, mut decision: Decision, position: usize) -> Entered {
        let choice = decision.choice.as_mut();
        let cap = choice.and_then(|choice| {
            let cap = self.board.cap(self.route, choice.pool)?;
            Some((choice, cap))
        });
        let Some((choice, cap)) = cap else {
            return Entered {
                decision,
                pass: None,
            };
        };
        let moment = self.moments[position];
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= moment
        {
            first.remove();
        }
        let pass = cap.enter(self.origin + moment);
        if pass.is_none() {
            (choice.pool, choice.reason) = (self.stable, Reason::Cap);
        }
        Entered { decision, pass }
    }

    /// The pool is busy with the request for so long.
    pub(super) fn hold(&mut self, entered: Entered, position: usize, busy: Duration) {
        if let Some(pass) = entered.pass {
            self.n_held += 1;
            let end = self.moments[position] + busy;
            self.held.insert((end, self.n_held), pass);
        }
    }

    /// What is to be told of a request that was sent to stable under this live state: once of each.
    pub(super) fn tell(&mut self, chosen: PoolId, revision: u64) -> Option<String> {
        if self.told.replace(revision) == Some(revision) {
            return None;
        }
        let cap = self.board.cap(self.route, chosen)?;
        let bounds = [
            (cap.max_rps(), "requests a second"),
            (cap.max_concurrent(), "at a time"),
        ];
        let bounds = bounds.iter().filter(|(most, _)| *most > 0);
        let bounds: Vec<_> = bounds
            .map(|(most, what)| format!("{most} {what}"))
            .collect();
        let bounds = bounds.join(", ");
        Some(format!(
            "the cap binds: {bounds}; what is over goes to stable"
        ))
    }
}

impl Entered {
    /// Whether the canary that was chosen had enough.
    pub(super) fn is_over(&self) -> bool {
        let choice = self.decision.choice;
        choice.is_some_and(|choice| choice.reason == Reason::Cap)
    }
}
