//! One compiled configuration: resolved, indexed, immutable.

mod conditions;
mod names;
mod routes;
mod structure;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::bucket::{BucketKey, Master, Secret};
use crate::decide::{self, Key};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::flag::Flag;
use crate::health;
use crate::ids::{CohortId, ListenerId, PartitionId, PoolId, RouteId};
use crate::index::Index;
use crate::live::{Live, Weights};
use crate::matching::{Condition, Request};
use crate::model;
use crate::partition::{self, Partitions, Room};
use crate::problem::{Fault, Trail};
use crate::split::{Split, SplitError};

/// One revision of the live state: the structure of the file and the live weights.
#[derive(Debug)]
pub struct Snapshot {
    /// Number of the live state, +1 at every change.
    pub revision: u64,
    /// What the file says. Shared by all revisions until the next reload.
    pub structure: Arc<Structure>,
    /// Live weights, by `RouteId`.
    pub splits: Vec<Split>,
    /// By `CohortId`.
    keys: Vec<BucketKey>,
    master: Master,
}

/// What the file says, resolved.
#[derive(Debug)]
pub struct Structure {
    /// First 12 hex digits of SHA-256 of the file's meaning.
    pub digest: Arc<str>,
    /// Settings of the process.
    pub server: model::Server,
    /// The admin listener and its tokens.
    pub admin: model::Admin,
    /// Listeners in file order.
    pub listeners: Vec<Listener>,
    /// How names are looked up.
    pub resolver: model::Resolver,
    /// Pools in file order.
    pub pools: Vec<Pool>,
    /// Routes in the order they are tried.
    pub routes: Vec<Route>,
    /// Access logs in file order.
    pub access_logs: Vec<model::AccessLog>,
    /// Names of cohorts, by `CohortId`.
    pub cohorts: Vec<Arc<str>>,
    pub(crate) partitions: Partitions,
    pub(crate) index: Index,
}

/// An address we accept on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its position.
    pub id: ListenerId,
    /// Name in logs and metrics.
    pub name: Arc<str>,
    /// The address to bind; port 0 asks the system for a free one.
    pub bind: SocketAddr,
    /// Whether clients may speak HTTP/2 without TLS.
    pub h2c: bool,
}

/// A group of targets and how to reach them.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its position.
    pub id: PoolId,
    /// Name in logs and metrics.
    pub name: Arc<str>,
    /// The same, as the value of the header that tells the target its pool.
    pub value: HeaderValue,
    /// Targets in file order; none when they are discovered.
    pub targets: Vec<Target>,
    /// How its targets are checked, when they are.
    pub check: Option<Arc<health::Check>>,
    /// All keys as written, with defaults.
    pub settings: Arc<model::Pool>,
}

/// One server of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its part of the pool's requests, relative to the others, at least 1.
    pub weight: u32,
}

/// A match and what to do.
#[derive(Debug)]
pub struct Route {
    /// Its position.
    pub id: RouteId,
    /// Name in the live state, logs and metrics.
    pub name: Arc<str>,
    /// The cohort whose key places its clients.
    pub cohort: CohortId,
    /// The pool that a rollback returns to.
    pub stable: PoolId,
    /// Pools with a weight, 0 counts too, in the order of the file; at least `stable`.
    pub pools: Vec<PoolId>,
    /// Ways to a pool that beat the weights, by `FlagId`.
    pub flags: Vec<Flag>,
    /// All keys as written, with defaults.
    pub settings: Arc<model::Route>,
    /// The file's weights.
    pub initial: Split,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) keys: Vec<Key>,
}

impl Snapshot {
    /// The meaning of `structure` under the live state `live`. A route that the live state does not know has the
    /// file's weights; what it knows beyond the file is left alone.
    pub fn compile(structure: Arc<Structure>, live: &Live, secret: &Secret) -> Result<Self, Fault> {
        Self::build(structure, live, secret.master())
    }

    /// The same structure under another live state.
    pub fn with_live(&self, live: &Live) -> Result<Self, Fault> {
        Self::build(Arc::clone(&self.structure), live, self.master)
    }

