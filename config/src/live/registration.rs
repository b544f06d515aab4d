//! Targets that an operator registers and deregisters.
//!
//! What is kept is only what file and discovery do not say themselves, so that registering what was deregistered leaves
//! nothing behind, and a pool without edits is what its sources make of it.
//! Nothing but these two functions changes the edits of a pool: a reload, a rollback and a restore leave them alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Bounds, Change, Live, Refusal, TargetEdits};
use crate::snapshot::{self, Structure};

/// Largest weight of a target, as in the file.
const MAX_WEIGHT: u32 = 1000;

/// One target to register. It cannot be made with an address or a weight that no target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    address: SocketAddr,
    weight: Option<u32>,
}

impl Registration {
    /// Without a weight: that of a target that is there already, or 1. The error says what a weight may be.
    pub fn new(address: SocketAddr, weight: Option<u64>) -> Result<Self, String> {
        let weight = weight.map(|weight| {
            u32::try_from(weight)
                .ok()
                .filter(|weight| (1..=MAX_WEIGHT).contains(weight))
                .ok_or_else(|| {
                    format!("must be a whole number from 1 to {MAX_WEIGHT}, not {weight}")
                })
        });
        Ok(Self {
            address,
            weight: weight.transpose()?,
        })
    }

    /// Where the target listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The address of a target, `10.0.0.1:8080` or `[2001:db8::1]:8080`. The error says what is wrong with `text`.
pub fn target_address(text: &str) -> Result<SocketAddr, String> {
    crate::discovery::target(text)
}

/// What is known of a pool when its targets are to be changed, besides the edits before.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    pool: &'a snapshot::Pool,
    /// Weights of the targets that file and discovery name.
    named: BTreeMap<SocketAddr, u32>,
    draining: BTreeSet<SocketAddr>,
}

/// A target that a change was about, and its weight; `None` while it is no target of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetShift {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its weight before.
    pub before: Option<u32>,
    /// Its weight after.
    pub after: Option<u32>,
}

impl<'a> Known<'a> {
    /// The pool called `name`, with what `discovered` names for it now and the addresses that are `draining`.
    pub fn new(
        structure: &'a Structure,
        name: &str,
        discovered: &[snapshot::Target],
        draining: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, Refusal> {
        let pool = find(structure, name)?;
        // The file comes last: of two weights it wins.
        let named = discovered.iter().chain(&pool.targets);
        Ok(Self {
            named: named
                .map(|target| (target.address, target.weight))
                .collect(),
            draining: draining.into_iter().collect(),
            pool,
        })
    }

    /// The targets of the pool with `edits`, by address.
    pub fn targets(&self, edits: &TargetEdits) -> BTreeMap<SocketAddr, u32> {
        let mut targets = self.named.clone();
        targets.extend(&edits.registered);
        targets.retain(|address, _| !edits.deregistered.contains(address));
        targets
    }
}

/// The pool called `name`.
pub fn find<'a>(structure: &'a Structure, name: &str) -> Result<&'a snapshot::Pool, Refusal> {
    let mut pools = structure.pools.iter();
    pools
        .find(|pool| *pool.name == *name)
        .ok_or_else(|| Refusal::UnknownPool {
            pool: name.to_owned(),
            known: structure
                .pools
                .iter()
                .map(|pool| pool.name.to_string())
                .collect(),
        })
}

/// Makes sure that `asked` are targets of the pool. One that is, with that weight, stays as it is.
pub fn register(live: &Live, known: &Known<'_>, asked: &[Registration]) -> Result<Change, Refusal> {
    let addresses: Vec<_> = asked.iter().map(Registration::address).collect();
    refuse_twice(&addresses)?;
    let mut after = edits(live, known);
    let targets = known.targets(&after);
    let (mut notes, mut n_new) = (Vec::new(), 0);
    for Registration { address, weight } in asked {
        let standing = targets.get(address).copied();
        let named = known.named.get(address).copied();
        let weight = weight.or(standing).or(named).unwrap_or(1);
        if standing == Some(weight) {
            notes.push(format!(
                "{address} is a target with weight {weight} already"
            ));
            continue;
        }
        n_new += usize::from(standing.is_none());
        after.deregistered.remove(address);
        if named == Some(weight) {
            after.registered.remove(address);
        } else {
            after.registered.insert(*address, weight);
        }
    }
    if n_new > 0 && known.pool.settings.health_check.is_some() {
        notes.push("a new target takes requests after its first good health check".into());
    }
    Ok(changed(live, known, &after, &addresses, notes))
}

