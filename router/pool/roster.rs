//! Who belongs to a pool, as plain lists: what the file, discovery and the operator say, put together.
//!
//! It knows nothing of how targets are, or were.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use config::live::TargetEdits;
use config::snapshot::Target;

/// Who belongs to a pool, and who is known but left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roster {
    /// The members, each address once: those of the file in its order, then the others by address.
    pub(super) members: Vec<Target>,
    /// Named by the file or by discovery, but deregistered by the operator.
    pub(super) unused: Vec<Target>,
}

impl Roster {
    /// (file + discovered + registered) - deregistered. Of two weights the operator's wins, then the file's.
    ///
    /// The order in which discovery names targets does not matter: name servers shuffle their answers.
    pub(super) fn new(file: &[Target], discovered: &[Target], edits: &TargetEdits) -> Self {
        let registered = edits.registered.iter();
        let registered = registered.map(|(&address, &weight)| Target { address, weight });
        let mut later: Vec<Target> = discovered.iter().copied().chain(registered).collect();
        later.sort_by_key(|target| target.address);
        let weights: HashMap<SocketAddr, u32> = discovered
            .iter()
            .chain(file)
            .map(|target| (target.address, target.weight))
            .collect();
        let mut known = HashSet::new();
        let named = file.iter().chain(&later).map(|target| target.address);
        let named = named.filter(|&address| known.insert(address));
        let named = named.map(|address| Target {
            address,
            weight: edits
                .registered
                .get(&address)
                .or_else(|| weights.get(&address))
                .map_or(1, |&weight| weight.max(1)),
        });
        let (unused, members) =
            named.partition(|target| edits.deregistered.contains(&target.address));
        Self { members, unused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(targets: &[(u16, u32)]) -> Vec<Target> {
        let target = |&(port, weight): &(u16, u32)| Target {
            address: ([127, 0, 0, 1], port).into(),
            weight,
        };
        targets.iter().map(target).collect()
    }

    fn edits(registered: &[(u16, u32)], deregistered: &[u16]) -> TargetEdits {
        let registered = list(registered).into_iter();
        TargetEdits {
            registered: registered.map(|t| (t.address, t.weight)).collect(),
            deregistered: deregistered
                .iter()
                .map(|&port| ([127, 0, 0, 1], port).into())
                .collect(),
        }
    }

    #[track_caller]
    fn check(
        [file, discovered]: [&[(u16, u32)]; 2],
        edits: &TargetEdits,
        members: &[(u16, u32)],
        unused: &[(u16, u32)],
    ) {
        let roster = Roster::new(&list(file), &list(discovered), edits);
        let expected = Roster {
            members: list(members),
            unused: list(unused),
        };
        assert_eq!(roster, expected);
    }

    #[test]
    fn all_sources_add_and_the_operator_takes_away() {
        let edits = edits(&[(5, 1)], &[1, 3, 9]);
        let sources: [&[(u16, u32)]; 2] = [&[(2, 1), (1, 4)], &[(4, 1), (3, 7)]];
        check(
            sources,
            &edits,
            &[(2, 1), (4, 1), (5, 1)],
            &[(1, 4), (3, 7)],
        );
    }

    #[test]
    fn the_operators_weight_wins_then_the_files() {
        let edits = edits(&[(1, 9)], &[]);
        let sources: [&[(u16, u32)]; 2] = [&[(1, 2), (2, 3)], &[(1, 5), (2, 5), (3, 5)]];
        check(sources, &edits, &[(1, 9), (2, 3), (3, 5)], &[]);
    }

    #[test]
    fn the_order_of_a_discovery_does_not_matter_and_twice_is_once() {
        let none = TargetEdits::default();
        check(
            [&[], &[(2, 1), (1, 1), (2, 1)]],
            &none,
            &[(1, 1), (2, 1)],
            &[],
        );
        check([&[], &[(1, 1), (2, 1)]], &none, &[(1, 1), (2, 1)], &[]);
    }

    #[test]
    fn nobody_may_belong_to_a_pool() {
        check([&[], &[]], &TargetEdits::default(), &[], &[]);
    }
}
