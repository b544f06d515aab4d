//! Looking up names: `/etc/hosts` first, then name servers, by the customs of the machine.
//!
//! The library speaks DNS (UDP, then TCP when an answer is cut short, aliases followed). Here is whom to ask what:
//! a name server that cannot answer is not believed, the next one is asked; and a name that nobody could deny is not
//! looked for elsewhere, so that an outage never leads to another machine. Nothing is cached: who asks, asks at the
//! moment a record's life is over.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

use super::system::{Customs, Edition, System};

/// What name servers say of a name and type.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Its records, never none, and for how many seconds they count.
    Records(Vec<RData>, u32),
    /// That there are none.
    Nothing(Nothing),
}

/// In which way there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// NXDOMAIN.
    NoSuchName,
    /// The name has records, none of this type.
    NoRecord,
}

/// Why nobody can say: in the operator's words.
pub(super) type Unsaid = String;

/// Looks up names; made once and shared.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Those of the file; empty: the machine's.
    nameservers: Vec<SocketAddr>,
    system: System,
    asking: Mutex<Option<(Edition, Arc<Asking>)>>,
}

/// How names are looked up under one edition of the machine's files.
#[derive(Debug)]
struct Asking {
    servers: Vec<TokioResolver>,
    /// The one that answered last.
    preferred: AtomicUsize,
    patience: Duration,
    search: Vec<Name>,
    ndots: usize,
    hosts: Hosts,
}

impl Resolver {
    /// One that asks `nameservers`, or the machine's when there are none.
    pub(super) fn new(nameservers: Vec<SocketAddr>) -> Self {
        Self::with(nameservers, System::default())
    }

    pub(super) fn with(nameservers: Vec<SocketAddr>, system: System) -> Self {
        Self {
            nameservers,
            system,
            asking: Mutex::default(),
        }
    }

    pub(super) fn nameservers(&self) -> &[SocketAddr] {
        &self.nameservers
    }

    /// Records of `name`, which is looked for in the search domains too unless it ends in a dot, with the name they
    /// were found under.
    pub(super) async fn find(&self, name: &str, kinds: Kinds) -> Found {
        let asking = match self.asking() {
            Ok(asking) => asking,
            Err(error) => return Found::unsaid(error),
        };
        let Ok(name) = Name::from_str_relaxed(name) else {
            return Found::unsaid(format!("{name:?} cannot be a name"));
        };
        if let Some(known) = asking.in_hosts(&name, kinds) {
            return known;
        }
        let mut nothing = None;
        for name in candidates(&name, &asking.search, asking.ndots) {
            let found = asking.ask(name, kinds).await;
            if !found.is_nothing() {
                return found;
            }
            // Of several denials the one of the name itself says most; it is never the last of a list of one.
            nothing.get_or_insert(found);
        }
        nothing.unwrap_or_else(|| Found::unsaid("there is no name to look up".into()))
    }

    /// By the files that are there now.
    fn asking(&self) -> Result<Arc<Asking>, Unsaid> {
        let edition = self.system.edition();
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, asking)) = &*asking
            && *known == edition
        {
            return Ok(Arc::clone(asking));
        }
        let new = Asking::new(&self.nameservers, self.system.read())
            .map(Arc::new)
            .map_err(|error| format!("no resolver: {error}"))?;
        *asking = Some((edition, Arc::clone(&new)));
        Ok(new)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    /// IPv4 and IPv6.
    Addresses,
    Services,
}

impl Kinds {
    const fn types(self) -> &'static [RecordType] {
        match self {
            Self::Addresses => &[RecordType::A, RecordType::AAAA],
            Self::Services => &[RecordType::SRV],
        }
    }
}

/// What was said of each type asked for.
#[derive(Clone, Debug)]
pub(super) struct Found(pub(super) Vec<Result<Said, Unsaid>>);

impl Found {
    fn unsaid(why: Unsaid) -> Self {
        Self(vec![Err(why)])
    }

    /// Whether everybody agrees that there is nothing.
    fn is_nothing(&self) -> bool {
        let is_nothing = |said: &Result<Said, Unsaid>| matches!(said, Ok(Said::Nothing(_)));
        self.0.iter().all(is_nothing)
    }
}

