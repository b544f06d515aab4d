//! Toward the target: which one, over what connection, with which head.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorSource, ErrorType, OrErr, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::exchange::Exchange;
use super::{fallback, tunnel};
use crate::peer::{Authorities, peer, unshared_key};
use crate::pool::{Failure, Lease};
use crate::record::{Cause, Upstream};

/// A head of fewer bytes leaves at once: the system holds 16 KiB and more for a connection, and all before it has been sent.
const SMALL: u64 = 4096;

impl Exchange {
    /// The next target to try, as pingora wants it.
    pub(super) fn next_target(&mut self, authorities: &Authorities) -> Result<Box<HttpPeer>> {
        let now = Instant::now();
        if self.is_overdue() {
            return Err(self.end(Cause::RequestTimeout));
        }
        let picked = match self.journey.as_mut() {
            Some(journey) => journey.next(self.hold.pools(), now),
            None => Err(Cause::Internal),
        };
        let lease = picked.map_err(|cause| self.end(cause))?;
        let grpc = self.arrival.as_ref().is_some_and(|arrival| arrival.grpc);
        if grpc && !self.speaks_http2() {
            return Err(self.end(Cause::VersionMismatch));
        }
        let address = lease.address();
        self.cause = None;
        self.bind(&lease);
        self.lease = Some(lease);
        self.upstream = Some(Upstream {
            address,
            connect: None,
            ttfb: None,
            status: None,
        });
        self.connecting = Some(now);
        self.gate = self.switches().then(Arc::default);
        self.peer(address, authorities)
    }

