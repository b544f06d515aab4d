//! What a connection and the request on it share: addresses that stay, counters and times that change.
//!
//! The connection itself is inside pingora while a request runs; this is what the rest may look at, also after a panic.
//! HTTP/1.1 has one request at a time, so a connection has one wire; on HTTP/2 each stream has a wire of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use config::ids::ListenerId;
use http::HeaderValue;

/// The id made for the first request without a cookie on a connection that carries many requests at once.
pub type SharedId = Arc<OnceLock<[u8; 16]>>;

/// One client connection, or one stream of it, as everyone but its owner sees it.
#[derive(Debug)]
pub struct Wire {
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The peer as `X-Forwarded-For` names it: an IPv4 address mapped into IPv6 as the IPv4 address.
    pub peer_value: HeaderValue,
    /// Our port as `X-Forwarded-Port` names it.
    pub port_value: HeaderValue,
    shared_id: Option<SharedId>,
    opened: Instant,
    started: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    quiet_from: AtomicU64,
    quiet_limit: AtomicU64,
    switched: AtomicBool,
    expired: AtomicBool,
    met: AtomicBool,
    answered: AtomicBool,
}

impl Wire {
    pub(super) fn new(listener: ListenerId, peer: SocketAddr, local: SocketAddr) -> Self {
        let peer_value = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
            .expect("an address is a header value");
        let values = [peer_value, local.port().into()];
        Self::begin(listener, peer, local, values, None)
    }

    fn begin(
        listener: ListenerId,
        peer: SocketAddr,
        local: SocketAddr,
        [peer_value, port_value]: [HeaderValue; 2],
        shared_id: Option<SharedId>,
    ) -> Self {
        Self {
            listener,
            peer,
            local,
            peer_value,
            port_value,
            shared_id,
            opened: Instant::now(),
            started: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            quiet_from: AtomicU64::new(0),
            quiet_limit: AtomicU64::new(0),
            switched: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            met: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }

    /// The wire of a stream that begins now, and shares `id` with the others of this connection.
    pub(super) fn stream(&self, id: &SharedId) -> Self {
        let values = [self.peer_value.clone(), self.port_value.clone()];
        let id = Some(Arc::clone(id));
        Self::begin(self.listener, self.peer, self.local, values, id)
    }

    /// The first byte of a request is here: its clock and its counters start.
    pub(super) fn start_request(&self, now: Instant) {
        let started = now.saturating_duration_since(self.opened);
        self.started.store(started.as_micros() as u64, Relaxed);
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.quiet_limit.store(0, Relaxed);
        self.switched.store(false, Relaxed);
        self.expired.store(false, Relaxed);
        self.met.store(false, Relaxed);
    }

    /// Whether the request in progress has met `meet`.
    pub(super) fn met(&self) -> bool {
        self.met.load(Relaxed)
    }

    /// The last byte of the answer is on its way; HTTP/2 only.
    pub(super) fn answer(&self) {
        self.answered.store(true, Relaxed);
    }

    /// Whether the answer is whole; HTTP/2 only.
    pub(super) fn answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    pub(super) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// From when on, and for how long, the connection may be quiet; `None` when nobody asks.
    pub(super) fn quiet(&self) -> Option<(Instant, Duration)> {
        let limit = self.quiet_limit.load(Relaxed);
        let from = Duration::from_micros(self.quiet_from.load(Relaxed));
        (limit > 0).then(|| (self.opened + from, Duration::from_micros(limit)))
    }

    pub(super) fn expire(&self) {
        self.expired.store(true, Relaxed);
    }

    /// An exchange takes the request on, and will write it down.
    pub fn meet(&self) {
        self.met.store(true, Relaxed);
    }

    /// From now on the request fails when no byte passes in either direction for `limit`.
    ///
    /// For upgraded connections: pingora's own timeouts see one direction only.
    pub fn limit_quiet(&self, limit: Duration) {
        self.quiet_from
            .store(self.opened.elapsed().as_micros() as u64, Relaxed);
        self.quiet_limit.store(limit.as_micros() as u64, Relaxed);
    }

    /// The target switched protocols: from now on every byte belongs to the request, and it may be quiet for `idle`.
    pub fn switch(&self, idle: Duration) {
        self.limit_quiet(idle);
        self.switched.store(true, Relaxed);
    }

    /// Whether the request in progress has become a connection of another protocol.
    pub fn switched(&self) -> bool {
        self.switched.load(Relaxed)
    }

    /// Whether the limit of `limit_quiet` ended the request.
    pub fn expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// Where the id is that cookieless requests share with others that run beside this one, if any can.
    pub fn shared_id(&self) -> Option<&SharedId> {
        self.shared_id.as_ref()
    }

    /// Time since the first byte of the request.
    pub fn elapsed(&self) -> Duration {
        self.opened
            .elapsed()
            .saturating_sub(Duration::from_micros(self.started.load(Relaxed)))
    }

    /// When the first byte of the request was read, and the time since then.
    pub fn times(&self) -> (SystemTime, Duration) {
        let (now, elapsed) = (SystemTime::now(), self.elapsed());
        (now.checked_sub(elapsed).unwrap_or(now), elapsed)
    }

    /// Bytes of the request read so far: head and body.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Bytes of the answer written so far: head and body.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}
