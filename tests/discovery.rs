//! Pools that find their targets: by DNS, by SRV records, by a file; and what becomes of traffic when they cannot.

mod dns;
mod file;
mod srv;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use serde_json::Value;

use crate::support::{Dns, File, Kanaria, Stub, until, within};

pub(crate) use file::{list, replace};

/// Two stubs at one port of two addresses: what a name in DNS can tell apart.
pub(crate) fn blue_and_green() -> (Stub, Stub) {
    until("a port that is free at two addresses", || {
        let blue = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).ok()?;
        let port = blue.local_addr().ok()?.port();
        let green = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 3), port)).ok()?;
        Some((Stub::listen(blue, "blue"), Stub::listen(green, "green")))
    })
}

/// `ecs` finds its targets by `keys`, and asks `servers` for names.
pub(crate) fn found(ec2: &Stub, servers: &[&Dns], keys: &str, weights: &str) -> File {
    let servers: Vec<_> = servers
        .iter()
        .map(|dns| format!("\"{}\"", dns.address))
        .collect();
    let resolver = format!("[resolver]\nnameservers = [{}]\n", servers.join(", "));
    File::single(ec2)
        .pool("ecs", &[])
        .pool_keys("ecs", keys)
        .weights(weights)
        .before(&resolver)
}

/// As `found`, by the name `web.test` at the port of `stub`.
pub(crate) fn by_dns(ec2: &Stub, servers: &[&Dns], stub: &Stub, weights: &str) -> File {
    let keys = format!("dns = \"web.test:{}\"", stub.address.port());
    found(ec2, servers, &keys, weights)
}

/// The address of `stub` as the name's.
pub(crate) fn ip(stub: &Stub) -> [IpAddr; 1] {
    [stub.address.ip()]
}

/// What the status says of finding the targets of `ecs`.
fn discovery(kanaria: &Kanaria) -> Value {
    let status = kanaria.admin.get("/api/v1/status");
    let pools = status["pools"].as_array().expect("a list").clone();
    let ecs = pools.into_iter().find(|pool| pool["name"] == "ecs");
    ecs.expect("a pool of the file")["discovery"].clone()
}

fn failures(kanaria: &Kanaria) -> f64 {
    kanaria
        .admin
        .metric("kanaria_discovery_failures_total", &["ecs"])
}

/// Addresses of the targets of `ecs` that are not on their way out.
fn targets(kanaria: &Kanaria) -> Vec<SocketAddr> {
    let targets = kanaria.admin.get("/api/v1/pools/ecs/targets");
    let targets = targets.as_array().expect("a list").iter();
    let staying = targets.filter(|target| target["state"] != "draining");
    staying
        .map(|target| target["address"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// Lines of the log with every one of `parts`.
fn lines(kanaria: &Kanaria, parts: &[&str]) -> usize {
    let log = kanaria.stderr();
    let lines = log.lines();
    lines
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .count()
}

#[track_caller]
fn until_targets(kanaria: &Kanaria, expected: &[SocketAddr]) {
    until("the pool has these targets", || {
        (targets(kanaria) == expected).then_some(())
    });
}

/// Whether a request reaches `stub` before `seconds` are over.
fn reaches(kanaria: &Kanaria, stub: &Stub, seconds: u64) -> bool {
    let mut client = kanaria.client();
    let time = std::time::Duration::from_secs(seconds);
    let reached = within(time, || {
        let answer = client.call(crate::support::get("/", ""));
        (answer.stub() == stub.name).then_some(())
    });
    reached.is_some()
}
