//! From names to targets: what name servers said, made whole by what they said before.
//!
//! A family of addresses that cannot be asked for keeps its last ones, so that a name server that fails for AAAA alone
//! takes nobody away; and a host of an SRV record that cannot be looked up keeps its last ones for the same reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::snapshot::Target;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::resolver::{Found, Kinds, Nothing, Resolver, Said, address};
use super::{Answer, Failure};

/// Hosts of SRV records that are looked up at the same time.
const AT_ONCE: usize = 16;
/// Heaviest target, as in the file; the weights of SRV records go up to 65,535.
const HEAVIEST: u64 = 1000;

/// The addresses of one host, and until when they count.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// Last good answer of each family: IPv4, IPv6.
    families: [Vec<IpAddr>; 2],
}

impl Host {
    /// Looks the host up. Addresses come in order, so that a name server that turns them changes nothing.
    pub(super) async fn look_up(
        &mut self,
        name: &str,
        resolver: &Resolver,
    ) -> Result<(BTreeSet<IpAddr>, Duration), Failure> {
        let found = resolver.find(name, Kinds::Addresses).await;
        self.learn(found)
    }

    fn learn(&mut self, found: Found) -> Result<(BTreeSet<IpAddr>, Duration), Failure> {
        let mut lifetime = None;
        let mut failure = None;
        let mut nothing = None;
        // An answer for the host as a whole, because nobody could be asked, is about both families.
        let said = found.0.iter().chain(found.0.last()).take(2);
        let mut families = self.families.clone();
        for (said, family) in said.zip(&mut families) {
            match said {
                Ok(Said::Records(records, seconds)) => {
                    *family = records.iter().filter_map(address).collect();
                    if family.is_empty() {
                        nothing.get_or_insert(Nothing::NoRecord);
                    } else {
                        lifetime = Some(lifetime.unwrap_or(u32::MAX).min(*seconds));
                    }
                }
                Ok(Said::Nothing(how)) => {
                    family.clear();
                    nothing.get_or_insert(*how);
                }
                Err(why) => failure = Some(why),
            }
        }
        match (lifetime, failure, nothing) {
            (Some(lifetime), _, _) => {
                let addresses = families.iter().flatten().copied().collect();
                self.families = families;
                Ok((addresses, Duration::from_secs(lifetime.into())))
            }
            (None, Some(why), _) => Err(Failure::Unsaid(why.clone())),
            (None, None, Some(Nothing::NoRecord)) => {
                Err(Failure::Nothing("the name has no address".into()))
            }
            (None, None, _) => Err(Failure::Nothing("there is no such name".into())),
        }
    }

    fn last(&self) -> BTreeSet<IpAddr> {
        self.families.iter().flatten().copied().collect()
    }
}

/// The targets of a pool with `dns`.
pub(super) fn at_port(addresses: &BTreeSet<IpAddr>, port: u16, lifetime: Duration) -> Answer {
    let targets = addresses.iter().map(|ip| Target {
        address: SocketAddr::new(*ip, port),
        weight: 1,
    });
    Answer {
        targets: targets.collect(),
        lifetime,
    }
}

/// The hosts of a pool with `srv`, by name.
#[derive(Debug, Default)]
pub(super) struct Service {
    hosts: HashMap<String, Host>,
}