    /// No connection: nothing was sent, so any request may try another target.
    pub(super) fn connect_failed(&mut self, mut error: Box<Error>) -> Box<Error> {
        let (cause, failure) = match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => {
                (Cause::ConnectTimeout, Failure::Timeout)
            }
            ErrorType::ConnectRefused => (Cause::ConnectFailed, Failure::Refused),
            _ => (Cause::ConnectFailed, Failure::Connect),
        };
        self.cause = Some(cause);
        let (Some(lease), Some(journey)) = (self.lease.take(), self.journey.as_mut()) else {
            return error;
        };
        let pool = self.hold.pool(journey.serving());
        pool.failed(&lease, failure);
        journey.connect_failed(lease.address(), cause);
        // Whether there is another try is asked of the journey, which may go on in another pool.
        error.set_retry(true);
        error
    }

    pub(super) fn connected(&mut self, reused: bool, _digest: Option<&Digest>) {
        if let (Some(upstream), Some(connecting), false) =
            (self.upstream.as_mut(), self.connecting, reused)
        {
            upstream.connect = Some(connecting.elapsed());
        }
    }

    /// Counts the body, bounds it, and passes it on.
    pub(super) fn pass_request_body(
        &mut self,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
    ) -> Result<()> {
        self.mirror_body(body.as_ref(), end_of_stream);
        if let Some(bytes) = body {
            self.body_received += bytes.len() as u64;
            // An empty last part would end a chunked body twice (cloudflare/pingora#935).
            if end_of_stream && bytes.is_empty() {
                *body = None;
            }
        }
        let most = self.hold.snapshot().structure.server.limits.request_body.0;
        if most > 0 && self.body_received > most {
            return Err(self.end(Cause::BodyTooLarge));
        }
        Ok(())
    }

    /// Takes in the head of the target's answer, before anything of it is passed on.
    pub(super) fn take_response(
        &mut self,
        session: &mut Session,
        response: &mut ResponseHeader,
    ) -> Result<()> {
        let switch = response.status == StatusCode::SWITCHING_PROTOCOLS;
        if switch && self.gate.is_none() {
            return Err(self.end(Cause::BadResponse));
        }
        if response.status.is_informational() && !switch {
            return Ok(());
        }
        let size: usize = response
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if size as u64
            > self
                .hold
                .snapshot()
                .structure
                .server
                .limits
                .response_headers
                .0
        {
            return Err(self.end(Cause::BadResponse));
        }
        let status = response.status.as_u16();
        if let Some(upstream) = self.upstream.as_mut() {
            upstream.status = Some(status);
            upstream.ttfb = self.sent.map(|sent| sent.elapsed());
        }
        if let Some(journey) = self.journey.as_mut() {
            journey.answered();
            if let Some(lease) = &self.lease {
                let pool = self.hold.pool(journey.serving());
                pool.succeeded(lease, status);
            }
        }
        if response.status == StatusCode::NOT_FOUND && self.falls_back(session) {
            return Err(fallback::error());
        }
        remove_nominated(response);
        self.mirror_answer(response);
        Ok(())
    }

    /// Whether the time for the whole request is over.
    pub(super) fn is_overdue(&self) -> bool {
        /// pingora's timers are no finer, so a wait that was bounded by what was left may end as much earlier.
        const GRAIN: Duration = Duration::from_millis(10);
        self.left().is_some_and(|left| left < GRAIN)
    }

    fn left(&self) -> Option<Duration> {
        self.arrival.as_ref()?.wire.left()
    }

    /// The request is with the target of `lease`, and has the time that its pool lets it have.
    fn bind(&self, lease: &Lease) {
        if let (Some(arrival), Some(journey)) = (&self.arrival, &self.journey) {
            let pool = self.hold.snapshot().pool(journey.serving());
            arrival.wire.serve(lease.target());
            arrival.wire.limit_whole(pool.settings.request_timeout.0);
        }
    }

    /// Ends the request for `cause`; the error carries it through pingora.
    pub(super) fn end(&mut self, cause: Cause) -> Box<Error> {
        self.cause = Some(cause);
        let mut error = Error::explain(ErrorType::HTTPStatus(cause.status()), cause.as_str());
        error.esource = ErrorSource::Internal;
        error
    }

    fn peer(&self, address: SocketAddr, authorities: &Authorities) -> Result<Box<HttpPeer>> {
        let snapshot = self.hold.snapshot();
        let Some(journey) = &self.journey else {
            return Error::e_explain(ErrorType::InternalError, "no pool was chosen");
        };
        let pool = snapshot.pool(journey.serving());
        let mut peer = peer(pool, address, || self.host_for_target());
        if let Some(path) = pool.settings.tls.as_ref().and_then(|tls| tls.ca.as_deref()) {
            let certificates = authorities.of(path, &snapshot.structure);
            peer.options.ca = Some(certificates.or_err(ErrorType::InvalidCert, "pools.*.tls.ca")?);
        }
        if self.wire_times() {
            peer.options.read_timeout = None;
            if self.fits_a_buffer() {
                peer.options.write_timeout = None;
            }
        }
        if let Some(left) = self.left() {
            bound(&mut peer, left);
        }
        if let Some(gate) = &self.gate {
            tunnel::carry(&mut peer, pool, gate);
        } else if self.sent.is_some() {
            // A retry after a kept connection had died takes a new one.
            peer.group_key = unshared_key();
        }
        if self.is_alone() {
            // Whatever a target reads into it, no other request comes after it.
            peer.options.idle_timeout = Some(Duration::ZERO);
            peer.group_key = unshared_key();
        }
        Ok(peer)
    }

    /// Whether what is sent is small enough to be taken by the system at once, so that nobody can wait for it.
    fn fits_a_buffer(&self) -> bool {
        let arrival = self.arrival.as_ref();
        arrival.is_some_and(|arrival| arrival.wire.received() < SMALL)
    }

    /// Whether nothing else may share the request's connection to its target.
    fn is_alone(&self) -> bool {
        let arrival = self.arrival.as_ref();
        arrival.is_some_and(|arrival| arrival.wire.is_alone())
    }

    /// Whether the target is asked to switch protocols; one that is spoken to by HTTP/2 cannot.
    fn switches(&self) -> bool {
        let asks = self.arrival.as_ref().is_some_and(|arrival| arrival.upgrade);
        asks && !self.speaks_http2()
    }

    fn speaks_http2(&self) -> bool {
        self.journey.as_ref().is_some_and(|journey| {
            let pool = self.hold.snapshot().pool(journey.serving());
            pool.settings.http2
        })
    }
}

/// No wait for the target is longer than what is left of the request's time. The wire sees to the rest of it.
fn bound(peer: &mut HttpPeer, left: Duration) {
    let options = &mut peer.options;
    for timeout in [
        &mut options.connection_timeout,
        &mut options.total_connection_timeout,
        &mut options.read_timeout,
        &mut options.write_timeout,
    ] {
        *timeout = timeout.map(|timeout| timeout.min(left));
    }
}

/// Fields that `Connection` names are for the next hop only, which is us (RFC 9110 section 7.6.1).
fn remove_nominated(response: &mut ResponseHeader) {
    if !response.headers.contains_key(header::CONNECTION) {
        return;
    }
    let lines = response.headers.get_all(header::CONNECTION).iter();
    let names: Vec<HeaderName> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !matches!(name.as_str(), "close" | "keep-alive" | "upgrade"))
        .collect();
    for name in names {
        response.remove_header(&name);
    }
}
