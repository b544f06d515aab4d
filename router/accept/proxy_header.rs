//! The PROXY header in front of everything else on a connection: whom a load balancer speaks for (versions 1 and 2 of
//! HAProxy's `proxy-protocol.txt`).
//!
//! It is read to its last byte and not one further, so that whoever comes next (TLS, HTTP) finds the connection untouched.
//! What its TLVs say is skipped. Whether the peer may speak for others is decided by whoever calls.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest header that is read. One of a network load balancer has about 100 bytes; TLVs with a client's certificate
/// have some thousands.
const MOST: usize = 4096;
/// The longest header of version 1, with its line end.
const MOST_V1: usize = 107;
/// What a header of version 1 begins with.
const START_V1: &[u8] = b"PROXY ";
/// What a header of version 2 begins with.
const START_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// A header of version 2 up to its length, and with it.
const FIXED_V2: usize = 16;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// The client's.
    pub(super) peer: SocketAddr,
    /// Ours: what the client connected to.
    pub(super) local: SocketAddr,
}

/// Why a connection ends before its first byte of HTTP or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// What came is no PROXY header.
    Invalid,
    /// The header is longer than it may be.
    Oversized,
    /// It was not whole in time.
    Timeout,
    /// The peer closed inside it.
    Truncated,
    /// The peer is not one of `server.trusted_proxies`.
    Untrusted,
}

impl Refused {
    /// The word in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Oversized => "oversized",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Untrusted => "untrusted",
        }
    }
}

/// The words of the log.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "what it sent first is no PROXY header of version 1 or 2",
            Self::Oversized => "its PROXY header is longer than 4096 bytes, or 107 in version 1",
            Self::Timeout => "its PROXY header was not whole within `server.timeouts.header`",
            Self::Truncated => "it closed inside its PROXY header",
            Self::Untrusted => "it is not one of `server.trusted_proxies`, so it speaks for nobody",
        })
    }
}

/// Reads the header of `stream`, whose own ends are `ends`; `None` when the peer closed without a byte, as a health check
/// over TCP does.
///
/// The ends stay what they are when the header says that the peer speaks for itself (LOCAL, UNKNOWN).
pub(super) async fn read(stream: &mut TcpStream, ends: Ends) -> Result<Option<Ends>, Refused> {
    let mut space = vec![0; MOST];
    let mut held = 0;
    loop {
        let seen = stream.peek(&mut space[held..]).await.unwrap_or(0);
        if seen == 0 {
            return if held == 0 {
                Ok(None)
            } else {
                Err(Refused::Truncated)
            };
        }
        let end = end(&space[..held + seen])?;
        // Without an end all that was seen belongs to the header, and the next look must be at what comes after it.
        let whole = end.unwrap_or(held + seen);
        take(stream, &mut space[held..whole])
            .await
            .map_err(|_| Refused::Truncated)?;
        held = whole;
        if end.is_some() {
            return decode(&space[..whole], ends).map(Some);
        }
    }
}

async fn take(stream: &mut TcpStream, part: &mut [u8]) -> io::Result<usize> {
    stream.read_exact(part).await
}

/// Where the header that `seen` begins with ends; `None` while that cannot be said, and then it reaches beyond `seen`.
fn end(seen: &[u8]) -> Result<Option<usize>, Refused> {
    let begins = |start: &[u8]| seen.iter().zip(start).all(|(seen, start)| seen == start);
    if begins(START_V1) {
        let line = &seen[..seen.len().min(MOST_V1)];
        return match memchr::memchr(b'\n', line) {
            Some(feed) => Ok(Some(feed + 1)),
            None if line.len() < MOST_V1 => Ok(None),
            None => Err(Refused::Oversized),
        };
    }
    if !begins(START_V2) {
        return Err(Refused::Invalid);
    }
    let Some([.., high, low]) = seen.get(..FIXED_V2) else {
        return Ok(None);
    };
    let end = FIXED_V2 + usize::from(u16::from_be_bytes([*high, *low]));
    if end > MOST {
        return Err(Refused::Oversized);
    }
    Ok((seen.len() >= end).then_some(end))
}

