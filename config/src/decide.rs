//! The decision: which route takes a request, and which of its pools.
//!
//! Total and pure: no clock, no randomness, no failure. What depends on the state of the pools (a cap, a canary
//! without a healthy target) is asked afterwards, by whoever carries the decision out.

use std::net::IpAddr;

use http::HeaderName;

use crate::action::{Action, Forward};
use crate::bucket::{BucketKey, Place};
use crate::cookie;
use crate::decision::{Choice, Decision, Reason, Sticky};
use crate::facts::Facts;
use crate::flag;
use crate::id::{self, Claim};
use crate::ids::{FlagId, PoolId, RouteId};
use crate::matching::Request;
use crate::model::StickyMode;
use crate::partition::{self, Room};
use crate::path::Path;
use crate::snapshot::{Route, Snapshot};
use crate::split::Split;

/// Where a client without our cookie has something that stays the same.
#[derive(Debug)]
pub(crate) enum Key {
    Cookie(String),
    Header(HeaderName),
    Ip,
}

/// Where a client stands in a route.
#[derive(Clone, Copy)]
struct Standing {
    bucket: Option<u16>,
    unit: u16,
    sticky: Sticky,
    new_id: Option<[u8; 16]>,
    /// It has a cookie of ours, or gets one.
    is_pinnable: bool,
}

pub(crate) fn decide(snapshot: &Snapshot, facts: &Facts<'_>) -> Decision {
    let mut room: Room = [0; _];
    let host = partition::normalize(facts.host, &mut room);
    let structure = &*snapshot.structure;
    let partition = structure.partitions.of(facts, host);
    let path = Path::read(facts.path);
    let request = Request {
        facts,
        host,
        partition,
        path: path.usual(),
    };
    let taken = first(snapshot, &request);
    let ambiguous = path
        .others()
        .any(|path| first(snapshot, &Request { path, ..request }) != taken);
    let route = taken.filter(|_| !ambiguous);
    let choice = route.and_then(|id| choose(snapshot, snapshot.route(id), facts));
    Decision {
        partition,
        route,
        ambiguous,
        choice,
    }
}

/// The first route that takes `request`.
pub(crate) fn first(snapshot: &Snapshot, request: &Request<'_>) -> Option<RouteId> {
    let matches = |id: RouteId| snapshot.route(id).takes(request);
    snapshot.structure.index.first(request, matches)
}

/// The order of precedence. A flagged client gets its place too, so that it has one when the flag goes.
fn choose(snapshot: &Snapshot, route: &Route, facts: &Facts<'_>) -> Option<Choice> {
    let Action::Forward(forward) = &route.action else {
        return None;
    };
    let split = snapshot.split(route.id)?;
    let key = snapshot.bucket_key(forward.cohort);
    let standing = stand(route, forward, split, key, facts);
    let flagged = by_flag(snapshot, forward, facts);
    // Only a route of one pool has clients without a bucket, and there every bucket is the same.
    let weighed = split.pool_of(standing.bucket.unwrap_or(0));
    let pinning = forward.pinning.as_ref();
    let pinning = pinning.filter(|_| flagged.is_none() && standing.is_pinnable);
    let verdict = pinning.map(|pinning| {
        let pin = snapshot.pin_of(forward, facts);
        pinning.judge(pin, weighed, split, |pool| snapshot.drains(route.id, pool))
    });
    let kept = verdict.and_then(|verdict| verdict.kept);
    let (reason, pool, flag) = flagged
        .or_else(|| Some((Reason::Pin, kept?, None)))
        .unwrap_or((Reason::Weight, weighed, None));
    Some(Choice {
        pool,
        reason,
        flag,
        bucket: standing.bucket,
        unit: standing.unit,
        sticky: standing.sticky,
        new_id: standing.new_id,
        expired: match flag {
            Some(_) => None,
            None => flag::expired(&forward.flags, facts, snapshot.flag_signer()),
        },
        new_pin: verdict.is_some_and(|verdict| verdict.renewed),
    })
}