    /// Where a request goes, and why. Total: every request gets an answer, and equal facts the same.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        decide::decide(self, facts)
    }

    /// The route at `id`.
    pub fn route(&self, id: RouteId) -> &Route {
        &self.structure.routes[id.0 as usize]
    }

    /// The pool at `id`.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.structure.pools[usize::from(id.0)]
    }

    /// The listener at `id`.
    pub fn listener(&self, id: ListenerId) -> &Listener {
        &self.structure.listeners[usize::from(id.0)]
    }

    /// Live weights of the route at `id`.
    pub fn split(&self, id: RouteId) -> &Split {
        &self.splits[id.0 as usize]
    }

    /// The key that places the clients of the cohort at `id`.
    pub fn bucket_key(&self, id: CohortId) -> &BucketKey {
        &self.keys[usize::from(id.0)]
    }

    /// The partition of `host`, which is as sent; what a trusted peer may say of it is not asked.
    pub fn partition_of(&self, host: &str) -> PartitionId {
        let mut room: Room = [0; _];
        let partitions = &self.structure.partitions;
        partitions.of_host(partition::normalize(host, &mut room))
    }

    /// Name of the partition at `id`.
    pub fn partition_name(&self, id: PartitionId) -> &Arc<str> {
        self.structure.partition_name(id)
    }

    /// The same, as the value of the partition header.
    pub fn partition_value(&self, id: PartitionId) -> &HeaderValue {
        &self.structure.partitions.names[usize::from(id.0)].1
    }

    /// The header that tells the target its partition.
    pub fn partition_header(&self) -> &HeaderName {
        &self.structure.partitions.header
    }

    fn build(structure: Arc<Structure>, live: &Live, master: Master) -> Result<Self, Fault> {
        let splits = structure
            .routes
            .iter()
            .map(|route| match live.routes.get(&*route.name) {
                Some(live) => structure.split(route, &live.weights),
                None => Ok(route.initial.clone()),
            });
        let splits = splits.collect::<Result<_, _>>()?;
        let keys = structure.cohorts.iter().map(|cohort| {
            let epoch = live.epochs.get(&**cohort).copied().unwrap_or(0);
            master.key(cohort, epoch)
        });
        Ok(Self {
            revision: live.revision,
            splits,
            keys: keys.collect(),
            master,
            structure,
        })
    }
}

impl Structure {
    /// Name of the partition at `id`.
    pub fn partition_name(&self, id: PartitionId) -> &Arc<str> {
        &self.partitions.names[usize::from(id.0)].0
    }

    /// The route called `name`.
    pub fn route_named(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| &*route.name == name)
    }

    /// The pool called `name`.
    pub fn pool_named(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| &*pool.name == name)
    }

    /// The partition called `name`.
    pub fn partition_named(&self, name: &str) -> Option<PartitionId> {
        self.partitions.named(name)
    }

    /// Names of all partitions, by `PartitionId`.
    pub fn partition_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.partitions.names.iter().map(|(name, _)| name)
    }

    /// Divides the buckets of `route` by live `weights`, which must name each of its pools.
    /// No weights at all are right where the file has none: all to stable.
    pub fn split(&self, route: &Route, weights: &Weights) -> Result<Split, Fault> {
        let top = Trail::default();
        let routes = top.key("routes");
        let route_path = routes.key(&route.name);
        let path = route_path.key("weights");
        if weights.is_empty() && route.settings.weights.is_empty() {
            return Ok(Split::whole(route.stable));
        }
        self.check_names(route, weights, &path)?;
        let given = |id: &PoolId| weights.get(self.name_of(*id)).copied().unwrap_or(0);
        let weights = route.pools.iter().map(|id| (*id, given(id))).collect();
        Split::new(weights, route.stable).map_err(|error| self.split_fault(&path, &error))
    }

    fn check_names(&self, route: &Route, weights: &Weights, path: &Trail<'_>) -> Result<(), Fault> {
        let pools = || route.pools.iter().map(|id| self.name_of(*id));
        if let Some(missing) = pools().find(|name| !weights.contains_key(*name)) {
            return Err(path.fault(format!(
                "pool `{missing}` is missing; name every pool of the route, 0 is allowed"
            )));
        }
        match weights
            .keys()
            .find(|name| !pools().any(|pool| pool == name.as_str()))
        {
            Some(unknown) => {
                Err(path
                    .key(unknown)
                    .fault(names::unknown("pool of the route", unknown, pools())))
            }
            None => Ok(()),
        }
    }

    fn split_fault(&self, path: &Trail<'_>, error: &SplitError) -> Fault {
        match error.pool() {
            Some(pool) => path.key(self.name_of(pool)).fault(error.to_string()),
            None => path.fault(error.to_string()),
        }
    }

    fn name_of(&self, id: PoolId) -> &str {
        &self.pools[usize::from(id.0)].name
    }
}

impl Route {
    /// Whether requests of this route can go to more than one pool, so that clients need a place.
    pub fn divides(&self) -> bool {
        self.pools.len() > 1
    }

    pub(crate) fn takes(&self, request: &Request<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(request))
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