/// What a whole header says of `ends`.
fn decode(header: &[u8], ends: Ends) -> Result<Ends, Refused> {
    let skipping = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (parsed, length) = ProxyHeader::parse(header, skipping).map_err(|_| Refused::Invalid)?;
    if length != header.len() {
        return Err(Refused::Invalid);
    }
    match parsed.proxied_address() {
        None => Ok(ends),
        Some(told) if told.protocol == Protocol::Stream => Ok(Ends {
            peer: told.source,
            local: told.destination,
        }),
        Some(_) => Err(Refused::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ends = Ends {
        peer: SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
            1,
        ),
        local: SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
            2,
        ),
    };

    fn v2(command: u8, family: u8, addresses: &[u8], tlvs: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + tlvs.len()).unwrap();
        let fixed = [&[command, family][..], &length.to_be_bytes()].concat();
        [START_V2, &fixed, addresses, tlvs].concat()
    }

    fn v4() -> Vec<u8> {
        vec![203, 0, 113, 7, 192, 0, 2, 1, 0x10, 0xe1, 0x01, 0xbb]
    }

    fn told(peer: &str, local: &str) -> Result<Ends, Refused> {
        Ok(Ends {
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
        })
    }

    /// `header` with something behind it, seen in one piece and byte by byte.
    #[track_caller]
    fn check(header: &[u8], expect: Result<Ends, Refused>) {
        let seen = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let read = |seen: &[u8]| match end(seen) {
            Ok(Some(end)) => Some(decode(&seen[..end], OWN)),
            Ok(None) => None,
            Err(refused) => Some(Err(refused)),
        };
        assert_eq!(read(&seen), Some(expect), "{}", header.escape_ascii());
        let slow = (0..=seen.len()).find_map(|length| read(&seen[..length]));
        assert_eq!(slow, Some(expect), "slowly: {}", header.escape_ascii());
        if expect.is_ok() {
            assert_eq!(end(&seen), Ok(Some(header.len())));
        }
    }

    #[test]
    fn every_cause_has_its_series() {
        let causes = [
            Refused::Invalid,
            Refused::Oversized,
            Refused::Timeout,
            Refused::Truncated,
            Refused::Untrusted,
        ];
        assert_eq!(causes.map(Refused::as_str), crate::metrics::PROXY_HEADERS);
    }

    #[test]
    fn both_versions_name_the_client_and_what_it_connected_to() {
        let four = told("203.0.113.7:4321", "192.0.2.1:443");
        check(b"PROXY TCP4 203.0.113.7 192.0.2.1 4321 443\r\n", four);
        check(&v2(0x21, 0x11, &v4(), &[]), four);
        check(
            &v2(0x21, 0x11, &v4(), &[3, 0, 4, 1, 2, 3, 4, 0xea, 0, 1, 0]),
            four,
        );
        let six = told("[2001:db8::1]:4321", "[2001:db8::2]:443");
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 4321 443\r\n", six);
        let mut addresses = [0; 36];
        addresses[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        addresses[15] = 1;
        addresses[16..20].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        addresses[31] = 2;
        addresses[32..].copy_from_slice(&[0x10, 0xe1, 0x01, 0xbb]);
        check(&v2(0x21, 0x21, &addresses, &[]), six);
    }

    #[test]
    fn a_peer_that_speaks_for_itself_stays_the_client() {
        check(b"PROXY UNKNOWN\r\n", Ok(OWN));
        check(
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Ok(OWN),
        );
        check(&v2(0x20, 0, &[], &[]), Ok(OWN));
        check(&v2(0x20, 0x11, &v4(), &[]), Ok(OWN));
        check(&v2(0x21, 0, &[], &[]), Ok(OWN));
        check(&v2(0x21, 0x31, &[0; 216], &[]), Ok(OWN));
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for header in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXX TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
            b"PROXY TCP4 ::1 ::1 1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
            b"\r\n\r\n\0\r\nQUIX\n",
            &v2(0x31, 0x11, &v4(), &[]),
            &v2(0x22, 0x11, &v4(), &[]),
            &v2(0x21, 0x11, &v4()[..8], &[]),
            &v2(0x21, 0x12, &v4(), &[]),
            &v2(0x21, 0x44, &v4(), &[]),
        ] {
            check(header, Err(Refused::Invalid));
        }
    }

    #[test]
    fn a_header_without_end_is_not_read_to_its_end() {
        let line = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        check(&line, Err(Refused::Oversized));
        check(&v2(0x21, 0x11, &v4(), &[0; 5000]), Err(Refused::Oversized));
        check(
            &v2(0x21, 0x11, &v4(), &[0; 4000]),
            told("203.0.113.7:4321", "192.0.2.1:443"),
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, v2: bool) {
            let start = if v2 { START_V2 } else { START_V1 };
            for seen in [bytes.clone(), [start, &bytes].concat()] {
                if let Ok(Some(end)) = end(&seen) {
                    let _ = decode(&seen[..end], OWN);
                }
            }
        }
    }
}