/// Takes `asked` out of the pool. What file or discovery name stays out until it is registered again.
pub fn deregister(
    live: &Live,
    known: &Known<'_>,
    asked: &[SocketAddr],
    bounds: Bounds,
) -> Result<Change, Refusal> {
    refuse_twice(asked)?;
    let mut after = edits(live, known);
    let targets = known.targets(&after);
    refuse_unknown(known, &after, &targets, asked)?;
    let (mut notes, mut n_gone) = (Vec::new(), 0);
    for address in asked {
        if !targets.contains_key(address) {
            notes.push(format!("{address} is deregistered already"));
            continue;
        }
        after.registered.remove(address);
        if known.named.contains_key(address) {
            after.deregistered.insert(*address);
        }
        n_gone += 1;
    }
    if n_gone > 0 {
        let delay = known.pool.settings.deregistration_delay;
        notes.push(format!(
            "no new request goes there; what is in flight may finish within {delay} (deregistration_delay)"
        ));
    }
    let empties = !targets.is_empty() && known.targets(&after).is_empty();
    if empties && bounds == Bounds::Kept {
        return Err(Refusal::LastTarget {
            pool: known.pool.name.to_string(),
        });
    }
    Ok(changed(live, known, &after, asked, notes))
}

fn refuse_twice(asked: &[SocketAddr]) -> Result<(), Refusal> {
    let mut known = BTreeSet::new();
    let asked = asked.iter().copied().enumerate();
    let twice: Vec<_> = asked
        .filter(|(_, address)| !known.insert(*address))
        .collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Refusal::Twice { targets: twice })
}

fn refuse_unknown(
    known: &Known<'_>,
    edits: &TargetEdits,
    targets: &BTreeMap<SocketAddr, u32>,
    asked: &[SocketAddr],
) -> Result<(), Refusal> {
    let is_unknown = |address: &SocketAddr| {
        !targets.contains_key(address)
            && !edits.deregistered.contains(address)
            && !known.draining.contains(address)
    };
    let asked = asked.iter().copied().enumerate();
    let unknown: Vec<_> = asked.filter(|(_, address)| is_unknown(address)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::UnknownTargets {
        pool: known.pool.name.to_string(),
        unknown,
        known: targets.keys().map(SocketAddr::to_string).collect(),
    })
}

fn edits(live: &Live, known: &Known<'_>) -> TargetEdits {
    live.targets
        .get(&*known.pool.name)
        .cloned()
        .unwrap_or_default()
}

fn changed(
    live: &Live,
    known: &Known<'_>,
    edits: &TargetEdits,
    asked: &[SocketAddr],
    notes: Vec<String>,
) -> Change {
    let mut after = live.clone();
    let before = known.targets(&self::edits(live, known));
    after.edit(&known.pool.name, edits.clone());
    let targets = known.targets(edits);
    let shift = |address: &SocketAddr| TargetShift {
        address: *address,
        before: before.get(address).copied(),
        after: targets.get(address).copied(),
    };
    Change {
        targets: asked.iter().map(shift).collect(),
        notes,
        ..Change::from(live, after)
    }
}

/// What edits stand beside the file, one sentence a pool, for whoever read it.
pub fn standing_edits(live: &Live, structure: &Structure) -> Vec<String> {
    let told = live.targets.iter().map(|(pool, edits)| {
        let (n_in, n_out) = (edits.registered.len(), edits.deregistered.len());
        let counts = format!("{n_in} registered and {n_out} deregistered targets");
        if find(structure, pool).is_ok() {
            format!("pool `{pool}`: {counts} stay so")
        } else {
            format!("pool `{pool}` is not in the file: {counts} are kept for its return")
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests;