impl Service {
    /// Looks the service up, then each of its hosts.
    pub(super) async fn look_up(
        &mut self,
        name: &str,
        resolver: &Arc<Resolver>,
    ) -> Result<Answer, Failure> {
        let (records, lifetime) = services(resolver.find(name, Kinds::Services).await)?;
        let records = lowest_priority(records);
        let names: BTreeSet<String> = records.iter().map(|it| it.target.to_string()).collect();
        let looked_up = self.look_up_hosts(names, resolver).await;
        let mut answer = Answer {
            targets: weighted(&records, &looked_up.addresses),
            lifetime: lifetime.min(looked_up.lifetime),
        };
        match looked_up.failure {
            Some(why) if answer.targets.is_empty() => Err(why),
            Some(Failure::Unsaid(_)) => {
                // Part of the answer is from before: ask again soon.
                answer.lifetime = Duration::ZERO;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    async fn look_up_hosts(
        &mut self,
        names: BTreeSet<String>,
        resolver: &Arc<Resolver>,
    ) -> LookedUp {
        let mut before = std::mem::take(&mut self.hosts);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut lookups = JoinSet::new();
        for name in names {
            let mut host = before.remove(&name).unwrap_or_default();
            let (resolver, places) = (Arc::clone(resolver), Arc::clone(&places));
            // Kept here as well: what is taken away with an abandoned lookup is not forgotten.
            self.hosts.insert(name.clone(), host.clone());
            lookups.spawn(async move {
                let place = places.acquire().await;
                let outcome = host.look_up(&name, &resolver).await;
                drop(place);
                (name, host, outcome)
            });
        }
        let mut looked_up = LookedUp::default();
        while let Some(Ok((name, host, outcome))) = lookups.join_next().await {
            looked_up.add(&name, &host, outcome);
            self.hosts.insert(name, host);
        }
        looked_up
    }
}

/// What became of looking up the hosts of a service.
#[derive(Debug)]
struct LookedUp {
    addresses: BTreeMap<String, BTreeSet<IpAddr>>,
    lifetime: Duration,
    failure: Option<Failure>,
}

impl Default for LookedUp {
    fn default() -> Self {
        Self {
            addresses: BTreeMap::new(),
            lifetime: Duration::MAX,
            failure: None,
        }
    }
}

impl LookedUp {
    fn add(
        &mut self,
        name: &str,
        host: &Host,
        outcome: Result<(BTreeSet<IpAddr>, Duration), Failure>,
    ) {
        let addresses = match outcome {
            Ok((addresses, lifetime)) => {
                self.lifetime = self.lifetime.min(lifetime);
                addresses
            }
            Err(failure) => {
                let addresses = match &failure {
                    // A task that ended takes its name along before the records of the service forget it.
                    Failure::Nothing(_) => BTreeSet::new(),
                    Failure::Unsaid(_) | Failure::File(_) => host.last(),
                };
                self.failure = Some(failure.about(name));
                addresses
            }
        };
        self.addresses.insert(name.to_owned(), addresses);
    }
}

fn services(found: Found) -> Result<(Vec<SRV>, Duration), Failure> {
    match found.0.into_iter().next() {
        Some(Ok(Said::Records(records, seconds))) => {
            let services = records.into_iter().filter_map(|record| match record {
                RData::SRV(service) => Some(service),
                _ => None,
            });
            // A target of `.` says that the service is not there (RFC 2782).
            let services: Vec<_> = services.filter(|it| !it.target.is_root()).collect();
            if services.is_empty() {
                return Err(Failure::Nothing("the service is not available".into()));
            }
            Ok((services, Duration::from_secs(seconds.into())))
        }
        Some(Ok(Said::Nothing(Nothing::NoRecord))) => {
            Err(Failure::Nothing("the name has no SRV record".into()))
        }
        Some(Ok(Said::Nothing(Nothing::NoSuchName))) => {
            Err(Failure::Nothing("there is no such name".into()))
        }
        Some(Err(why)) => Err(Failure::Unsaid(why)),
        None => Err(Failure::Unsaid("nobody was asked".into())),
    }
}

/// Records of a higher number are for when those of a lower one cannot be reached (RFC 2782); here that is what health
/// and failover to stable are for.
fn lowest_priority(mut records: Vec<SRV>) -> Vec<SRV> {
    let lowest = records.iter().map(|record| record.priority).min();
    records.retain(|record| Some(record.priority) == lowest);
    records
}

/// The targets of `records`. Every address of a host has the weight of its record, at least 1: a weight of 0 asks for
/// little, not for nothing. Records of one address add up.
fn weighted(records: &[SRV], hosts: &BTreeMap<String, BTreeSet<IpAddr>>) -> Vec<Target> {
    let mut weights = BTreeMap::<SocketAddr, u64>::new();
    for record in records {
        let addresses = hosts.get(&record.target.to_string());
        for ip in addresses.into_iter().flatten() {
            let address = SocketAddr::new(*ip, record.port);
            if record.port > 0 {
                *weights.entry(address).or_default() += u64::from(record.weight);
            }
        }
    }
    let heaviest = weights.values().copied().max().unwrap_or_default();
    let scaled = |weight: u64| match heaviest {
        0..=HEAVIEST => weight,
        heaviest => weight * HEAVIEST / heaviest,
    };
    let targets = weights.into_iter().map(|(address, weight)| Target {
        address,
        weight: u32::try_from(scaled(weight).max(1)).unwrap_or(1),
    });
    targets.collect()
}

#[cfg(test)]
mod tests;
