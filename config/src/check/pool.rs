//! What the settings of one pool mean together.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::health::Check;
use crate::model::{Ejection, Pool, Target};
use crate::problem::{Fault, Path};
use crate::units::Duration;

/// What an ALB allows: `deregistration_delay.timeout_seconds` from 0 to 3600.
const LONGEST_DELAY: Duration = Duration::seconds(3600);

pub(super) fn check(name: &str, pool: &Pool, path: &Path, faults: &mut Vec<Fault>) {
    if let Some(message) = super::name(name) {
        faults.push(path.fault(message));
    }
    targets(&pool.targets, &path.key("targets"), faults);
    let timeouts: &[(&str, Duration)] = &[
        ("connect_timeout", pool.connect_timeout),
        ("response_timeout", pool.response_timeout),
        ("idle_timeout", pool.idle_timeout),
        ("upgraded_idle", pool.upgraded_idle),
    ];
    super::not_zero(path, timeouts, faults);
    if pool.deregistration_delay > LONGEST_DELAY {
        let message = "must be at most 1h, as an ALB's";
        faults.push(path.key("deregistration_delay").fault(message));
    }
    if let Some(check) = &pool.health_check {
        let compiled = Check::compile(check, pool, &path.key("health_check"));
        faults.extend(compiled.err().unwrap_or_default());
    }
    if let Some(tls) = &pool.tls
        && tls.sni.as_deref() == Some("")
    {
        let message = "must not be empty; leave the key out to use the request's host";
        faults.push(path.key("tls").key("sni").fault(message));
    }
    ejection(&pool.ejection, &path.key("ejection"), faults);
}

fn ejection(ejection: &Ejection, path: &Path, faults: &mut Vec<Fault>) {
    if ejection.consecutive_failures > 0 || ejection.success_rate.is_some() {
        super::not_zero(path, &[("base_time", ejection.base_time)], faults);
    }
    if let Some(success_rate) = &ejection.success_rate {
        let path = path.key("success_rate");
        super::not_zero(&path, &[("interval", success_rate.interval)], faults);
        // A lone bad one of N targets is √(N-1) standard deviations off: asking for more would eject nobody.
        let reach = f64::from(success_rate.min_targets.saturating_sub(1)).sqrt();
        if success_rate.deviations >= reach {
            let message = format!(
                "{} is out of reach with min_targets = {}: one of them is at most {reach:.2} off",
                success_rate.deviations, success_rate.min_targets,
            );
            faults.push(path.key("deviations").fault(message));
        }
    }
}

fn targets(targets: &[Target], path: &Path, faults: &mut Vec<Fault>) {
    if targets.is_empty() {
        faults.push(path.fault("a pool needs at least one target, as [\"127.0.0.1:3001\"]"));
    }
    let mut known = HashSet::new();
    for (position, target) in targets.iter().enumerate() {
        let path = path.index(position);
        let (text, path) = match target {
            Target::Address(text) => (text, path),
            Target::Weighted { address, .. } => (address, path.key("address")),
        };
        match target_address(text) {
            Err(message) => faults.push(path.fault(message)),
            Ok(address) if !known.insert(address) => {
                let message =
                    format!("{address} is given twice; to send it more, give it a `weight`");
                faults.push(path.fault(message));
            }
            Ok(_) => {}
        }
    }
}

pub(crate) fn target_address(text: &str) -> Result<SocketAddr, String> {
    let address = super::address(text).map_err(|message| match text.rsplit_once(':') {
        Some((host, port)) if is_host_name(host) && port.parse::<u16>().is_ok() => {
            format!(
                "{text:?} is a host name; `targets` takes IP addresses with port, as 10.0.0.1:8080"
            )
        }
        _ => message,
    })?;
    if address.port() == 0 {
        return Err(format!("{text:?} has port 0, to which nothing can connect"));
    }
    Ok(address)
}

fn is_host_name(host: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.chars().any(|c| c.is_ascii_alphabetic()) && host.chars().all(is_allowed)
}
