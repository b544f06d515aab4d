//! What the machine says about names: `/etc/resolv.conf` and `/etc/hosts`, read again when they change.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;

use crate::source::Stamp;

/// A name server has this long, or less when `resolv.conf` says so; then the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// Whom a machine without a `nameserver` line asks, says `resolv.conf(5)`.
const ITSELF: &str = "\nnameserver 127.0.0.1\n";
/// More than any of the two needs, and little enough to read by mistake.
const LARGEST: u64 = 4 << 20;

/// Where the two files are.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
}

/// Which edition of the two files was read.
pub(super) type Edition = [Option<Stamp>; 2];

/// What they say.
#[derive(Debug)]
pub(super) struct Customs {
    pub(super) nameservers: Vec<SocketAddr>,
    /// Domains to look for a relative name in.
    pub(super) search: Vec<Name>,
    /// A name with so many dots is looked up as it is first.
    pub(super) ndots: usize,
    pub(super) patience: Duration,
    pub(super) hosts: Hosts,
}

impl Default for System {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
        }
    }
}

impl System {
    /// The edition that is there now.
    pub(super) fn edition(&self) -> Edition {
        [Stamp::at(&self.resolv_conf), Stamp::at(&self.hosts)]
    }

    /// Reads both; one that is not there says nothing, as everywhere on the machine.
    pub(super) fn read(&self) -> Customs {
        let text = read(&self.resolv_conf);
        let parsed = parse_resolv_conf(&text).or_else(|_| parse_resolv_conf(text + ITSELF));
        let (config, options) = parsed.unwrap_or_else(|error| {
            let path = self.resolv_conf.display();
            tracing::warn!("{path} is not understood, only its absence is honored: {error}");
            Default::default()
        });
        let mut search = config.search().to_vec();
        if search.is_empty() {
            search.extend(config.domain().cloned());
        }
        let mut hosts = Hosts::default();
        if let Err(error) = hosts.read_hosts_conf(read(&self.hosts).as_bytes()) {
            tracing::warn!("{} is not understood: {error}", self.hosts.display());
        }
        let nameservers = config.name_servers().iter();
        Customs {
            nameservers: nameservers.map(|it| SocketAddr::new(it.ip, 53)).collect(),
            search: search.into_iter().filter(|it| !it.is_root()).collect(),
            ndots: options.ndots,
            patience: options.timeout.min(PATIENCE),
            hosts,
        }
    }
}

fn read(path: &Path) -> String {
    let is_small = fs::metadata(path).is_ok_and(|about| about.len() <= LARGEST);
    let text = is_small.then(|| fs::read(path).ok()).flatten();
    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
}
