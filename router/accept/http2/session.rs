//! A stream of HTTP/2 as pingora sees it.
//!
//! pingora's own session of this kind has no deadline for a request's body, drops 1xx answers, and cannot be told which
//! connection it belongs to; so this is one of ours, over the same streams. It decides nothing: what is sent is what
//! pingora hands over, without the fields that HTTP/2 does not have (RFC 9113 section 8.2.2).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_core::Stream as FutureStream;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, response};
use pingora_core::protocols::Digest;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::{Instant, Sleep};

use crate::accept::wire::Wire;

/// Bytes of a body that are kept to be sent a second time, as many as on HTTP/1.1.
const KEPT: usize = 64 * 1024;

/// Fields that belong to one connection of HTTP/1.1.
const OF_HTTP_1: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Messages beside a request, which HTTP/2 does not have.
type Messages = Box<dyn FutureStream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

/// One stream of a client's connection.
pub(super) struct Stream {
    head: RequestHeader,
    body: RecvStream,
    body_done: bool,
    respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
    status: Option<ResponseHeader>,
    ended: bool,
    wire: Arc<Wire>,
    kept: Option<Kept>,
    received: usize,
    sent: usize,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    last_byte: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The start of a body, for as long as it is the whole.
enum Kept {
    Whole(BytesMut),
    TooLong,
}

impl Stream {
    pub(super) fn new(
        head: RequestHeader,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        wire: Arc<Wire>,
    ) -> Self {
        Self {
            head,
            body_done: body.is_end_stream(),
            body,
            respond,
            answer: None,
            status: None,
            ended: false,
            wire,
            kept: None,
            received: 0,
            sent: 0,
            read_timeout: None,
            write_timeout: None,
            last_byte: Instant::now(),
            timer: None,
        }
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let Poll::Ready(data) = self.body.poll_data(context) else {
            return self.poll_patience(context).map(Err);
        };
        let data = data.transpose().map_err(|error| unreadable(&error))?;
        self.last_byte = Instant::now();
        match &data {
            Some(data) => self.received(data),
            None => self.body_done = true,
        }
        Poll::Ready(Ok(data))
    }

    fn received(&mut self, data: &Bytes) {
        self.received += data.len();
        self.wire.add_received(data.len());
        if let Some(Kept::Whole(kept)) = &mut self.kept {
            if kept.len() + data.len() <= KEPT {
                kept.extend_from_slice(data);
            } else {
                self.kept = Some(Kept::TooLong);
            }
        }
        // Who has ended the stream meanwhile has no use for room.
        let _ = self.body.flow_control().release_capacity(data.len());
    }

    /// The client resets the stream, or the connection ends.
    fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<Box<Error>> {
        let reset = match &mut self.answer {
            Some(answer) => answer.poll_reset(context),
            None => self.respond.poll_reset(context),
        };
        match reset {
            Poll::Pending => self.poll_patience(context),
            Poll::Ready(_) => Poll::Ready(Error::explain(
                ErrorType::ConnectionClosed,
                "the client left the stream",
            )),
        }
    }

    /// The client does not send what it owes, or both sides have been quiet for as long as they may.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Box<Error>> {
        loop {
            let body = self.read_timeout.filter(|_| !self.body_done);
            let body = body.map(|limit| self.last_byte + limit);
            let quiet = self.wire.quiet();
            let quiet = quiet.map(|(from, limit)| self.last_byte.max(from.into()) + limit);
            let Some(deadline) = body.into_iter().chain(quiet).min() else {
                return Poll::Pending;
            };
            ready!(self.poll_timer(context, deadline));
            if Instant::now() < deadline {
                continue;
            }
            if body.is_none_or(|body| body > deadline) {
                self.wire.expire();
            }
            return Poll::Ready(Error::explain(
                ErrorType::ReadTimedout,
                "the stream was quiet for too long",
            ));
        }
    }

    /// Moves the timer only when it would ring too late: a busy stream moves it once in a while.
    fn poll_timer(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    }

    async fn send(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        while !data.is_empty() {
            let room = self.room(data.len()).await?;
            let part = data.split_to(room.min(data.len()));
            self.put(part, end && data.is_empty())?;
        }
        if end { self.end() } else { Ok(()) }
    }

