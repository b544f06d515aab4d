//! What a connection and the request on it share: addresses that stay, counters and times that change.
//!
//! The connection itself is inside pingora while a request runs; this is what the rest may look at, also after a panic.
//! HTTP/1.1 has one request at a time, so a connection has one wire; on HTTP/2 each stream has a wire of its own.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use config::ids::ListenerId;
use http::HeaderValue;

use super::ending::{Ending, Ends};
use super::wires::Wires;
use crate::record::{Desync, Ruling, Tls, Traits};
use crate::tls::Secured;

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
    secured: Option<Arc<Secured>>,
    shared_id: Option<SharedId>,
    streams: OnceLock<Wires>,
    opened: Instant,
    started: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    quiet_from: AtomicU64,
    quiet_limit: AtomicU64,
    whole_limit: AtomicU64,
    stall_limit: AtomicU64,
    ends: Ends,
    switched: AtomicBool,
    met: AtomicBool,
    bodiless: AtomicBool,
    answered: AtomicBool,
    /// What was odd about the head in progress: a reason's number and the marks below.
    odd: AtomicU8,
}

/// Marks of `Wire::odd` beside the number.
const INVALID_HEADER: u8 = 0x20;
const ALONE: u8 = 0x40;
const CLOSES: u8 = 0x80;

impl Wire {
    pub(super) fn new(
        listener: ListenerId,
        peer: SocketAddr,
        local: SocketAddr,
        secured: Option<Arc<Secured>>,
    ) -> Self {
        let peer_value = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
            .expect("an address is a header value");
        let values = [peer_value, local.port().into()];
        Self {
            secured,
            ..Self::begin(listener, peer, local, values)
        }
    }

    fn begin(
        listener: ListenerId,
        peer: SocketAddr,
        local: SocketAddr,
        [peer_value, port_value]: [HeaderValue; 2],
    ) -> Self {
        Self {
            listener,
            peer,
            local,
            peer_value,
            port_value,
            secured: None,
            shared_id: None,
            streams: OnceLock::new(),
            opened: Instant::now(),
            started: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            quiet_from: AtomicU64::new(0),
            quiet_limit: AtomicU64::new(0),
            whole_limit: AtomicU64::new(0),
            stall_limit: AtomicU64::new(0),
            ends: Ends::default(),
            switched: AtomicBool::new(false),
            met: AtomicBool::new(false),
            bodiless: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            odd: AtomicU8::new(0),
        }
    }

    /// The wire of a stream that begins now, and shares `id` with the others of this connection.
    pub(super) fn stream(&self, id: &SharedId) -> Arc<Self> {
        let values = [self.peer_value.clone(), self.port_value.clone()];
        let stream = Arc::new(Self {
            secured: self.secured.clone(),
            shared_id: Some(Arc::clone(id)),
            ..Self::begin(self.listener, self.peer, self.local, values)
        });
        // A lock of this connection's own, which nobody else takes but who looks at all connections.
        self.streams.get_or_init(Wires::default).enter(&stream);
        stream
    }

    /// The wires of its streams; none on HTTP/1.1.
    pub(super) fn streams(&self) -> Option<&Wires> {
        self.streams.get()
    }

    /// The first byte of a request is here: its clock and its counters start.
    pub(super) fn start_request(&self, now: Instant) {
        let started = now.saturating_duration_since(self.opened);
        self.started.store(started.as_micros() as u64, Relaxed);
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.quiet_limit.store(0, Relaxed);
        self.whole_limit.store(0, Relaxed);
        self.stall_limit.store(0, Relaxed);
        self.ends.begin();
        self.switched.store(false, Relaxed);
        self.met.store(false, Relaxed);
        self.odd.store(0, Relaxed);
    }

    /// The head in progress has `traits`, and `ruling` says what becomes of it.
    pub(super) fn note(&self, traits: Traits, ruling: Ruling) {
        let number = traits.desync.map_or(0, |desync| desync as u8);
        let invalid = if traits.invalid_header {
            INVALID_HEADER
        } else {
            0
        };
        let ruled = match ruling {
            Ruling::Serve | Ruling::Refuse => 0,
            Ruling::ServeAlone => ALONE,
            Ruling::ServeAndClose => ALONE | CLOSES,
        };
        self.odd.store(number | invalid | ruled, Relaxed);
    }

    /// What was odd about the head in progress.
    pub fn traits(&self) -> Traits {
        let odd = self.odd.load(Relaxed);
        Traits {
            desync: Desync::of(odd & (INVALID_HEADER - 1)),
            invalid_header: odd & INVALID_HEADER != 0,
        }
    }

    /// Whether a header of it has a name with other characters than letters, digits and `-`.
    pub fn has_invalid_header(&self) -> bool {
        self.odd.load(Relaxed) & INVALID_HEADER != 0
    }

    /// Whether nothing else may share its connection to the target.
    pub fn is_alone(&self) -> bool {
        self.odd.load(Relaxed) & ALONE != 0
    }

    /// Whether the connection ends with the answer to the request in progress.
    pub fn closes(&self) -> bool {
        self.odd.load(Relaxed) & CLOSES != 0
    }

    /// The head is whole, and says whether a body comes.
    pub(super) fn set_bodiless(&self, bodiless: bool) {
        self.bodiless.store(bodiless, Relaxed);
    }

