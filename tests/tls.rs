//! TLS that the router ends.

mod admin;
mod clients;
mod files;
mod handshake;
mod requests;
mod tickets;

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::support::tls::{Authority, Hello, Wanted};
use crate::support::{File, Kanaria, Stub};

/// A router with one pool that ends TLS by the certificates in the folder `certs`, which are for these hosts each.
#[track_caller]
fn start(hosts: &[&str]) -> (Authority, Stub, Kanaria) {
    start_as(hosts, "certificates = [\"certs\"]", "")
}

/// As `start`, with a table of its own and keys of `[server]`.
#[track_caller]
fn start_as(hosts: &[&str], tls: &str, server: &str) -> (Authority, Stub, Kanaria) {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().expect("a temporary folder");
    for host in hosts {
        let name = host.trim_start_matches("*.");
        authority.issue(&folder.path().join("certs"), name, Wanted::hosts(&[host]));
    }
    let file = File::single(&ec2).tls(tls).server(server);
    let kanaria = Kanaria::start_in(folder, &file);
    (authority, ec2, kanaria)
}

/// The certificate that `hello` is shown.
#[track_caller]
pub(crate) fn shown(hello: &Hello, address: SocketAddr) -> Vec<u8> {
    let client = hello.connect(address);
    let chain = client.wire.session().peer_certificates();
    chain.expect("a certificate is shown")[0].to_vec()
}
