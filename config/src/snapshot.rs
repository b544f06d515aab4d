//! One compiled configuration: resolved, indexed, immutable.

mod actions;
mod conditions;
mod flags;
mod guards;
mod names;
mod pins;
mod ramps;
mod routes;
mod rules;
mod shadows;
mod structure;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::action::{Action, Forward};
use crate::bucket::{BucketKey, Secret};
use crate::cookie::rules::Rules;
use crate::decide;
use crate::decision::Decision;
use crate::digest;
use crate::facts::Facts;
use crate::fields::Headers;
use crate::health;
use crate::ids::{CohortId, ListenerId, PartitionId, PoolId, RouteId};
use crate::index::Index;
use crate::live::{Live, Weights};
use crate::matching::{Condition, Request};
use crate::model;
use crate::partition::{self, Partitions, Room};
use crate::problem::{Fault, Trail};
use crate::sign::Secrets;
use crate::split::{Split, SplitError};

/// One revision of the live state: the structure of the file and the live weights.
#[derive(Debug)]
pub struct Snapshot {
    /// Number of the live state, +1 at every change.
    pub revision: u64,
    /// What the file says. Shared by all revisions until the next reload.
    pub structure: Arc<Structure>,
    /// Live weights, by `RouteId`; `None` for a route without pools.
    pub splits: Vec<Option<Split>>,
    /// By `CohortId`.
    keys: Vec<BucketKey>,
    secrets: Secrets,
    /// Pools without a weight whose pinned clients may finish.
    draining: Vec<(RouteId, PoolId)>,
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
    /// Who is told what happens.
    pub webhooks: Vec<model::Webhook>,
    /// Where spans go; `None` when there are none.
    pub telemetry: Option<Arc<model::Telemetry>>,
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
    /// How TLS is ended; `None` for clear text.
    pub tls: Option<Arc<model::ListenerTls>>,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: model::ProxyProtocol,
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
    /// Kept connections are for requests with an equal number: it differs between pools, even when they share a target,
    /// and within a pool when its TLS settings change.
    pub connections: u64,
    /// Targets in file order; none when they are discovered.
    pub targets: Vec<Target>,
    /// How its targets are checked, when they are.
    pub check: Option<Arc<health::Check>>,
    /// All keys as written, with defaults.
    pub settings: Arc<model::Pool>,
    /// Changes of header fields.
    pub headers: Arc<Headers>,
    /// Changes of cookies.
    pub cookies: Arc<Rules>,
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
    /// What it does with the requests it takes.
    pub action: Action,
    /// Changes of header fields.
    pub headers: Headers,
    /// All keys as written, with defaults.
    pub settings: Arc<model::Route>,
    pub(crate) conditions: Vec<Condition>,
}

impl Snapshot {
    /// The meaning of `structure` under the live state `live`. A route that the live state does not know has the
    /// file's weights; what it knows beyond the file is left alone.
    pub fn compile(structure: Arc<Structure>, live: &Live, secret: &Secret) -> Result<Self, Fault> {
        Self::build(structure, live, Secrets::of(secret))
    }

    /// The same structure under another live state.
    pub fn with_live(&self, live: &Live) -> Result<Self, Fault> {
        Self::build(Arc::clone(&self.structure), live, self.secrets)
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

    /// Live weights of the route at `id`; `None` when it has no pools.
    pub fn split(&self, id: RouteId) -> Option<&Split> {
        self.splits[id.0 as usize].as_ref()
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

    fn build(structure: Arc<Structure>, live: &Live, secrets: Secrets) -> Result<Self, Fault> {
        let splits = structure.routes.iter().map(|route| {
            match (route.forward(), live.routes.get(&*route.name)) {
                (None, _) => Ok(None),
                (Some(forward), Some(live)) => {
                    let split = structure.split(route, forward, &live.weights);
                    split.map(Some)
                }
                (Some(forward), None) => Ok(Some(forward.initial.clone())),
            }
        });
        let splits = splits.collect::<Result<_, _>>()?;
        let keys = structure.cohorts.iter().map(|cohort| {
            let epoch = live.epochs.get(&**cohort).copied().unwrap_or(0);
            secrets.master.key(cohort, epoch)
        });
        Ok(Self {
            revision: live.revision,
            splits,
            keys: keys.collect(),
            secrets,
            draining: structure.draining(live),
            structure,
        })
    }
}

impl Structure {
    /// Name of the partition at `id`.
    pub fn partition_name(&self, id: PartitionId) -> &Arc<str> {
        &self.partitions.names[usize::from(id.0)].0
    }

    /// Puts the content of each `body_file` into the fixed answer of its route, by position. It is a part of what the
    /// file means, and so of its digest.
    pub fn set_bodies(&mut self, bodies: BTreeMap<usize, Vec<u8>>) {
        for (position, body) in bodies {
            let route = self.routes.get_mut(position);
            if let Some(Action::Respond(respond)) = route.map(|route| &mut route.action) {
                self.digest = digest::with(&self.digest, &body).into();
                respond.body = body.into();
            }
        }
    }

    /// A host of the partition called `name`; `None` when the file names none.
    pub fn host_in(&self, name: &str) -> Option<String> {
        self.partitions.host_in(name)
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
    fn split(&self, route: &Route, forward: &Forward, weights: &Weights) -> Result<Split, Fault> {
        let top = Trail::default();
        let routes = top.key("routes");
        let route_path = routes.key(&route.name);
        let path = route_path.key("weights");
        if weights.is_empty() && route.settings.weights.is_empty() {
            return Ok(Split::whole(forward.stable));
        }
        self.check_names(forward, weights, &path)?;
        let given = |id: &PoolId| weights.get(self.name_of(*id)).copied().unwrap_or(0);
        let weights = forward.pools.iter().map(|id| (*id, given(id))).collect();
        Split::new(weights, forward.stable).map_err(|error| self.split_fault(&path, &error))
    }

    fn check_names(
        &self,
        forward: &Forward,
        weights: &Weights,
        path: &Trail<'_>,
    ) -> Result<(), Fault> {
        let pools = || forward.pools.iter().map(|id| self.name_of(*id));
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
    /// Its pools and how clients are placed on them; `None` when it answers by itself.
    pub const fn forward(&self) -> Option<&Forward> {
        match &self.action {
            Action::Forward(forward) => Some(forward),
            Action::Redirect(_) | Action::Respond(_) => None,
        }
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
