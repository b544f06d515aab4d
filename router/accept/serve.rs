//! One client connection of HTTP/1.1 from accept to close: head after head, each handed to the proxy when it passed.
//!
//! On a listener that takes HTTP/2 too, the first bytes say which of the two it is.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v1::server::HttpSession;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;

use super::alarm::Alarm;
use super::connection::Connection;
use super::head::{self, Beginning, Next, Patience};
use super::probe::{self, Readiness};
use crate::hygiene;
use crate::proxy::Proxy;
use crate::publish::Published;
use crate::record::Cause;
use crate::refuse::{Refuser, Said};

/// What a connection needs besides itself.
pub(super) struct Service {
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) refuser: Refuser,
    pub(super) leaving: ShutdownWatch,
    pub(super) shutdown: ShutdownWatch,
    pub(super) readiness: Arc<Readiness>,
}

/// Serves `connection` to its end, unless its client begins HTTP/2: then it comes back.
pub(super) async fn open(mut connection: Connection, service: Arc<Service>) -> Option<Connection> {
    match beginning(&mut connection, &service).await {
        Beginning::Nothing => {}
        Beginning::Http1 => serve(connection, service).await,
        Beginning::Http2 => return Some(connection),
        Beginning::Refused(cause) => refuse(connection, &service, cause).await,
    }
    None
}

async fn beginning(connection: &mut Connection, service: &Service) -> Beginning {
    let mut waiting = service.shutdown.clone();
    let waiting = pin!(waiting.wait_for(|stopping| *stopping));
    let timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut patience = Patience::new(timer, Alarm::new(&service.shutdown, waiting));
    let published = service.refuser.publisher().current();
    let timeouts = &published.snapshot.structure.server.timeouts;
    head::beginning(connection, timeouts, &mut patience).await
}

/// Serves `connection` to its end.
pub(super) async fn serve(mut connection: Connection, service: Arc<Service>) {
    connection.wire().carried_here().await;
    let shutdown = &service.shutdown;
    let mut waiting = shutdown.clone();
    let waiting = pin!(waiting.wait_for(|stopping| *stopping));
    let timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut patience = Patience::new(timer, Alarm::new(shutdown, waiting));
    loop {
        let published = next_published(&service).await;
        let server = &published.snapshot.structure.server;
        match head::next(&mut connection, server, &mut patience).await {
            Next::Nothing => return,
            Next::Refused(cause) => {
                return refuse(connection, &service, cause).await;
            }
            Next::Head(..) if probe::is_asked(connection.waiting(), &server.health_path) => {
                let answer = service.readiness.raw(connection.waiting());
                return connection.answer(&answer).await;
            }
            Next::Head(length, passed) => {
                let mut head = connection.admit(length, passed.framing);
                if passed.repair {
                    head = BytesMut::from(&*hygiene::repaired(&head, server));
                }
                match one(connection, head, &service).await {
                    Some(kept) => connection = kept,
                    None => return,
                }
            }
        }
    }
}

/// The snapshot for the next head. A log that may not lose a line holds up the next request, not the ones it has to tell
/// of.
async fn next_published(service: &Service) -> Arc<Published> {
    let publisher = service.refuser.publisher();
    let published = publisher.current();
    if published.snapshot.structure.access_logs.is_empty() {
        return published;
    }
    service.refuser.recorder().ready().await;
    publisher.current()
}

/// Answers what is no request that we serve, and closes.
async fn refuse(connection: Connection, service: &Service, cause: Cause) {
    let said = Said::by_head(connection.waiting());
    let refusal = service.refuser.refusal(connection.wire(), said, cause);
    connection.answer(&refusal.answer()).await;
    service.refuser.record(refusal);
}

/// Has one request served; the connection comes back when it can take another one.
async fn one(connection: Connection, head: BytesMut, service: &Service) -> Option<Connection> {
    let leaving = &service.leaving;
    let wire = Arc::clone(connection.wire());
    let mut session = HttpSession::new(Box::new(connection));
    session.set_pipelined_prefix(head);
    let mut session = ServerSession::H1(session);
    session.set_keepalive(Some(0));
    // While this is true pingora makes each answer the last one of its connection.
    let served = service.proxy.process_new_http(session, leaving).await;
    if !wire.met() {
        // pingora answered 400 to a head that had passed here; it is a request all the same.
        let refusal = service
            .refuser
            .refusal(&wire, Said::default(), Cause::BadRequest);
        service.refuser.record(refusal);
    }
    let (stream, _) = served?.consume();
    stream
        .into_any()
        .downcast()
        .ok()
        .map(|connection| *connection)
}
