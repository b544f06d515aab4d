//! From a request head to what the decision may look at: who the client is, and whom we believe about it.
//!
//! Pure functions over plain values; the adapter brings them.

use std::net::IpAddr;

use config::units::Cidr;

/// Whether `peer` is a proxy whose forwarded headers we believe.
pub fn is_trusted(peer: IpAddr, trusted: &[Cidr]) -> bool {
    trusted.iter().any(|net| net.contains(peer))
}

/// The client's address: the peer, or, behind trusted proxies, the last address in `X-Forwarded-For` that is not one of them.
///
/// `forwarded` are the header's lines in order. What cannot be read ends the search: nobody trusted has said it.
pub fn client<'a>(
    peer: IpAddr,
    trusted: &[Cidr],
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> IpAddr {
    let mut client = peer;
    if !is_trusted(peer, trusted) {
        return client;
    }
    for entry in forwarded
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
    {
        let Some(address) = address(entry) else { break };
        client = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

/// An entry of `X-Forwarded-For`: an address, perhaps with a port, IPv6 perhaps in brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(with_port) = text.parse::<std::net::SocketAddr>() {
        return Some(with_port.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, lines: &[&str], expect: &str) {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let lines = lines.iter().map(|line| line.as_bytes());
        assert_eq!(
            client(peer.parse().unwrap(), &trusted, lines),
            expect.parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_last_address_that_is_not_one_of_them_is_the_client() {
        check("10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1");
        check(
            "10.0.0.1",
            &["1.1.1.1", "198.51.100.1, 10.0.0.3"],
            "198.51.100.1",
        );
        check("::1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1", &["198.51.100.1:5060"], "198.51.100.1");
    }

    #[test]
    fn a_chain_of_trusted_proxies_alone_ends_at_its_first() {
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        check("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2");
    }
}
