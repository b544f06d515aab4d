//! From the file as written to its structure, or to everything that is wrong with its routing, at once.
//!
//! What stands by itself (addresses, targets, timeouts) is checked where the file is read; here it is only parsed,
//! and skipped when it cannot be.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::names::{self, Faults, Names};
use super::{Listener, Pool, Route, Structure, Target, pins, routes, rules};
use crate::digest::digest;
use crate::health::Check;
use crate::ids::{ListenerId, PartitionId, PoolId, RouteId};
use crate::index::Index;
use crate::model::{self, Config, Telemetry};
use crate::partition::{Domains, Partitions, check_host};
use crate::pin::Pinning;
use crate::problem::{Fault, Path, Trail};

impl Structure {
    /// Resolves and indexes `config`; every fault of routes, partitions, weights, flags and stickiness otherwise.
    pub fn compile(config: &Config) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        check_counts(config, &mut faults);
        let partitions = partitions(&config.partitions, &mut faults);
        let pools = pools(config, &partitions, &mut faults);
        let mut scope = routes::Scope::new(config, &partitions);
        let top = Trail::default();
        let path = top.key("routes");
        let routes = config.routes.iter().enumerate().map(|(position, route)| {
            scope.compile(position, route, &path.index(position), &mut faults)
        });
        // All of them, before the first that failed ends it.
        let routes: Vec<Option<Route>> = routes.collect();
        let cohorts = scope.cohorts();
        let Some(routes) = routes.into_iter().collect::<Option<Vec<_>>>() else {
            return Err(faults.0);
        };
        pins::check_pools(&routes, &mut faults);
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        Ok(Self {
            digest: digest(config).into(),
            server: config.server.clone(),
            admin: config.admin.clone(),
            listeners: listeners(config),
            resolver: config.resolver.clone(),
            pools,
            index: index(&routes),
            routes,
            access_logs: config.access_log.clone(),
            webhooks: config.webhooks.clone(),
            telemetry: traced(config),
            cohorts,
            partitions,
        })
    }
}

/// An empty address is none, so that it can come from the environment.
fn traced(config: &Config) -> Option<Arc<Telemetry>> {
    let telemetry = config.telemetry.clone();
    let traced = telemetry.filter(|it| !it.otlp.is_empty());
    traced.map(Arc::new)
}

/// Positions must fit their ids.
fn check_counts(config: &Config, faults: &mut Faults) {
    let limit = usize::from(u16::MAX);
    let root = Trail::default();
    for (key, count) in [
        ("listeners", config.listeners.len()),
        ("pools", config.pools.0.len()),
        ("routes", config.routes.len()),
    ] {
        if count > limit {
            faults.add(
                &root.key(key),
                format!("{count} {key} are too many; allowed are {limit}"),
            );
        }
    }
}

fn listeners(config: &Config) -> Vec<Listener> {
    let listeners = (0..).map(ListenerId).zip(&config.listeners);
    let listeners = listeners.filter_map(|(id, listener)| {
        Some(Listener {
            id,
            name: listener.name.as_str().into(),
            bind: listener.bind.parse().ok()?,
            h2c: listener.h2c,
            tls: listener.tls.clone().map(Arc::new),
            proxy_protocol: listener.proxy_protocol,
        })
    });
    listeners.collect()
}

fn pools(config: &Config, partitions: &Partitions, faults: &mut Faults) -> Vec<Pool> {
    let forwarding = config.routes.iter().filter(|route| route.stable.is_some());
    let ours = forwarding.flat_map(|route| {
        let pin = Pinning::of(&route.sticky, &route.cohort).map(|pinning| pinning.cookie);
        [Some(route.sticky.cookie.clone()), pin]
    });
    let ours: Vec<String> = ours.flatten().collect();
    let ours: HashSet<&str> = ours.iter().map(String::as_str).collect();
    let top = Trail::default();
    let all = top.key("pools");
    let pools = (0..).map(PoolId).zip(config.pools.iter());
    let pools = pools.map(|(id, (name, pool))| {
        let path = all.key(name);
        let headers = routes::headers(partitions, &pool.headers, &path.key("headers"), faults);
        let cookies = rules::cookies(&pool.cookies, &ours, &path.key("cookies"), faults);
        Pool {
            id,
            name: name.into(),
            value: value(name),
            connections: connections(name, pool),
            targets: pool.targets.iter().flatten().filter_map(target).collect(),
            check: check(pool),
            settings: Arc::new(pool.clone()),
            headers: Arc::new(headers),
            cookies: Arc::new(cookies),
        }
    });
    pools.collect()
}

