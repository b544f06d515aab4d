//! A target as pingora's connectors want it: its address, TLS, timeouts, and which kept connections will do.

mod authority;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use config::snapshot::Pool;
use pingora_core::protocols::{ALPN, TcpKeepalive};
use pingora_core::upstreams::peer::HttpPeer;

pub use authority::Authorities;

/// Requests that share one connection of HTTP/2 to a target.
const TARGET_STREAMS: u32 = 100;
/// Bytes of an answer that a target may send ahead of its client: more than the largest message that gRPC takes, so that
/// a target can put down the answer to one message and read the next.
const TARGET_WINDOW: u32 = 5 * 1024 * 1024;
/// The same of all streams of a connection together: a dozen clients that read nothing hold up no other one whose
/// request shares their connection to the target.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// A target whose machine is gone is noticed by TCP, so that its connections are not used again.
const PROBES: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(15),
    interval: Duration::from_secs(5),
    count: 3,
    user_timeout: Duration::from_secs(30),
};

/// A key that no kept connection has.
pub fn unshared_key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(2, Relaxed) | 1
}

/// How the target of `pool` at `address` is spoken to, for a request that names `host`, which is asked for only where TLS needs
/// it; without the certificates of `tls.ca`.
pub fn peer<'a>(pool: &Pool, address: SocketAddr, host: impl FnOnce() -> &'a str) -> Box<HttpPeer> {
    let settings = &pool.settings;
    let sni = settings.tls.as_ref().map(|tls| {
        let named = tls.sni.as_deref();
        named.unwrap_or_else(|| without_port(host())).to_owned()
    });
    let (tls, sni) = (sni.is_some(), sni.unwrap_or_default());
    let mut peer = Box::new(HttpPeer::new(address, tls, sni));
    if let Some(tls) = &settings.tls {
        peer.options.verify_cert = tls.verify;
        peer.options.verify_hostname = tls.verify;
    }
    // Odd keys are for connections that nobody shares.
    peer.group_key = pool.connections & !1;
    let options = &mut peer.options;
    options.connection_timeout = Some(settings.connect_timeout.0);
    options.total_connection_timeout = Some(settings.connect_timeout.0);
    options.read_timeout = Some(settings.response_timeout.0);
    options.write_timeout = Some(settings.response_timeout.0);
    options.idle_timeout = Some(settings.idle_timeout.0);
    if settings.http2 {
        options.alpn = ALPN::H2;
        // The wire bounds how long both directions may be quiet: pingora would count the time of an upload as silence.
        options.read_timeout = None;
        options.max_h2_streams = TARGET_STREAMS as usize;
        options.h2_stream_window_size = Some(TARGET_WINDOW);
        options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        // Not by pings of HTTP/2: servers of gRPC close a connection that pings more than every five minutes.
        options.tcp_keepalive = Some(PROBES);
    }
    peer
}

/// The name in a Host header.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