    /// Waits until at least one byte of `wanted` may be sent.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        let began = Instant::now();
        self.writer()?.reserve_capacity(wanted);
        poll_fn(|context| match self.writer()?.poll_capacity(context) {
            Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room)),
            Poll::Ready(_) => Poll::Ready(gone()),
            Poll::Pending => {
                let Some(limit) = self.write_timeout else {
                    return Poll::Pending;
                };
                let deadline = began + limit;
                while self.poll_timer(context, deadline).is_ready() {
                    if Instant::now() >= deadline {
                        return Poll::Ready(Error::e_explain(
                            ErrorType::WriteTimedout,
                            "the client takes nothing",
                        ));
                    }
                }
                Poll::Pending
            }
        })
        .await
    }

    fn put(&mut self, part: Bytes, end: bool) -> Result<()> {
        let length = part.len();
        if self.writer()?.send_data(part, end).is_err() {
            return gone();
        }
        self.last_byte = Instant::now();
        self.sent += length;
        self.wire.add_sent(length);
        self.note_end(end);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.ended || self.answer.is_none() {
            return Ok(());
        }
        self.put(Bytes::new(), true)
    }

    fn writer(&mut self) -> Result<&mut SendStream<Bytes>> {
        self.answer
            .as_mut()
            .or_err(ErrorType::InternalError, "a body before its head")
    }

    fn note_end(&mut self, end: bool) {
        if end {
            self.ended = true;
            self.wire.answer();
        }
    }

    fn send_head(&mut self, head: ResponseHeader, end: bool) -> Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        let status = head.status;
        let mut parts = response::Parts::from(head);
        for name in OF_HTTP_1 {
            parts.headers.remove(name);
        }
        self.wire.add_sent(size(&parts.headers));
        self.last_byte = Instant::now();
        if status.is_informational() {
            // One that cannot be passed on is not missed.
            let _ = self
                .respond
                .send_informational(Response::from_parts(parts, ()));
            return Ok(());
        }
        parts.headers.entry(header::DATE).or_insert_with(date);
        let Ok(answer) = self
            .respond
            .send_response(Response::from_parts(parts, ()), end)
        else {
            return gone();
        };
        self.answer = Some(answer);
        self.status = Some(ResponseHeader::build_no_case(status, Some(0))?);
        self.note_end(end);
        Ok(())
    }

    fn send_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.wire.add_sent(size(&trailers));
        if self.writer()?.send_trailers(trailers).is_err() {
            return gone();
        }
        self.note_end(true);
        Ok(())
    }

    /// A part of the answer; whether it was the last.
    async fn send_task(&mut self, task: HttpTask) -> Result<bool> {
        match task {
            HttpTask::Header(head, end) => {
                self.send_head(*head, end)?;
                Ok(end)
            }
            HttpTask::Body(data, end) => {
                self.send(data.unwrap_or_default(), end).await?;
                Ok(end)
            }
            HttpTask::Trailer(trailers) => {
                if let Some(trailers) = trailers {
                    self.send_trailers(*trailers)?;
                }
                Ok(true)
            }
            HttpTask::Done => Ok(true),
            HttpTask::Failed(error) => Err(error),
            HttpTask::UpgradedBody(..) => Error::e_explain(
                ErrorType::InternalError,
                "an upgraded body on a stream of HTTP/2",
            ),
        }
    }
}

/// An answer that ends too early must not look whole.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        match &mut self.answer {
            Some(answer) => answer.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

/// What breaks HTTP/2's own rules (a body of another length than announced) has been refused by `h2`, the rest is a client
/// that left.
fn unreadable(error: &h2::Error) -> Box<Error> {
    let kind = if error.is_library() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
        ErrorType::InvalidHTTPHeader
    } else {
        ErrorType::ConnectionClosed
    };
    Error::explain(kind, error.to_string())
}

fn gone<T>() -> Result<T> {
    Error::e_explain(ErrorType::ConnectionClosed, "the client left the stream")
}

fn size(fields: &HeaderMap) -> usize {
    let sizes = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    sizes.sum()
}

fn date() -> HeaderValue {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    HeaderValue::try_from(now).expect("a date is a header value")
}

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|context| self.poll_body(context)).await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        while !self.is_body_done() && self.read_body_bytes().await?.is_some() {}
        Ok(())
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.send_head(*head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.send_head(head.clone(), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.send(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.send_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut last = false;
        for task in tasks {
            last |= self.send_task(task).await.map_err(Error::into_down_unless_set)?;
        }
        if last {
            self.end()?;
        }
        Ok(last)
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.read_timeout
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    /// A stream is never used twice, so no body has to be drained.
    fn set_total_drain_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.status.as_ref()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        if !self.ended {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }

    fn is_body_done(&mut self) -> bool {
        self.body_done = self.body_done || self.body.is_end_stream();
        self.body_done
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    fn is_body_empty(&mut self) -> bool {
        self.received == 0 && self.is_body_done()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            poll_fn(|context| self.poll_reset(context).map(Err)).await
        } else {
            self.read_body_bytes().await
        }
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.received
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    /// Addresses are in `Wire`.
    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    /// Only requests that pingora makes of others need this.
    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept
            .get_or_insert_with(|| Kept::Whole(BytesMut::new()));
    }

    fn retry_buffer_truncated(&self) -> bool {
        matches!(self.kept, Some(Kept::TooLong))
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match &self.kept {
            Some(Kept::Whole(kept)) if !kept.is_empty() => Some(kept.clone().freeze()),
            _ => None,
        }
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Messages> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: Messages) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(
        &mut self,
        _writer: Box<dyn CustomMessageWrite>,
    ) -> Result<()> {
        Ok(())
    }
}
