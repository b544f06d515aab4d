//! The targets of a pool at one moment: those that take part, those that leave, those that are left out.
//!
//! A set never changes; the pool swaps it for the next one. What lives longer than a set is in its targets.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use config::snapshot;

use super::roster::Roster;
use super::target::Target;

/// One set of targets.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Those that take part.
    pub(super) active: Box<[Member]>,
    leaving: Box<[Leaving]>,
    unused: Box<[Unused]>,
}

/// A target and its part in one set.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) target: Arc<Target>,
    pub(super) weight: u32,
}

/// A target that left: no new requests, but shown for a while.
#[derive(Clone, Debug)]
struct Leaving {
    member: Member,
    until: u64,
}

/// A target that the operator left out, although somebody names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unused {
    pub(super) target: snapshot::Target,
    pub(super) since: u64,
}

impl Members {
    /// The set after `before` for `roster`: a target that stays or comes back keeps its state, a new one is made by
    /// `make`, and one that goes is leaving until `until`.
    pub(super) fn next(
        before: &Self,
        roster: &Roster,
        now: u64,
        until: u64,
        make: impl Fn(&snapshot::Target) -> Arc<Target>,
    ) -> Self {
        let known: HashMap<SocketAddr, &Arc<Target>> = before
            .draining(now)
            .chain(&before.active)
            .map(|member| (member.target.address, &member.target))
            .collect();
        let active = roster.members.iter().map(|target| Member {
            target: known
                .get(&target.address)
                .map_or_else(|| make(target), |&known| Arc::clone(known)),
            weight: target.weight,
        });
        let active: Box<[Member]> = active.collect();
        let stays: HashSet<SocketAddr> = active.iter().map(Member::address).collect();
        let left = before.active.iter().map(|member| Leaving {
            member: member.clone(),
            until,
        });
        let leaving = before.leaving.iter().cloned().chain(left);
        let leaving = leaving.filter(|leaving| !stays.contains(&leaving.member.address()));
        Self {
            leaving: leaving.collect(),
            active,
            unused: before.still_unused(roster, now),
        }
    }

    /// The same without those whose time to leave is over, and these; `None` when there are none.
    pub(super) fn without_gone(&self, now: u64) -> Option<(Self, Vec<Member>)> {
        let (gone, leaving): (Vec<_>, Vec<_>) = self
            .leaving
            .iter()
            .partition(|leaving| leaving.until <= now);
        let next = || Self {
            active: self.active.clone(),
            leaving: leaving.into_iter().cloned().collect(),
            unused: self.unused.clone(),
        };
        let members = |gone: Vec<&Leaving>| gone.iter().map(|l| l.member.clone()).collect();
        (!gone.is_empty()).then(|| (next(), members(gone)))
    }

    /// Whether it is what `roster` says.
    pub(super) fn follows(&self, roster: &Roster) -> bool {
        let active = self.active.iter().map(|member| snapshot::Target {
            address: member.address(),
            weight: member.weight,
        });
        let unused = self.unused.iter().map(|unused| unused.target);
        active.eq(roster.members.iter().copied()) && unused.eq(roster.unused.iter().copied())
    }

    /// The targets that take part.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.active.iter().map(|member| &member.target)
    }

    /// Those that leave and are not gone yet.
    pub(super) fn draining(&self, now: u64) -> impl Iterator<Item = &Member> {
        let leaving = self
            .leaving
            .iter()
            .filter(move |leaving| now < leaving.until);
        leaving.map(|leaving| &leaving.member)
    }

    /// Those that the operator left out, but for those that still drain.
    pub(super) fn unused(&self, now: u64) -> impl Iterator<Item = &Unused> {
        let drains = move |address| self.draining(now).any(|member| member.address() == address);
        self.unused
            .iter()
            .filter(move |unused| !drains(unused.target.address))
    }

    fn still_unused(&self, roster: &Roster, now: u64) -> Box<[Unused]> {
        let before = |address| self.unused.iter().find(|u| u.target.address == address);
        let unused = roster.unused.iter().map(|&target| Unused {
            target,
            since: before(target.address).map_or(now, |unused| unused.since),
        });
        unused.collect()
    }
}

impl Member {
    pub(super) fn address(&self) -> SocketAddr {
        self.target.address
    }
}
