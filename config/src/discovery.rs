//! How a pool finds its targets when the file does not list them, and the forms of names and addresses that takes.
//!
//! Nothing is looked up here.

mod listed;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::model;
use crate::units::Duration;

pub use listed::{NotAList, listed};

/// The shortest `dns_refresh`, and how long an answer counts at least, whatever its TTL says.
pub const SHORTEST_REFRESH: Duration = Duration::seconds(1);

/// One way to find the targets of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Every address of a host name, at one port.
    Dns {
        /// The host name, as written.
        name: String,
        /// The port of every target.
        port: u16,
    },
    /// What a file lists.
    File(PathBuf),
    /// What SRV records of this name say.
    Srv(String),
}

impl Discovery {
    /// How `pool` finds its targets; `None` when the file lists them, or when what it says was refused.
    pub fn of(pool: &model::Pool) -> Option<Self> {
        if let Some(text) = &pool.dns {
            let (name, port) = dns(text).ok()?;
            Some(Self::Dns { name, port })
        } else if let Some(name) = &pool.srv {
            Some(Self::Srv(name.clone()))
        } else {
            pool.file.clone().map(Self::File)
        }
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { name, port } => write!(f, "dns {name}:{port}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Srv(name) => write!(f, "srv {name}"),
        }
    }
}

/// The name and port of `dns`.
///
/// # Errors
/// Why the text is not one.
pub fn dns(text: &str) -> Result<(String, u16), String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Err(format!(
            "{address} is an address, which needs no lookup; write it in `targets`"
        ));
    }
    let form = "write a host name and port, as web.ecs.internal:8080";
    let Some((name, port)) = text.rsplit_once(':') else {
        return Err(match host_name(text) {
            Ok(()) => format!("{text:?} has no port; {form}"),
            Err(_) => format!("{text:?} is not a host name and port; {form}"),
        });
    };
    host_name(name)
        .map_err(|why| format!("{text:?} is not a host name and port: {why}; {form}"))?;
    match port.parse() {
        Ok(port) if port > 0 => Ok((name.to_owned(), port)),
        _ => Err(format!("{port:?} is not a port; {form}")),
    }
}

/// Whether `text` can have SRV records: `_service._proto.name` (RFC 2782), or any name, as AWS Cloud Map and Consul give them.
///
/// # Errors
/// Why it cannot.
pub fn srv(text: &str) -> Result<(), String> {
    let form = "write a name, as _web._tcp.ecs.internal";
    if text.contains(':') {
        return Err(format!(
            "{text:?} has a port, which SRV records say themselves; {form}"
        ));
    }
    host_name(text)
        .map_err(|why| format!("{text:?} is not a name of SRV records: {why}; {form}"))?;
    let mut labels = text.split('.');
    let (service, protocol) = (labels.next().unwrap_or_default(), labels.next());
    let is_service = service.starts_with('_');
    if is_service && !protocol.is_some_and(|label| label.eq_ignore_ascii_case("_tcp")) {
        return Err(format!(
            "after a service as {service} comes `_tcp`, the only protocol to reach a target; {form}"
        ));
    }
    if is_service && labels.next().is_none_or(str::is_empty) {
        return Err(format!("{text:?} names a service of no domain; {form}"));
    }
    Ok(())
}

/// A name server: an address, with port 53 unless it says another.
///
/// # Errors
/// Why the text is not one.
pub fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let address = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| {
            format!(
                "{text:?} is not the IP address of a name server, as 10.0.0.2 or 127.0.0.1:5353"
            )
        })?;
    reachable(address)
}

/// The address of a target.
///
/// # Errors
/// Why the text is not one.
pub fn target(text: &str) -> Result<SocketAddr, String> {
    let address = crate::check::address(text).map_err(|message| match text.rsplit_once(':') {
        Some((host, port)) if is_named(host) && port.parse::<u16>().is_ok() => format!(
            "{text:?} is a host name; `targets` takes IP addresses with port, as 10.0.0.1:8080, and `dns` takes a name"
        ),
        _ => message,
    })?;
    reachable(address)
}

fn reachable(address: SocketAddr) -> Result<SocketAddr, String> {
    if address.port() == 0 {
        return Err(format!(
            "\"{address}\" has port 0, to which nothing can connect"
        ));
    }
    Ok(address)
}

/// Whether somebody meant a host name, also when it is none.
fn is_named(host: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.chars().any(|c| c.is_ascii_alphabetic()) && host.chars().all(is_allowed)
}

/// What DNS can carry (RFC 1035, 2.3.4), of the characters that names have; underscores are common in private zones.
fn host_name(text: &str) -> Result<(), String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err(format!("{name} is an address"));
    }
    if name.len() > 253 {
        return Err("a name has at most 253 characters".into());
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("there is nothing between two dots".into());
        }
        if label.len() > 63 {
            return Err("between two dots are at most 63 characters".into());
        }
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(other) => Err(format!("{other:?} is in no host name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_finds_its_targets_in_one_way() {
        let of = |keys: &str| Discovery::of(&toml::from_str(keys).unwrap());
        let shown = |keys: &str| of(keys).map(|found| found.to_string());
        assert_eq!(of("targets = ['127.0.0.1:1']"), None);
        assert_eq!(
            shown("dns = 'web.internal.:80'").as_deref(),
            Some("dns web.internal.:80")
        );
        assert_eq!(
            shown("srv = '_web._tcp.internal'").as_deref(),
            Some("srv _web._tcp.internal")
        );
        assert_eq!(shown("file = 'ecs.json'").as_deref(), Some("file ecs.json"));
    }

    #[test]
    fn names_of_srv_records_are_those_of_the_rfc_and_of_cloud_map() {
        for name in [
            "_web._tcp.internal",
            "_web._TCP.ecs.internal.",
            "web.ecs.internal",
            "web",
        ] {
            assert_eq!(srv(name), Ok(()), "{name}");
        }
        for name in [
            "_web.internal",
            "_web._udp.internal",
            "_web._tcp",
            "_web._tcp.",
        ] {
            assert!(srv(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_server_is_asked_at_port_53_unless_it_says_another() {
        let shown = |text: &str| nameserver(text).map(|address| address.to_string());
        assert_eq!(shown("10.0.0.2").as_deref(), Ok("10.0.0.2:53"));
        assert_eq!(shown("::1").as_deref(), Ok("[::1]:53"));
        assert_eq!(shown("[::1]:5353").as_deref(), Ok("[::1]:5353"));
        for text in ["", "ns.internal", "10.0.0.2:0", "10.0.0.2:"] {
            assert!(nameserver(text).is_err(), "{text}");
        }
    }
}
