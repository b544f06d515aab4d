//! One stream: reading its request, writing its answer, and how long either may take.
//!
//! It decides nothing: what is sent is what it is given, without the fields that HTTP/2 does not have (RFC 9113 section
//! 8.2.2).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, response};
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType, OkOrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::{Instant, Sleep};

use crate::accept::ending::Ending;
use crate::accept::wire::Wire;

/// Bytes of a body that are kept to be sent a second time, as many as on HTTP/1.1.
const KEPT: usize = 64 * 1024;

/// Turns of the proxy in which no part of an answer came, before it gets a further part of the request.
const QUIET_TURNS: u8 = 2;

/// Fields that belong to one connection of HTTP/1.1.
const OF_HTTP_1: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// One stream of a client's connection.
pub(super) struct Stream {
    pub(super) head: RequestHeader,
    pub(super) body: RecvStream,
    pub(super) body_done: bool,
    pub(super) respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
    pub(super) status: Option<ResponseHeader>,
    pub(super) ended: bool,
    wire: Arc<Wire>,
    pub(super) kept: Option<Kept>,
    pub(super) received: usize,
    pub(super) sent: usize,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    last_byte: Instant,
    quiet_turns: u8,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The start of a body, for as long as it is the whole.
pub(super) enum Kept {
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
            quiet_turns: 0,
            timer: None,
        }
    }

    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if self.gives_way() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
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

    /// Whether parts of the answer go first: one turn fetches what the target has sent, another one finds nothing more.
    ///
    /// pingora takes no part of an answer while it sends a part of the request to a target of HTTP/2. A target that
    /// answers while it reads (gRPC in both directions) would then wait for room for its answers, we for room for the
    /// request, and neither would come.
    fn gives_way(&mut self) -> bool {
        // Only for targets of HTTP/2 the wire counts silence.
        if self.quiet_turns == QUIET_TURNS || self.status.is_none() || self.wire.quiet().is_none() {
            return false;
        }
        self.quiet_turns += 1;
        true
    }

    fn received(&mut self, data: &Bytes) {
        self.quiet_turns = 0;
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
    pub(super) fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<Box<Error>> {
        let reset = match &mut self.answer {
            Some(answer) => answer.poll_reset(context),
            None => self.respond.poll_reset(context),
        };
        match reset {
            Poll::Pending => self.poll_patience(context),
            Poll::Ready(_) => Poll::Ready(gone()),
        }
    }

    /// The client does not send what it owes, or the request must end as a whole.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Box<Error>> {
        let body = self.read_timeout.filter(|_| !self.body_done);
        let body = body.map(|limit| self.last_byte + limit);
        let limit = self.wire.limit(self.last_byte.into_std());
        ready!(self.poll_end(context, body, limit));
        let kind = ErrorType::ReadTimedout;
        Poll::Ready(client(kind, "quiet for too long"))
    }

    /// A wait with a deadline of its `own` must end, or the request must as a whole; that is asked until it has come.
    fn poll_end(
        &mut self,
        context: &mut Context<'_>,
        own: Option<Instant>,
        limit: Option<(std::time::Instant, Ending)>,
    ) -> Poll<()> {
        let goes_on = self.wire.ended().is_none();
        if let Some(ending) = self.wire.ordered().filter(|_| goes_on) {
            self.wire.end(ending);
            return Poll::Ready(());
        }
        loop {
            let limit = limit.filter(|_| goes_on);
            let whole = limit.map(|(at, _)| Instant::from(at));
            let Some(deadline) = own.into_iter().chain(whole).min() else {
                return Poll::Pending;
            };
            ready!(self.poll_timer(context, deadline));
            if Instant::now() < deadline {
                continue;
            }
            let is_own = own.is_some_and(|own| own <= deadline);
            if let Some((_, ending)) = limit.filter(|_| !is_own) {
                self.wire.end(ending);
            }
            return Poll::Ready(());
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

    pub(super) async fn send(&mut self, mut data: Bytes, end: bool) -> Result<()> {
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
            Poll::Ready(_) => Poll::Ready(Err(gone())),
            Poll::Pending => {
                let own = self.write_timeout.map(|limit| began + limit);
                // How quiet the client is meanwhile is its own silence, not the target's.
                let whole = self.wire.whole();
                ready!(self.poll_end(context, own, whole));
                let kind = ErrorType::WriteTimedout;
                Poll::Ready(Err(client(kind, "the client takes nothing")))
            }
        })
        .await
    }

    fn put(&mut self, part: Bytes, end: bool) -> Result<()> {
        let length = part.len();
        if self.writer()?.send_data(part, end).is_err() {
            return Err(gone());
        }
        self.last_byte = Instant::now();
        self.sent += length;
        self.wire.add_sent(length);
        self.note_end(end);
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<()> {
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

    pub(super) fn send_head(&mut self, head: ResponseHeader, end: bool) -> Result<()> {
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
            return Err(gone());
        };
        self.answer = Some(answer);
        self.status = Some(ResponseHeader::build_no_case(status, Some(0))?);
        self.note_end(end);
        Ok(())
    }

    pub(super) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.wire.add_sent(size(&trailers));
        if self.writer()?.send_trailers(trailers).is_err() {
            return Err(gone());
        }
        self.note_end(true);
        Ok(())
    }

    /// A part of the answer; whether it was the last.
    pub(super) async fn send_task(&mut self, task: HttpTask) -> Result<bool> {
        self.quiet_turns = 0;
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
    client(kind, "the body broke off")
}

fn gone() -> Box<Error> {
    client(ErrorType::ConnectionClosed, "the client left the stream")
}

fn client(kind: ErrorType, what: &'static str) -> Box<Error> {
    Error::explain(kind, what).into_down()
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
