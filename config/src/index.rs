//! Finding the first route that matches without asking every route.
//!
//! A route whose hosts are all plain or `*.suffix` is filed under each of them, else under its partitions, else it
//! is asked for every request. Filing says only where a route can match: its conditions still decide.

use crate::ids::{PartitionId, RouteId};
use crate::matching::{Condition, Request};
use crate::partition::Domains;
use crate::pattern::Pattern;

/// Routes filed by what they ask of the host.
#[derive(Debug, Default)]
pub(crate) struct Index {
    hosts: Domains<Vec<RouteId>>,
    /// By `PartitionId`.
    partitions: Vec<Vec<RouteId>>,
    rest: Vec<RouteId>,
}

enum Place {
    Exact(String),
    Suffix(String),
}

impl Index {
    /// Files a route; routes come in the order in which they are tried.
    pub(crate) fn file(&mut self, id: RouteId, conditions: &[Condition]) {
        if let Some(places) = conditions.iter().find_map(places) {
            places.into_iter().for_each(|place| self.file_at(id, place));
            return;
        }
        let partitions = conditions.iter().find_map(|condition| match condition {
            Condition::Partition(partitions) => Some(partitions),
            _ => None,
        });
        match partitions {
            Some(partitions) => partitions.iter().for_each(|p| self.file_in(id, *p)),
            None => self.rest.push(id),
        }
    }

    /// The first route of all that `matches`. Only the lists a request can be in are looked at, each no further
    /// than the best found so far, so the result is that of asking all routes in order.
    pub(crate) fn first(
        &self,
        request: &Request<'_>,
        matches: impl Fn(RouteId) -> bool,
    ) -> Option<RouteId> {
        let partition = self.partitions.get(usize::from(request.partition.0));
        let exact = self.hosts.exact(request.host);
        let lists = exact
            .into_iter()
            .chain(self.hosts.suffixes(request.host))
            .chain(partition)
            .chain([&self.rest]);
        let mut best = None;
        for list in lists {
            let before = list
                .iter()
                .take_while(|id| best.is_none_or(|best| **id < best));
            best = before.copied().find(|id| matches(*id)).or(best);
        }
        best
    }

    fn file_at(&mut self, id: RouteId, place: Place) {
        let list = match place {
            Place::Exact(host) => self.hosts.exact_mut(&host, Vec::new),
            Place::Suffix(suffix) => self.hosts.suffix_mut(&suffix, Vec::new),
        };
        push(list, id);
    }

    fn file_in(&mut self, id: RouteId, partition: PartitionId) {
        let position = usize::from(partition.0);
        if self.partitions.len() <= position {
            self.partitions.resize_with(position + 1, Vec::new);
        }
        push(&mut self.partitions[position], id);
    }
}

/// A route that names a host twice is filed once.
fn push(list: &mut Vec<RouteId>, id: RouteId) {
    if list.last() != Some(&id) {
        list.push(id);
    }
}

fn places(condition: &Condition) -> Option<Vec<Place>> {
    let Condition::Host(hosts) = condition else {
        return None;
    };
    hosts.iter().map(place).collect()
}

fn place(host: &Pattern) -> Option<Place> {
    let Pattern::Wildcard(wildcard) = host else {
        return None;
    };
    let exact = wildcard.literal().map(Place::Exact);
    exact.or_else(|| wildcard.suffix().map(Place::Suffix))
}

#[cfg(test)]
mod tests;
