//! The pingora adapter: what happens to a request, in order. Each phase is told in one place and decided elsewhere.

mod answer;
mod arrive;
mod cookies;
mod exchange;
mod failure;
mod fallback;
mod head;
mod mirror;
mod rules;
mod trace;
mod tunnel;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

pub use exchange::Exchange;

use crate::clients::Clients;
use crate::peer::Authorities;
use crate::publish::Publisher;
use crate::record::{Cause, Recorder};

/// Serves requests by the snapshots of `publisher`, and writes each one down.
pub struct Proxy {
    publisher: Arc<Publisher>,
    recorder: Arc<Recorder>,
    authorities: Authorities,
    clients: Arc<Clients>,
}

impl Proxy {
    /// A proxy by `publisher`'s snapshots that writes to `recorder` and counts the requests of `clients`.
    pub fn new(publisher: Arc<Publisher>, recorder: Arc<Recorder>, clients: Arc<Clients>) -> Self {
        Self {
            publisher,
            recorder,
            authorities: Authorities::default(),
            clients,
        }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: pingora moves it through a dozen futures.
    type CTX = Box<Exchange>;

    fn new_ctx(&self) -> Box<Exchange> {
        Box::new(Exchange::new(
            self.publisher.hold(),
            Arc::clone(&self.recorder),
        ))
    }

    /// None: the compression that pingora puts here by default would be asked for each part of each answer.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.arrive(session)
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> Result<bool> {
        if exchange.is_over_limit(&self.clients) {
            exchange.refuse(session, Cause::TooManyRequests).await?;
            return Ok(true);
        }
        exchange.decide(session);
        if exchange.forwards() {
            return Ok(false);
        }
        exchange.answer(session).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> Result<Box<HttpPeer>> {
        exchange.next_target(&self.authorities)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Box<Exchange>,
        error: Box<Error>,
    ) -> Box<Error> {
        exchange.connect_failed(error)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        digest: Option<&Digest>,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.connected(reused, digest);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.stamp_request(request)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.pass_request_body(body, end_of_stream)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.take_response(session, response)
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        exchange: &mut Box<Exchange>,
    ) -> Result<Option<Duration>> {
        exchange.mirror_answer_body(body.as_ref(), end_of_stream);
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.stamp_response(session, response)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        exchange: &mut Box<Exchange>,
        reused: bool,
    ) -> Box<Error> {
        exchange.broke(session, error, reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Box<Exchange>,
    ) -> FailToProxy {
        exchange.fail(session, error).await
    }

    async fn logging(
        &self,
        session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Box<Exchange>,
    ) {
        exchange.finish(
            session
                .response_written()
                .map(|response| response.status.as_u16()),
        );
    }

    /// Every request has its line in the access log; a second one in the error log says less.
    fn suppress_error_log(
        &self,
        _session: &Session,
        _exchange: &Box<Exchange>,
        _error: &Error,
    ) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Box<Exchange>,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