fn connections(name: &str, pool: &model::Pool) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    if let Some(tls) = &pool.tls {
        (&tls.ca, tls.verify, pool.http2).hash(&mut hasher);
    }
    hasher.finish()
}

fn check(pool: &model::Pool) -> Option<Arc<Check>> {
    let written = pool.health_check.as_ref()?;
    let check = Check::compile(written, pool, &Path::default());
    check.ok().map(Arc::new)
}

fn target(target: &model::Target) -> Option<Target> {
    let (address, weight) = match target {
        model::Target::Address(address) => (address, 1),
        model::Target::Weighted { address, weight } => (address, *weight),
    };
    Some(Target {
        address: address.parse().ok()?,
        weight,
    })
}

fn partitions(written: &model::Partitions, faults: &mut Faults) -> Partitions {
    let top = Trail::default();
    let path = top.key("partitions");
    let header = HeaderName::try_from(&written.header)
        .map_err(|_| format!("`{}` is not a header name", written.header));
    let mut partitions = Partitions {
        header: faults
            .check(&path.key("header"), header)
            .unwrap_or(HeaderName::from_static("invalid")),
        names: Vec::new(),
        by_name: HashMap::new(),
        hosts: Domains::default(),
    };
    add_partition(
        &mut partitions,
        &written.default,
        &path.key("default"),
        faults,
    );
    let path = path.key("hosts");
    for (host, name) in &written.hosts {
        let path = path.key(host);
        let id = add_partition(&mut partitions, name, &path, faults);
        if faults.check(&path, check_host(host)).is_some() {
            add_host(&mut partitions.hosts, host, id, &path, faults);
        }
    }
    partitions
}

fn add_partition(
    partitions: &mut Partitions,
    name: &str,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> PartitionId {
    if let Some(known) = partitions.named(name) {
        return known;
    }
    faults.check(path, names::plain("partition", name));
    let Ok(position) = u16::try_from(partitions.names.len()) else {
        faults.add(path, "this is one partition too many; allowed are 65536");
        return PartitionId(0);
    };
    let value = value(name);
    let name: Arc<str> = name.into();
    partitions.names.push((Arc::clone(&name), value));
    partitions.by_name.insert(name, PartitionId(position));
    PartitionId(position)
}

/// A name that cannot be a header value is a fault already.
fn value(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(""))
}

fn add_host(
    hosts: &mut Domains<PartitionId>,
    host: &str,
    id: PartitionId,
    path: &Trail<'_>,
    faults: &mut Faults,
) {
    let host = host.to_ascii_lowercase();
    let mut is_new = false;
    let absent = || {
        is_new = true;
        id
    };
    match host.strip_prefix("*.") {
        Some(suffix) => hosts.suffix_mut(suffix, absent),
        None => hosts.exact_mut(&host, absent),
    };
    if !is_new {
        faults.add(
            path,
            format!("`{host}` is given twice; hosts are compared in lower case"),
        );
    }
}

fn index(routes: &[Route]) -> Index {
    let mut index = Index::default();
    for (id, route) in (0..).map(RouteId).zip(routes) {
        index.file(id, &route.conditions);
    }
    index
}

/// Listeners by the name that a match uses.
pub(super) fn listener_names(config: &Config) -> Names<'_> {
    Names::new(
        "listener",
        config
            .listeners
            .iter()
            .map(|listener| listener.name.as_str()),
    )
}

/// Pools by the name that a route uses.
pub(super) fn pool_names(config: &Config) -> Names<'_> {
    Names::new("pool", config.pools.iter().map(|(name, _)| name))
}
