//! Reading the next head of a connection: within the idle time until its first byte, within the header time to its last.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use config::model::{Limits, Server, Timeouts};
use tokio::time::{Instant, Sleep, timeout_at};

use super::alarm::Alarm;
use super::connection::Connection;
use crate::hygiene::{self, Passed, Refused};
use crate::record::{Cause, Desync, Ruling, Traits};

/// What came next on a connection.
pub(super) enum Next {
    /// Nothing: the client closed, was idle for too long, or we are shutting down.
    Nothing,
    /// A head that passed, of so many bytes.
    Head(usize, Passed),
    /// A head, or the start of one, that will not be served.
    Refused(Cause),
}

/// What ends the wait for a next request. It lives as long as its connection: to begin and to end these two for each
/// request costs more than to check its head.
pub(super) struct Patience<'a, S> {
    timer: Pin<&'a mut Sleep>,
    stopping: Alarm<'a, S>,
}

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a new connection begins with.
pub(super) enum Beginning {
    /// Nothing came in time.
    Nothing,
    /// Something else than HTTP/2.
    Http1,
    /// The preface of HTTP/2.
    Http2,
    /// A part of the preface, and then nothing.
    Refused(Cause),
}

/// Waits until `connection` has shown what it speaks: no byte of HTTP/1.1 waits for one that may not come.
pub(super) async fn beginning<S: Future>(
    connection: &mut Connection,
    timeouts: &Timeouts,
    patience: &mut Patience<'_, S>,
) -> Beginning {
    if !patience.first_byte(connection, timeouts.idle.0).await {
        return Beginning::Nothing;
    }
    let begin = Instant::now();
    loop {
        let waiting = connection.waiting();
        let length = waiting.len().min(PREFACE.len());
        if waiting[..length] != PREFACE[..length] {
            return Beginning::Http1;
        }
        if length == PREFACE.len() {
            return Beginning::Http2;
        }
        let cause = match timeout_at(begin + timeouts.header.0, connection.fill()).await {
            Ok(Ok(1..)) => continue,
            Ok(_) => Cause::ClientClosed,
            Err(_) => Cause::HeaderTimeout,
        };
        connection.start_request(begin);
        return Beginning::Refused(cause);
    }
}

/// Waits for the next request of `connection` and checks its head.
pub(super) async fn next<S: Future>(
    connection: &mut Connection,
    server: &Server,
    patience: &mut Patience<'_, S>,
) -> Next {
    let timeouts = &server.timeouts;
    if connection.waiting().is_empty() && !patience.first_byte(connection, timeouts.idle.0).await {
        return Next::Nothing;
    }
    let begin = Instant::now();
    connection.start_request(begin);
    if let Some(next) = arrived(connection, server, 0) {
        return next;
    }
    match timeout_at(begin + timeouts.header.0, rest(connection, server)).await {
        Ok(next) => next,
        Err(_) => Next::Refused(Cause::HeaderTimeout),
    }
}

impl<'a, S: Future> Patience<'a, S> {
    pub(super) const fn new(timer: Pin<&'a mut Sleep>, stopping: Alarm<'a, S>) -> Self {
        Self { timer, stopping }
    }

    /// Whether a byte came in time; one that comes while we shut down is not read.
    async fn first_byte(&mut self, connection: &mut Connection, idle: Duration) -> bool {
        let deadline = Instant::now() + idle;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        let mut filled = pin!(connection.fill());
        poll_fn(|context| {
            if self.stopping.rang(context) {
                return Poll::Ready(false);
            }
            if let Poll::Ready(filled) = filled.as_mut().poll(context) {
                return Poll::Ready(matches!(filled, Ok(1..)));
            }
            while self.timer.as_mut().poll(context).is_ready() {
                if Instant::now() >= deadline {
                    return Poll::Ready(false);
                }
                // It stood where an earlier wait had left it: a busy connection moves it once in an idle time.
                self.timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

/// Reads on until a head is complete, or never can be.
async fn rest(connection: &mut Connection, server: &Server) -> Next {
    loop {
        // The last two bytes may be the start of the empty line.
        let searched = connection.waiting().len().saturating_sub(2);
        if !matches!(connection.fill().await, Ok(1..)) {
            return Next::Refused(Cause::ClientClosed);
        }
        if let Some(next) = arrived(connection, server, searched) {
            return next;
        }
    }
}

/// What has arrived, when that can be said; the first `searched` bytes are known to hold no end of a head.
fn arrived(connection: &mut Connection, server: &Server, searched: usize) -> Option<Next> {
    connection.skip_empty_lines();
    let bytes = connection.waiting();
    let Some(end) = hygiene::end_of_head(bytes, searched) else {
        return hopeless(bytes, &server.limits).map(|refused| refuse(connection, refused));
    };
    Some(match hygiene::check(&bytes[..end], server) {
        Ok(passed) => {
            if passed.traits != Traits::default() {
                connection.wire().note(passed.traits, passed.ruling);
            }
            Next::Head(end, passed)
        }
        Err(refused) => refuse(connection, refused),
    })
}

fn refuse(connection: &Connection, refused: Refused) -> Next {
    connection.wire().note(refused.traits, Ruling::Refuse);
    Next::Refused(refused.cause)
}

/// Why this start can never become a head that is served; no need to wait for the rest.
fn hopeless(bytes: &[u8], limits: &Limits) -> Option<Refused> {
    let line = memchr::memchr(b'\n', bytes);
    match bytes.first() {
        Some(first) if !first.is_ascii_uppercase() && *first != b'\r' => {
            Some(Desync::BadMethod.into())
        }
        _ if line.unwrap_or(bytes.len()) as u64 > limits.request_line.0 + 2 => {
            Some(Cause::UriTooLong.into())
        }
        _ if bytes.len() as u64 > limits.request_line.0 + limits.headers.0 => {
            Some(Cause::HeaderTooLarge.into())
        }
        _ => None,
    }
}