fn by_flag(
    snapshot: &Snapshot,
    forward: &Forward,
    facts: &Facts<'_>,
) -> Option<(Reason, PoolId, Option<FlagId>)> {
    let (id, flag) = flag::first(&forward.flags, facts, snapshot.flag_signer())?;
    Some((Reason::Flag, flag.pool, Some(id)))
}

/// The id of a client: in our cookie, else in a key of the route, else fresh. Who is known by a key gets no cookie:
/// the key goes on placing it, on every device that shares it.
fn stand(
    route: &Route,
    forward: &Forward,
    split: &Split,
    key: &BucketKey,
    facts: &Facts<'_>,
) -> Standing {
    let settings = &route.settings.sticky;
    if settings.mode == StickyMode::Off {
        return afresh(route.id, forward, split, key, facts);
    }
    let claim = id::claim(facts.fields, &settings.cookie);
    if let Claim::Valid(id) = claim {
        return Standing {
            is_pinnable: true,
            ..Standing::known(key.place(&id))
        };
    }
    if let Some(place) = by_key(&forward.keys, key, facts) {
        return Standing::known(place);
    }
    if !forward.divides() {
        return Standing::NONE;
    }
    let id = facts.fresh.id(route.id, split, key);
    let sticky = match claim {
        Claim::Invalid => Sticky::Invalid,
        Claim::Absent | Claim::Valid(_) => Sticky::New,
    };
    let place = key.place(&id);
    Standing {
        bucket: Some(place.bucket()),
        unit: place.unit(),
        sticky,
        new_id: Some(id),
        is_pinnable: true,
    }
}

/// Without stickiness each request is a new client, which is told nothing.
fn afresh(
    route: RouteId,
    forward: &Forward,
    split: &Split,
    key: &BucketKey,
    facts: &Facts<'_>,
) -> Standing {
    if !forward.divides() {
        return Standing::NONE;
    }
    let id = facts.fresh.once(route, split, key);
    let place = key.place(&id);
    Standing {
        bucket: Some(place.bucket()),
        unit: place.unit(),
        ..Standing::NONE
    }
}

/// The place by the first key that the request has; an empty value is none.
fn by_key(keys: &[Key], bucket_key: &BucketKey, facts: &Facts<'_>) -> Option<Place> {
    keys.iter().find_map(|key| {
        let mut place = None;
        key.visit(facts, &mut |value| {
            place = (!value.is_empty()).then(|| bucket_key.place(value));
            place.is_some()
        });
        place
    })
}

/// The key that places a client which sent no id; `None` when it sent one or has no key.
pub(crate) fn known_by<'a>(
    route: &Route,
    forward: &'a Forward,
    facts: &Facts<'_>,
) -> Option<&'a Key> {
    if matches!(
        id::claim(facts.fields, &route.settings.sticky.cookie),
        Claim::Valid(_)
    ) {
        return None;
    }
    forward
        .keys
        .iter()
        .find(|key| key.visit(facts, &mut |value| !value.is_empty()))
}

impl Key {
    /// Shows `visit` each value of this key until it answers true; says whether it did.
    fn visit(&self, facts: &Facts<'_>, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Cookie(name) => cookie::any(facts.fields, name, visit),
            Self::Header(name) => facts.fields.any(name, visit),
            Self::Ip => match facts.client_ip.to_canonical() {
                IpAddr::V4(ip) => visit(&ip.octets()),
                IpAddr::V6(ip) => visit(&ip.octets()),
            },
        }
    }
}

impl Standing {
    const NONE: Self = Self {
        bucket: None,
        unit: 0,
        sticky: Sticky::None,
        new_id: None,
        is_pinnable: false,
    };

    const fn known(place: Place) -> Self {
        Self {
            bucket: Some(place.bucket()),
            unit: place.unit(),
            sticky: Sticky::Hit,
            new_id: None,
            is_pinnable: false,
        }
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
