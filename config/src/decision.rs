//! Where a request goes, and why.

use crate::ids::{FlagId, PartitionId, PoolId, RouteId};

/// The answer of `Snapshot::decide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The partition of the request's host.
    pub partition: PartitionId,
    /// The first route that matched; `None` when no route did, which is answered 404.
    pub route: Option<RouteId>,
    /// Targets may read the path in several ways, which lead to different routes: answered 400.
    pub ambiguous: bool,
    /// The pool chosen in it; `None` when it answers by itself.
    pub choice: Option<Choice>,
}

/// The pool chosen in a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The pool the request goes to.
    pub pool: PoolId,
    /// Why this pool.
    pub reason: Reason,
    /// The flag that decided, when `reason` is `Flag`.
    pub flag: Option<FlagId>,
    /// The client's place, 0..9999; `None` when nothing needed one.
    pub bucket: Option<u16>,
    /// The unit that statistics count the client as; 0 without a bucket.
    pub unit: u16,
    /// What the request said of its place.
    pub sticky: Sticky,
    /// The id to give the client in a cookie; `None` when it keeps the one it has or must not get one.
    pub new_id: Option<[u8; 16]>,
    /// A flag whose value in the client's cookie has expired, so that the cookie is cleared.
    pub expired: Option<FlagId>,
    /// The client is given a pin to the pool.
    pub new_pin: bool,
}

/// Why a pool was chosen, in the order in which they are asked; the last three come from the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A flag of the route matched.
    Flag,
    /// A pin of the client: mode `pin`, or a hold.
    Pin,
    /// The client's bucket against the weights.
    Weight,
    /// The chosen canary had as much as it may have: stable served, not charged to the canary.
    Cap,
    /// The chosen canary could not serve: stable did, charged to the canary.
    Failover,
    /// The answer was 404, and another pool was asked as the route's `fallback` says; nobody is charged.
    Fallback,
}

impl Reason {
    /// The word in logs, metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Pin => "pin",
            Self::Weight => "weight",
            Self::Cap => "cap",
            Self::Failover => "failover",
            Self::Fallback => "fallback",
        }
    }
}

/// What a request said of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sticky {
    /// A valid id came with the request, in our cookie or in a key of the route.
    Hit,
    /// No id came; one was made.
    New,
    /// A cookie of our name came whose value is not an id; one was made.
    Invalid,
    /// The route does not need one.
    None,
}

impl Sticky {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::New => "new",
            Self::Invalid => "invalid",
            Self::None => "none",
        }
    }
}
