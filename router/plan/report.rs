//! What a replay found, by names.

use serde::Serialize;

/// What another file would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Lines of the log.
    pub lines: u64,
    /// Requests decided on both sides.
    pub requests: u64,
    /// Lines that were not decided, by why.
    pub skipped: Skipped,
    /// Requests that no route takes now.
    pub unmatched_before: u64,
    /// Requests that no route would take.
    pub unmatched_after: u64,
    /// Parts of each pool in its route, now and then.
    pub shares: Vec<Share>,
    /// Requests that would go elsewhere, most of them first.
    pub moves: Vec<Moved>,
    /// Places of users (of 10,000) that were seen.
    pub users_seen: u64,
    /// Those of them of which a request would go to another pool.
    pub users_moved: u64,
    /// The live state that was compared with.
    pub revision: u64,
    /// The file that was compared with.
    pub config_digest: String,
    /// The new file.
    pub planned_digest: String,
    /// What else the operator should know.
    pub notes: Vec<String>,
}

/// Lines that were not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Requests of flagged clients: no log tells the flag.
    pub flag: u64,
    /// Lines that are none of an access log, or broken.
    pub not_lines: u64,
    /// Requests that what is in force would not send to the route that they had: by a field or cookie that no log
    /// tells, or because the file has changed since.
    pub other_route: u64,
    /// Requests that could not be read.
    pub unreadable: u64,
}

impl Report {
    /// The part of the users seen that would change their pool, 0 to 1.
    pub fn moved_users(&self) -> f64 {
        match self.users_seen {
            0 => 0.0,
            seen => self.users_moved as f64 / seen as f64,
        }
    }
}

impl Skipped {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.flag + self.not_lines + self.other_route + self.unreadable
    }
}

/// A route, and the pool in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Seat {
    /// The route; `None`: no route takes it.
    pub route: Option<String>,
    /// The pool; `None`: the route answers by itself.
    pub pool: Option<String>,
}

/// Requests that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Where they go now.
    pub from: Seat,
    /// Where they would go.
    pub to: Seat,
    /// How many.
    pub requests: u64,
    /// Places of the users who sent them.
    pub users: u64,
    /// Some of them.
    pub examples: Vec<String>,
}

/// The part of a pool in its route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Route and pool.
    #[serde(flatten)]
    pub seat: Seat,
    /// Requests now.
    pub requests_before: u64,
    /// Requests then.
    pub requests_after: u64,
    /// Part of the route's requests now, 0 to 1; `None` when it has none.
    pub share_before: Option<f64>,
    /// The same then.
    pub share_after: Option<f64>,
    /// Part of the route's users now, 0 to 1.
    pub users_before: Option<f64>,
    /// The same then.
    pub users_after: Option<f64>,
}