    /// Whether no body comes, so that all that can be waited for is the answer; not said of HTTP/2.
    pub fn bodiless(&self) -> bool {
        self.bodiless.load(Relaxed)
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

    /// When the request must have ended, if no byte passes after `last_byte`, and why; `None` when nobody asks.
    pub(super) fn limit(&self, last_byte: Instant) -> Option<(Instant, Ending)> {
        let quiet = self
            .quiet()
            .map(|(from, limit)| (last_byte.max(from) + limit, Ending::Quiet));
        sooner(quiet, self.whole())
    }

    /// When the request must have ended, if its client has taken nothing since `stalled`, and why.
    pub(super) fn limit_unsent(&self, stalled: Instant) -> Option<(Instant, Ending)> {
        let limit = self.stall_limit.load(Relaxed);
        let end = || (stalled + Duration::from_micros(limit), Ending::Stalled);
        let stall = (limit > 0).then(end);
        match self.ended() {
            // What is sent now says that it has ended.
            Some(_) => stall,
            None => sooner(stall, self.whole()),
        }
    }

    /// Whether somebody has ordered the request to end.
    pub(super) fn ordered(&self) -> Option<Ending> {
        self.ends.ordered()
    }

    /// The request ends for `ending`.
    pub(super) fn end(&self, ending: Ending) {
        self.ends.end(ending);
    }

    /// Whoever awaits this is the task that carries the connection, or the stream, to its end.
    pub(super) async fn carried_here(&self) {
        poll_fn(|context| {
            self.ends.belong_to(context.waker());
            Poll::Ready(())
        })
        .await;
    }

    /// When the time for the whole request is over; `None` when it may take any.
    pub(super) fn whole(&self) -> Option<(Instant, Ending)> {
        let limit = self.whole_limit.load(Relaxed);
        let end = self.started.load(Relaxed).saturating_add(limit);
        let end = || self.opened + Duration::from_micros(end);
        (limit > 0).then(|| (end(), Ending::Deadline))
    }

    /// From when on, and for how long, the connection may be quiet; `None` when nobody asks.
    pub(super) fn quiet(&self) -> Option<(Instant, Duration)> {
        let limit = self.quiet_limit.load(Relaxed);
        let from = Duration::from_micros(self.quiet_from.load(Relaxed));
        (limit > 0).then(|| (self.opened + from, Duration::from_micros(limit)))
    }

    /// An exchange takes the request on, and will write it down.
    pub fn meet(&self) {
        self.met.store(true, Relaxed);
    }

    /// From `now` on the request fails when no byte passes in either direction for `limit`.
    ///
    /// For upgraded connections, of which pingora's own timeouts see one direction only, and for the wait for an answer.
    pub fn limit_quiet(&self, now: Instant, limit: Duration) {
        let from = now.saturating_duration_since(self.opened);
        self.quiet_from.store(from.as_micros() as u64, Relaxed);
        self.quiet_limit.store(limit.as_micros() as u64, Relaxed);
    }

    /// The request must end within `limit` from its first byte on; 0 means that it may take any time.
    pub fn limit_whole(&self, limit: Duration) {
        self.whole_limit.store(limit.as_micros() as u64, Relaxed);
    }

    /// The client must take each part of the answer within `limit`; 0 means that it may take any time.
    pub fn limit_stall(&self, limit: Duration) {
        self.stall_limit.store(limit.as_micros() as u64, Relaxed);
    }

    /// What is left of the time of `limit_whole`; `None` without one.
    pub fn left(&self) -> Option<Duration> {
        let (end, _) = self.whole()?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// The request is with the target of this number, which no other one has.
    pub fn serve(&self, target: u64) {
        self.ends.serve(target);
    }

    /// The target that the request in progress is with; 0 when there is none.
    pub fn serving(&self) -> u64 {
        self.ends.serving()
    }

    /// Ends the request in progress for `ending`, if it is still with `target`. From any thread.
    pub fn order(&self, target: u64, ending: Ending) {
        self.ends.order(target, ending);
    }

    /// When the first byte of the request in progress came.
    pub fn begun(&self) -> Instant {
        self.opened + Duration::from_micros(self.started.load(Relaxed))
    }

    /// The target switched protocols: from now on every byte belongs to the request, and it may be quiet for `idle`.
    pub fn switch(&self, idle: Duration) {
        self.limit_whole(Duration::ZERO);
        self.limit_stall(Duration::ZERO);
        self.limit_quiet(Instant::now(), idle);
        self.switched.store(true, Relaxed);
    }

    /// Whether the request in progress has become a connection of another protocol.
    pub fn switched(&self) -> bool {
        self.switched.load(Relaxed)
    }

    /// What ended the request, when neither side did.
    pub fn ended(&self) -> Option<Ending> {
        self.ends.ended()
    }

    /// The TLS of the connection; `None` in clear text.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    /// The same, as it is written down.
    pub fn tls(&self) -> Option<Tls> {
        let secured = self.secured()?;
        Some(Tls {
            version: secured.version,
            cipher: secured.cipher,
        })
    }

    /// The host that the client asked for in the handshake of TLS.
    pub fn server_name(&self) -> Option<&[u8]> {
        Some(self.secured()?.server_name()?.as_bytes())
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
/// Whichever comes first.
fn sooner(
    one: Option<(Instant, Ending)>,
    other: Option<(Instant, Ending)>,
) -> Option<(Instant, Ending)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (one, other) => one.or(other),
    }
}
