//! One request of a connection: its head is checked, and then it goes the way of any.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;

use super::stream::Stream;
use crate::accept::probe;
use crate::accept::serve::Service;
use crate::accept::wire::Wire;
use crate::hygiene::{Refused, http2};
use crate::record::{Cause, Ruling, Traits};
use crate::refuse::{Refusal, Said};

/// Serves the request of one stream; whether its client got a whole answer.
pub(super) async fn serve(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    wire: Arc<Wire>,
    service: Arc<Service>,
) -> bool {
    wire.carried_here().await;
    // A log that may not lose a line holds up this request, not the others of the connection.
    service.refuser.recorder().ready().await;
    let (mut head, body) = request.into_parts();
    wire.add_received(size(&head));
    let published = service.refuser.publisher().current();
    let server = &published.snapshot.structure.server;
    match http2::settle(&mut head, !body.is_end_stream(), server) {
        Ok((traits, ruling)) => {
            if traits != Traits::default() {
                wire.note(traits, ruling);
            }
        }
        Err(refused) => return turn_away(refused, &head, respond, &wire, &service),
    }
    if probe::is_asked_by(&head, &server.health_path) {
        return tell_readiness(respond, &head, service.readiness.answer());
    }
    drop(published);
    head.extensions.insert(Arc::clone(&wire));
    let head = RequestHeader::from(head);
    let stream = Stream::new(head, body, respond, Arc::clone(&wire));
    let session = ServerSession::Custom(Box::new(stream));
    let leaving = &service.leaving;
    service.proxy.process_new_http(session, leaving).await;
    if !wire.met() {
        let refusal = service
            .refuser
            .refusal(&wire, Said::default(), Cause::BadRequest);
        service.refuser.record(refusal);
    }
    wire.answered()
}

/// Answers a check; whether the answer could be sent.
fn tell_readiness(
    mut respond: SendResponse<Bytes>,
    head: &Parts,
    (status, body): (StatusCode, &'static str),
) -> bool {
    let answer = Response::builder()
        .status(status)
        .header(header::SERVER, "kanaria")
        .header(header::CONTENT_TYPE, "text/plain")
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::CACHE_CONTROL, "no-store")
        .body(());
    let is_head = head.method == Method::HEAD;
    let sent = answer
        .ok()
        .and_then(|answer| respond.send_response(answer, is_head).ok());
    sent.is_some_and(|mut rest| is_head || rest.send_data(Bytes::from(body), true).is_ok())
}

/// Refuses the request of `head` and writes it down; whether its client got a whole answer.
fn turn_away(
    refused: Refused,
    head: &Parts,
    respond: SendResponse<Bytes>,
    wire: &Arc<Wire>,
    service: &Service,
) -> bool {
    wire.note(refused.traits, Ruling::Refuse);
    let refusal = service.refuser.refusal(wire, said(head), refused.cause);
    refuse(respond, &refusal, wire);
    service.refuser.record(refusal);
    wire.answered()
}

/// Answers a head that was refused. The client may be gone already; there is nobody to tell.
fn refuse(mut respond: SendResponse<Bytes>, refusal: &Refusal, wire: &Wire) {
    let status = refusal.status().unwrap_or(StatusCode::BAD_REQUEST);
    let page = refusal.page(status);
    let answer = Response::builder()
        .status(status)
        .header(header::SERVER, "kanaria")
        .header(header::CONTENT_TYPE, page.content_type)
        .header(header::CONTENT_LENGTH, page.body.len())
        .header("x-request-id", refusal.request_id())
        .body(());
    let Ok(answer) = answer else { return };
    let length = page.body.len();
    if let Ok(mut body) = respond.send_response(answer, false)
        && body.send_data(Bytes::from(page.body), true).is_ok()
    {
        wire.add_sent(length);
        wire.answer();
    }
}

/// Bytes of a head before compression: of its pseudo-fields and its fields, without what framing adds.
fn size(head: &Parts) -> usize {
    let authority = head
        .uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let fields = head.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    head.method.as_str().len() + authority + target + fields
}

fn said(head: &Parts) -> Said<'_> {
    let named = head.headers.get(header::HOST);
    let authority = head.uri.authority();
    Said {
        protocol: Some("HTTP/2"),
        method: Some(head.method.as_str().as_bytes()),
        host: authority
            .map(|authority| authority.as_str().as_bytes())
            .or_else(|| named.map(http::HeaderValue::as_bytes)),
        target: head
            .uri
            .path_and_query()
            .map(|target| target.as_str().as_bytes()),
        accept: head
            .headers
            .get(header::ACCEPT)
            .map(http::HeaderValue::as_bytes),
    }
}
