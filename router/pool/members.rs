//! The targets of a pool at one moment: those that take part, those that leave, those that are left out.
//!
//! A set never changes; the pool swaps it for the next one. What lives longer than a set is in its targets.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use config::snapshot;

use super::eligible::Eligible;
use super::handle::Handle;
use super::roster::Roster;
use super::rotation::Rotation;
use super::terms::Terms;

/// One set of targets.
#[derive(Debug)]
pub(super) struct Members {
    /// Those that take part.
    pub(super) active: Arc<[Member]>,
    /// The turns of all of them, whatever their condition.
    pub(super) rotation: Arc<Rotation>,
    /// Those of them that requests are given first.
    pub(super) eligible: Eligible,
    leaving: Arc<[Leaving]>,
    unused: Arc<[Unused]>,
}

/// A target and its part in one set.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) target: Handle,
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
    /// Nobody.
    pub(super) fn none() -> Self {
        let active = Arc::default();
        Self {
            eligible: Eligible::new(&active, 0, 0),
            active,
            rotation: Arc::default(),
            leaving: Arc::default(),
            unused: Arc::default(),
        }
    }

    /// The set after `before` for `roster`: a target that stays or comes back keeps its state, a new one is made by
    /// `make`, and one that goes is leaving until `until`. `version` is that of the targets' states.
    pub(super) fn next(
        before: &Self,
        roster: &Roster,
        (version, now): (u64, u64),
        until: u64,
        make: impl Fn(&snapshot::Target) -> Handle,
    ) -> Self {
        let known: HashMap<SocketAddr, &Handle> = before
            .draining(now)
            .chain(&*before.active)
            .map(|member| (member.target.address, &member.target))
            .collect();
        let active = roster.members.iter().map(|target| Member {
            target: known
                .get(&target.address)
                .map_or_else(|| make(target), |&known| known.clone()),
            weight: target.weight,
        });
        let active: Arc<[Member]> = active.collect();
        let stays: HashSet<SocketAddr> = active.iter().map(Member::address).collect();
        let left = before.active.iter().map(|member| Leaving {
            member: member.clone(),
            until,
        });
        let leaving = before.leaving.iter().cloned().chain(left);
        let leaving = leaving.filter(|leaving| !stays.contains(&leaving.member.address()));
        let turns = (0u32..).zip(active.iter().map(|member| member.weight));
        Self {
            leaving: leaving.collect(),
            rotation: Arc::new(Rotation::new(&turns.collect::<Vec<_>>())),
            eligible: Eligible::new(&active, version, now),
            active,
            unused: before.still_unused(roster, now),
        }
    }

    /// The same set, looked at anew: who is worth asking now.
    pub(super) fn looked_at(&self, version: u64, now: u64) -> Self {
        self.with(Arc::clone(&self.leaving), version, now)
    }

    fn with(&self, leaving: Arc<[Leaving]>, version: u64, now: u64) -> Self {
        Self {
            active: Arc::clone(&self.active),
            rotation: Arc::clone(&self.rotation),
            eligible: Eligible::new(&self.active, version, now),
            leaving,
            unused: Arc::clone(&self.unused),
        }
    }

    /// The same without those whose time to leave is over, and these; `None` when there are none.
    pub(super) fn without_gone(&self, version: u64, now: u64) -> Option<(Self, Vec<Member>)> {
        let (gone, leaving): (Vec<_>, Vec<_>) = self
            .leaving
            .iter()
            .cloned()
            .partition(|leaving| leaving.until <= now);
        if gone.is_empty() {
            return None;
        }
        let gone = gone.into_iter().map(|leaving| leaving.member);
        Some((self.with(leaving.into(), version, now), gone.collect()))
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

    /// The best one that `terms` admit, from the one at `from` on: the long way, for when the rotation has nobody to offer.
    pub(super) fn best(&self, from: u32, terms: &Terms<'_>) -> Option<&Handle> {
        let n_members = self.active.len();
        let from = from as usize % n_members.max(1);
        let around = (from..n_members).chain(0..from);
        let targets = around.map(|position| &self.active[position].target);
        let admitted = targets.filter(|target| terms.admit(target));
        let usable = admitted.map(|target| (target.usable(terms.now), target));
        // Of equally good ones the first.
        let best = usable.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, target)| target)
    }

    /// The targets that take part.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Handle> {
        self.active.iter().map(|member| &member.target)
    }

    /// Every target that takes part or leaves.
    pub(super) fn known(&self) -> impl Iterator<Item = &Handle> {
        let leaving = self.leaving.iter().map(|leaving| &leaving.member.target);
        self.targets().chain(leaving)
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

    fn still_unused(&self, roster: &Roster, now: u64) -> Arc<[Unused]> {
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