impl Asking {
    fn new(nameservers: &[SocketAddr], customs: Customs) -> Result<Self, NetError> {
        let nameservers = match nameservers {
            [] => &customs.nameservers,
            given => given,
        };
        let servers = nameservers
            .iter()
            .map(|address| server(*address, customs.patience));
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            preferred: AtomicUsize::new(0),
            patience: customs.patience,
            search: customs.search,
            ndots: customs.ndots,
            hosts: customs.hosts,
        })
    }

    /// A name with an address there is not asked for elsewhere, as on the rest of the machine.
    fn in_hosts(&self, name: &Name, kinds: Kinds) -> Option<Found> {
        if kinds == Kinds::Services {
            return None;
        }
        let said = kinds.types().iter().map(|kind| {
            let known = self
                .hosts
                .lookup_static_host(&Query::query(name.clone(), *kind));
            let records = known.map(|known| said(known.answers(), *kind));
            Ok(records.unwrap_or(Said::Nothing(Nothing::NoRecord)))
        });
        let found = Found(said.collect());
        (!found.is_nothing()).then_some(found)
    }

    async fn ask(&self, name: Name, kinds: Kinds) -> Found {
        match kinds.types() {
            [first, second] => {
                let (first, second) =
                    tokio::join!(self.lookup(&name, *first), self.lookup(&name, *second));
                Found(vec![first, second])
            }
            types => Found(vec![self.lookup(&name, types[0]).await]),
        }
    }

    /// Asks one name server after the other, first the one that answered last.
    async fn lookup(&self, name: &Name, kind: RecordType) -> Result<Said, Unsaid> {
        let n_servers = self.servers.len();
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut why = String::from("there is no name server to ask");
        for turn in 0..n_servers {
            let position = (preferred + turn) % n_servers;
            let lookup = self.servers[position].lookup(name.clone(), kind);
            let outcome = tokio::time::timeout(self.patience, lookup).await;
            match outcome.unwrap_or(Err(NetError::Timeout)) {
                Ok(answer) => {
                    self.preferred.store(position, Ordering::Relaxed);
                    return Ok(said(answer.answers(), kind));
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                    self.preferred.store(position, Ordering::Relaxed);
                    return Ok(Said::Nothing(match nothing.response_code {
                        ResponseCode::NXDomain => Nothing::NoSuchName,
                        _ => Nothing::NoRecord,
                    }));
                }
                Err(error) => why = in_words(&error),
            }
        }
        Err(why)
    }
}

fn server(address: SocketAddr, patience: Duration) -> Result<TokioResolver, NetError> {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    let config = NameServerConfig::new(address.ip(), true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![config]);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    let options = builder.options_mut();
    options.timeout = patience;
    // UDP is sent again within the patience; more than that is up to the next lookup.
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

/// The names to look up for `name`, one after the other, as `resolv.conf(5)` tells it.
fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut as_is = name.clone();
    as_is.set_fqdn(true);
    if name.is_fqdn() {
        return vec![as_is];
    }
    let within = |domain: &Name| {
        let mut name = name.clone().append_domain(domain).ok()?;
        name.set_fqdn(true);
        Some(name)
    };
    let mut names: Vec<_> = search.iter().filter_map(within).collect();
    let n_dots = usize::from(name.num_labels()).saturating_sub(1);
    let position = if n_dots >= ndots { 0 } else { names.len() };
    names.insert(position, as_is);
    names
}

/// The records of the type asked for; aliases on the way shorten their life and are left out.
fn said(answers: &[Record], kind: RecordType) -> Said {
    let wanted = answers
        .iter()
        .filter(|record| record.data.record_type() == kind);
    let records: Vec<_> = wanted.map(|record| record.data.clone()).collect();
    match answers.iter().map(|record| record.ttl).min() {
        Some(lifetime) if !records.is_empty() => Said::Records(records, lifetime),
        _ => Said::Nothing(Nothing::NoRecord),
    }
}

/// The address of a record that has one to connect to. Filters answer `0.0.0.0` for names they block, and connecting to
/// that would lead to this machine.
pub(super) fn address(record: &RData) -> Option<IpAddr> {
    let ip = record.ip_addr()?;
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

fn in_words(error: &NetError) -> Unsaid {
    match error {
        NetError::Timeout => "no name server answers in time".into(),
        NetError::Dns(DnsError::ResponseCode(code)) => {
            format!("the name server answers {}", mnemonic(*code))
        }
        NetError::Io(error) => format!("the name server cannot be reached: {error}"),
        other => format!("the name server is not understood: {other}"),
    }
}

/// The names that name servers themselves use.
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        other => format!("{other} ({})", u16::from(other)),
    }
}

#[cfg(test)]
mod tests;
