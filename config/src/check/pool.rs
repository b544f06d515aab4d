//! What the settings of one pool mean together.

use std::collections::HashSet;

use crate::discovery;
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
    membership(pool, path, faults);
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

/// A pool learns of its targets in one way.
fn membership(pool: &Pool, path: &Path, faults: &mut Vec<Fault>) {
    let ways = [
        ("targets", pool.targets.is_some()),
        ("dns", pool.dns.is_some()),
        ("srv", pool.srv.is_some()),
        ("file", pool.file.is_some()),
    ];
    let mut given = ways.iter().filter(|(_, is_given)| *is_given);
    match given.next() {
        None => {
            let message = "a pool needs `targets`, as [\"127.0.0.1:3001\"], or `dns`, `srv` or `file` to find them";
            faults.push(path.fault(message));
        }
        Some((first, _)) => {
            let more = given.map(|(key, _)| {
                let message = format!("the pool has `{first}` already; it takes one of `targets`, `dns`, `srv` and `file`");
                path.key(key).fault(message)
            });
            faults.extend(more);
        }
    }
    if let Some(given) = &pool.targets {
        targets(given, &path.key("targets"), faults);
    }
    discovery(pool, path, faults);
}

fn discovery(pool: &Pool, path: &Path, faults: &mut Vec<Fault>) {
    let dns = pool.dns.as_ref().map(|text| discovery::dns(text).map(drop));
    let srv = pool.srv.as_ref().map(|text| discovery::srv(text));
    for (key, outcome) in [("dns", dns), ("srv", srv)] {
        if let Some(Err(message)) = outcome {
            faults.push(path.key(key).fault(message));
        }
    }
    if pool
        .file
        .as_ref()
        .is_some_and(|file| file.as_os_str().is_empty())
    {
        faults.push(path.key("file").fault("a path must not be empty"));
    }
    if pool.dns_refresh < discovery::SHORTEST_REFRESH {
        let message = format!(
            "must be at least {}: a name server is not asked more often",
            discovery::SHORTEST_REFRESH
        );
        faults.push(path.key("dns_refresh").fault(message));
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
        match discovery::target(text) {
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
