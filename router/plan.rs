//! What another file would change: the requests of an access log, decided once more by what is in force and by what is
//! planned.
//!
//! It decides nothing itself: both answers are `Snapshot::decide`'s, over what a line tells of its request. What a line
//! does not tell (cookies, most fields) is not guessed: requests that went by it are counted apart.

mod again;
mod ids;
mod line;
mod report;
mod tally;

use std::io::{self, BufRead};

use config::facts::{Facts, Fresh};
use config::ids::ListenerId;
use config::model::StickyMode;
use config::snapshot::{Snapshot, Structure};

pub use again::{Again, Logged, Request};
use ids::{Ids, Placed};
pub use line::NotALine;
use line::{Asked, Told};
pub use report::{Moved, Report, Seat, Share, Skipped};
use tally::{At, Tally};

/// How many lines are read between two words on how far it is.
const NEWS: u64 = 4096;

/// Decides every request that `log` tells of by `live` and by `planned`; `progress` is told of bytes and lines read.
///
/// # Errors
/// When the log cannot be read, or its first line is none of an access log.
pub fn replay(
    live: &Snapshot,
    planned: &Snapshot,
    log: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64, u64),
) -> io::Result<Report> {
    let mut replay = Replay {
        live,
        planned,
        ids: Ids::default(),
        tally: Tally::default(),
    };
    let mut text = Vec::new();
    let (mut n_bytes, mut n_lines) = (0, 0);
    while let n @ 1.. = log.read_until(b'\n', &mut text)? {
        n_bytes += n as u64;
        n_lines += 1;
        if n_lines % NEWS == 0 {
            progress(n_bytes, n_lines);
        }
        match Told::read(String::from_utf8_lossy(&text).trim_end()) {
            Ok(told) => replay.count(&told),
            Err(error) if n_lines == 1 => return Err(io::Error::other(error)),
            Err(_) => replay.tally.skipped.not_lines += 1,
        }
        text.clear();
    }
    progress(n_bytes, n_lines);
    Ok(replay.tally.report(live, planned, n_lines))
}

struct Replay<'a> {
    live: &'a Snapshot,
    planned: &'a Snapshot,
    ids: Ids,
    tally: Tally,
}

impl Replay<'_> {
    fn count(&mut self, told: &Told<'_>) {
        let Some(asked) = &told.asked else {
            return self.tally.skipped.unreadable += 1;
        };
        if told.reason.as_deref() == Some("flag") {
            return self.tally.skipped.flag += 1;
        }
        let placed = Placed::new(&mut self.ids, told.bucket, ids::own(asked));
        let before = decide(self.live, told, asked, &placed);
        let id = placed.id();
        if told.is_ours && before.at.route(self.live) != told.route.as_deref() {
            return self.tally.skipped.other_route += 1;
        }
        let after = decide(self.planned, told, asked, &id);
        let place = before.bucket.or(told.bucket).or(after.bucket);
        let place = place.unwrap_or_else(|| ids::place(&id));
        let before = before.pinned(self.live, told);
        let after = after.pinned(self.planned, told);
        let example = || format!("{} {}{}", asked.method, asked.host, asked.path);
        let (live, planned) = (self.live, self.planned);
        self.tally
            .count((before, live), (after, planned), place, example);
    }
}

/// Where a request goes, and the place of its client.
struct Decided {
    at: At,
    bucket: Option<u16>,
}

fn decide(snapshot: &Snapshot, told: &Told<'_>, asked: &Asked<'_>, fresh: &dyn Fresh) -> Decided {
    let decision = snapshot.decide(&facts(snapshot, told, asked, fresh));
    let pool = decision.choice.map(|choice| choice.pool);
    Decided {
        at: decision
            .route
            .map_or(At::Nowhere, |route| At::Route(route, pool)),
        bucket: decision.choice.and_then(|choice| choice.bucket),
    }
}

/// What a line tells of a request, as far as it may change its way.
fn facts<'a>(
    snapshot: &Snapshot,
    told: &Told<'_>,
    asked: &'a Asked<'_>,
    fresh: &'a dyn Fresh,
) -> Facts<'a> {
    Facts {
        listener: listener(&snapshot.structure, told.listener.as_deref()),
        method: &asked.method,
        host: &asked.host,
        path: &asked.path,
        query: asked.query.as_deref(),
        fields: asked,
        source_ip: asked.client,
        client_ip: asked.client,
        trusted: false,
        now: 0,
        fresh,
    }
}

impl Decided {
    /// A client that was pinned stays where it was, as long as that pool has a weight or drains.
    fn pinned(self, snapshot: &Snapshot, told: &Told<'_>) -> At {
        let (At::Route(route, _), Some("pin")) = (self.at, told.reason.as_deref()) else {
            return self.at;
        };
        let pins = snapshot.route(route).settings.sticky.mode == StickyMode::Pin;
        let pool = told
            .pool
            .as_deref()
            .and_then(|name| snapshot.structure.pool_named(name));
        let split = snapshot.split(route).filter(|_| pins);
        let kept = pool.map(|pool| pool.id).filter(|id| {
            let mut weights = split.iter().flat_map(|split| &split.weights);
            let has_weight = weights.any(|&(pool, weight)| pool == *id && weight > 0);
            has_weight || snapshot.drains(route, *id)
        });
        kept.map_or(self.at, |pool| At::Route(route, Some(pool)))
    }
}

/// The listener of this name; the first one when a line tells none, and one that no match names when it is gone.
fn listener(structure: &Structure, name: Option<&str>) -> ListenerId {
    let Some(name) = name else {
        return ListenerId(0);
    };
    let known = structure.listeners.iter().find(|it| *it.name == *name);
    known.map_or(ListenerId(u16::MAX), |listener| listener.id)
}

#[cfg(test)]
mod tests;
