//! Where requests went and would go, counted; memory grows with routes and pools, never with lines.

use std::collections::{BTreeMap, HashMap};

use config::ids::{PoolId, RouteId};
use config::snapshot::Snapshot;
use config::split::BUCKETS;

use super::report::{Moved, Report, Seat, Share, Skipped};

/// How many requests are told of as examples, of each way.
const EXAMPLES: usize = 3;

/// Where a request goes: by the numbers of its snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// No route takes it.
    Nowhere,
    /// A route, and the pool in it; `None` when the route answers by itself.
    Route(RouteId, Option<PoolId>),
}

/// Buckets that were seen.
#[derive(Clone)]
pub(super) struct Places(Vec<u64>);

#[derive(Default)]
pub(super) struct Tally {
    ways: HashMap<(At, At), Way>,
    moved: Places,
    seen: Places,
    n_requests: u64,
    pub(super) skipped: Skipped,
}

/// Requests that go from one place to another, or stay.
struct Way {
    n_requests: u64,
    places: Places,
    examples: Vec<String>,
    from: Seat,
    to: Seat,
}

/// One side's requests and clients by seat.
type Sides = BTreeMap<Seat, (u64, Places)>;

impl Tally {
    /// Counts a request of the client at `place`, which the first snapshot sends here and the second one there.
    pub(super) fn count(
        &mut self,
        (before, live): (At, &Snapshot),
        (after, planned): (At, &Snapshot),
        place: u16,
        example: impl Fn() -> String,
    ) {
        let way = self.ways.entry((before, after)).or_insert_with(|| Way {
            n_requests: 0,
            places: Places::default(),
            examples: Vec::new(),
            from: before.seat(live),
            to: after.seat(planned),
        });
        way.n_requests += 1;
        way.places.see(place);
        if way.from != way.to && way.examples.len() < EXAMPLES {
            let example = example();
            if !way.examples.contains(&example) {
                way.examples.push(example);
            }
        }
        if way.from.pool != way.to.pool {
            self.moved.see(place);
        }
        self.seen.see(place);
        self.n_requests += 1;
    }

    pub(super) fn report(self, live: &Snapshot, planned: &Snapshot, n_lines: u64) -> Report {
        let (mut before, mut after) = (Sides::new(), Sides::new());
        for way in self.ways.values() {
            add(&mut before, &way.from, way);
            add(&mut after, &way.to, way);
        }
        let unmatched = |sides: &Sides| sides.get(&Seat::default()).map_or(0, |(n, _)| *n);
        let mut moves: Vec<Moved> = self
            .ways
            .into_values()
            .filter(|way| way.from != way.to)
            .map(Moved::from)
            .collect();
        moves.sort_by(|one, other| {
            let size = other.requests.cmp(&one.requests);
            size.then_with(|| (&one.from, &one.to).cmp(&(&other.from, &other.to)))
        });
        Report {
            lines: n_lines,
            requests: self.n_requests,
            skipped: self.skipped,
            unmatched_before: unmatched(&before),
            unmatched_after: unmatched(&after),
            shares: shares(&before, &after),
            moves,
            users_seen: self.seen.count(),
            users_moved: self.moved.count(),
            revision: live.revision,
            config_digest: live.structure.digest.to_string(),
            planned_digest: planned.structure.digest.to_string(),
            notes: Vec::new(),
        }
    }
}

fn add(sides: &mut Sides, seat: &Seat, way: &Way) {
    let (n_requests, places) = sides.entry(seat.clone()).or_default();
    *n_requests += way.n_requests;
    places.merge(&way.places);
}

/// Parts of each route that divides its requests, on either side.
fn shares(before: &Sides, after: &Sides) -> Vec<Share> {
    let mut seats: Vec<&Seat> = before.keys().chain(after.keys()).collect();
    seats.sort_unstable();
    seats.dedup();
    let part = |sides: &Sides, seat: &Seat| {
        let of_route = || sides.iter().filter(|(other, _)| other.route == seat.route);
        let (all_requests, all_places) = of_route().fold((0, 0), |(requests, places), (_, it)| {
            (requests + it.0, places + it.1.count())
        });
        let (requests, places) = sides.get(seat).map_or((0, 0), |it| (it.0, it.1.count()));
        let ratio = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
        (
            requests,
            ratio(requests, all_requests),
            ratio(places, all_places),
        )
    };
    let divided = seats.into_iter().filter(|seat| seat.pool.is_some());
    let shares = divided.map(|seat| {
        let (requests_before, share_before, users_before) = part(before, seat);
        let (requests_after, share_after, users_after) = part(after, seat);
        Share {
            seat: seat.clone(),
            requests_before,
            requests_after,
            share_before,
            share_after,
            users_before,
            users_after,
        }
    });
    shares.collect()
}

impl From<Way> for Moved {
    fn from(way: Way) -> Self {
        Self {
            from: way.from,
            to: way.to,
            requests: way.n_requests,
            users: way.places.count(),
            examples: way.examples,
        }
    }
}

impl At {
    /// The name of its route.
    pub(super) fn route(self, snapshot: &Snapshot) -> Option<&str> {
        match self {
            Self::Nowhere => None,
            Self::Route(route, _) => Some(&snapshot.route(route).name),
        }
    }

    fn seat(self, snapshot: &Snapshot) -> Seat {
        let pool = match self {
            Self::Nowhere | Self::Route(_, None) => None,
            Self::Route(_, Some(pool)) => Some(snapshot.pool(pool).name.to_string()),
        };
        Seat {
            route: self.route(snapshot).map(str::to_owned),
            pool,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self(vec![0; usize::from(BUCKETS).div_ceil(64)])
    }
}

impl Places {
    fn see(&mut self, place: u16) {
        self.0[usize::from(place / 64)] |= 1 << (place % 64);
    }

    fn merge(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
