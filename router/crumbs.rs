//! What is seen of cookies on the way: what the pools of a route set, what clients send twice, and what belongs to the
//! page of another pool. Never a value.
//!
//! Requests share one set of counters a route, without a lock: a kind of cookie that was seen before costs the reading of
//! its line, a hash and two counts. What it means is worked out elsewhere, away from requests.

mod registry;
mod requests;
mod table;

use std::sync::Arc;

use config::ids::PoolId;
use jar::{Place, SetCookie};

pub use registry::{Board, Registry};
pub use requests::{Requests, Skew};
pub use table::{Sighting, Table};

/// What is seen of one route with several pools.
#[derive(Debug)]
pub struct Crumbs {
    /// The route.
    pub route: Arc<str>,
    /// Of its requests.
    pub requests: Arc<Requests>,
    /// What each of its pools sets, stable first.
    pub tables: Box<[Arc<Table>]>,
    /// The pools of these, as the snapshot numbers them.
    ids: Box<[PoolId]>,
}

impl Crumbs {
    /// What `pool` sets; `None` for one that the route does not name.
    pub fn of(&self, pool: PoolId) -> Option<&Table> {
        let position = self.ids.iter().position(|id| *id == pool)?;
        self.tables.get(position).map(|table| &**table)
    }
}

impl Table {
    /// An answer sets the cookies of these `Set-Cookie` lines.
    pub fn set<'a, I>(&self, lines: impl Fn() -> I, place: &Place<'_>)
    where
        I: Iterator<Item = &'a [u8]>,
    {
        let cookies = || lines().filter_map(SetCookie::read);
        for cookie in cookies() {
            let sets =
                |other: SetCookie<'_>| other.name == cookie.name && !other.deletes(place.now);
            // Forgotten in favor of another one of the name: not what a logout does.
            let beside = cookie.deletes(place.now) && cookies().any(sets);
            self.count(&cookie, beside, place);
        }
    }
}

#[cfg(test)]
mod tests;
