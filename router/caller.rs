//! One call to one target that no client waits for: over connections of its own, which requests never share.
//!
//! It bounds nothing but what it reads: whoever calls bounds the time, by dropping the call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config::snapshot::{Pool, Structure};
use http::header::{self, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::Error;
use pingora_http::RequestHeader;

use crate::peer::{Authorities, peer};

/// Connections that no request uses.
pub struct Caller {
    connector: Connector,
    authorities: Authorities,
}

/// What a target is asked.
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Fields; none that belongs to a connection or frames a message.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<Bytes>,
}

/// Who is asked.
#[derive(Clone, Copy)]
pub struct Callee<'a> {
    /// The file that has the pool.
    pub structure: &'a Arc<Structure>,
    /// Its pool.
    pub pool: &'a Pool,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a target answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status, which is not informational, or 101.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// From the call to the head of the answer.
    pub time: Duration,
    /// Whether its body was read to the end.
    pub whole: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection broke, or what came over it is no HTTP.
    #[error("no answer")]
    Broken,
    /// No connection, so nothing was sent.
    #[error("no connection")]
    Unreachable,
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            connector: Connector::new(None),
            authorities: Authorities::default(),
        }
    }
}

impl From<Box<Error>> for CallError {
    fn from(_: Box<Error>) -> Self {
        Self::Broken
    }
}

impl Caller {
    /// Asks `callee`, and shows `take` the parts of the answer's body for as long as it says that it wants more.
    ///
    /// # Errors
    /// When there is no answer, or it breaks off.
    pub async fn call(
        &self,
        call: Call,
        callee: Callee<'_>,
        take: &mut (dyn FnMut(Bytes) -> bool + Send),
    ) -> Result<Answer, CallError> {
        let peer = self.peer(&call, callee)?;
        let begun = Instant::now();
        let session = self.connector.get_http_session(&*peer).await;
        let (mut session, _) = session.map_err(|_| CallError::Unreachable)?;
        send(&mut session, call, scheme(callee.pool)).await?;
        loop {
            session.read_response_header().await?;
            let status = session.response_header().map(|head| head.status);
            let status = status.ok_or(CallError::Broken)?;
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                break;
            }
        }
        let time = begun.elapsed();
        let head = session.response_header().ok_or(CallError::Broken)?;
        let (status, headers) = (head.status, head.headers.clone());
        let switched = status == StatusCode::SWITCHING_PROTOCOLS;
        let whole = !switched && read(&mut session, take).await?;
        if whole {
            let idle = peer.options.idle_timeout;
            self.connector
                .release_http_session(session, &*peer, idle)
                .await;
        }
        Ok(Answer {
            status,
            headers,
            time,
            whole,
        })
    }

    fn peer(&self, call: &Call, callee: Callee<'_>) -> Result<Box<HttpPeer>, CallError> {
        let host = || {
            let host = call.headers.get(header::HOST);
            host.and_then(|host| host.to_str().ok()).unwrap_or_default()
        };
        let mut peer = peer(callee.pool, callee.address, host);
        let tls = callee.pool.settings.tls.as_ref();
        if let Some(path) = tls.and_then(|tls| tls.ca.as_deref()) {
            let certificates = self.authorities.of(path, callee.structure);
            peer.options.ca = Some(certificates.map_err(|_| CallError::Unreachable)?);
        }
        // One deadline is over all of it, and is the caller's.
        peer.options.read_timeout = None;
        peer.options.write_timeout = None;
        Ok(peer)
    }
}

/// What the address in a head of HTTP/2 begins with, as the proxy has it; `None` for HTTP/1.1, where it has none.
fn scheme(pool: &Pool) -> Option<Scheme> {
    let tls = pool.settings.tls.is_some();
    let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
    pool.settings.http2.then_some(scheme)
}

async fn send(
    session: &mut HttpSession,
    call: Call,
    scheme: Option<Scheme>,
) -> Result<(), CallError> {
    let size: usize = call.body.iter().map(Bytes::len).sum();
    let (mut parts, ()) = http::Request::new(()).into_parts();
    (parts.method, parts.uri, parts.headers) = (call.method, call.uri, call.headers);
    if size > 0 || !parts.method.is_safe() {
        let length = HeaderValue::from(size);
        parts.headers.insert(header::CONTENT_LENGTH, length);
    }
    if let Some(scheme) = scheme {
        parts.version = Version::HTTP_2;
        let host = parts.headers.remove(header::HOST);
        parts.uri = absolute(parts.uri, scheme, host.as_ref())?;
    }
    let head = Box::new(RequestHeader::from(parts));
    session.write_request_header(head).await?;
    for part in call.body {
        session.write_request_body(part, false).await?;
    }
    session.finish_request_body().await?;
    Ok(())
}

/// HTTP/2 has the host in the address (RFC 9113 section 8.3.1).
fn absolute(uri: Uri, scheme: Scheme, host: Option<&HeaderValue>) -> Result<Uri, CallError> {
    let mut parts = uri.into_parts();
    let authority = host.map(HeaderValue::as_bytes).unwrap_or_default();
    parts.authority = Some(Authority::try_from(authority).map_err(|_| CallError::Broken)?);
    parts.scheme = Some(scheme);
    Uri::from_parts(parts).map_err(|_| CallError::Broken)
}

/// Whether the body was read to its end.
async fn read(
    session: &mut HttpSession,
    take: &mut (dyn FnMut(Bytes) -> bool + Send),
) -> Result<bool, CallError> {
    while let Some(part) = session.read_response_body().await? {
        if !take(part) {
            return Ok(false);
        }
    }
    Ok(true)
}
