//! A client connection as pingora sees it: one request at a time, of which every byte has been let through by us.
//!
//! Between requests the connection belongs to `serve`, which reads and checks the next head. Only then pingora gets the
//! connection, and reads that head and the body that belongs to it, never a byte of the request after it. So a
//! pipelined request waits its turn instead of spoiling the one before, an idle connection holds no buffer,
//! and a head that is refused has never been seen by anyone else.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::ending::Ending;
use super::gauge::Open;
use super::linger::linger;
use super::socket::Socket;
use super::wire::Wire;
use crate::hygiene::{Body, Framing};

/// Writes below this many bytes wait for more, so that a head and a small body leave in one system call.
const GATHER: usize = 4096;
/// Bytes of a next request kept while the one before is served.
const READ_AHEAD: usize = 16 * 1024;

/// A client connection.
#[derive(Debug)]
pub struct Connection {
    /// `None` once the rest of a body is being read away by `linger`.
    socket: Option<Socket>,
    wire: Arc<Wire>,
    inbound: BytesMut,
    allowed: Allowed,
    outbound: BytesMut,
    timer: Option<Pin<Box<Sleep>>>,
    last_byte: Instant,
    /// Since when the client has not taken what is sent to it.
    stalled: Option<Instant>,
    open: Option<Open>,
}

/// What of the bytes that arrive belongs to the request in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    /// The next so many.
    Bytes(u64),
    /// All: the body ends by itself, or the target switched protocols.
    All,
}

impl Connection {
    pub(super) fn new(socket: Socket, wire: Arc<Wire>, open: Open) -> Self {
        Self {
            socket: Some(socket),
            wire,
            inbound: BytesMut::new(),
            allowed: Allowed::Bytes(0),
            outbound: BytesMut::new(),
            timer: None,
            last_byte: Instant::now(),
            stalled: None,
            open: Some(open),
        }
    }

    /// What everyone may know of this connection.
    pub fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// Bytes read and not yet let through: between requests, the start of the next one.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.inbound
    }

    /// Waits for bytes and reads them; 0 when the client closed. Holds no buffer while it waits for a first byte.
    ///
    /// Giving up the wait loses nothing.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        if self.inbound.is_empty() {
            give_spare(std::mem::take(&mut self.outbound));
        }
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        socket.fill(&mut self.inbound).await
    }

    /// The first byte of a request came at `now`.
    pub(super) fn start_request(&mut self, now: Instant) {
        self.wire.start_request(now.into_std());
        self.last_byte = now;
    }

    /// Drops empty lines in front of a request line (RFC 9112 section 2.2).
    pub(super) fn skip_empty_lines(&mut self) {
        while self.inbound.starts_with(b"\r\n") {
            self.inbound.advance(2);
        }
    }

    /// Hands out a checked head of `length` bytes, and lets the body through that `framing` says belongs to it.
    pub(super) fn admit(&mut self, length: usize, framing: Framing) -> BytesMut {
        self.allowed = match framing.body {
            Body::Chunked => Allowed::All,
            Body::Length(body) => Allowed::Bytes(body),
        };
        self.wire.add_received(length);
        self.wire.set_bodiless(self.allowed == Allowed::Bytes(0));
        if length == self.inbound.len() {
            return std::mem::take(&mut self.inbound);
        }
        self.inbound.split_to(length)
    }

    /// The connection as bytes and nothing else: whoever gets it reads all of them, what is waiting first.
    /// It counts as open until the second part is dropped.
    pub(super) fn into_bytes(mut self) -> (Self, Option<Open>) {
        self.allowed = Allowed::All;
        let open = self.open.take();
        (self, open)
    }

    /// Sends an answer of ours to a head that goes no further, and closes once the client had time to read it.
    pub(super) async fn answer(mut self, answer: &[u8]) {
        self.allowed = Allowed::All;
        self.wire.add_received(self.inbound.len());
        if let Ok(socket) = self.socket_mut()
            && socket.write_all(answer).await.is_ok()
            && socket.flush().await.is_ok()
        {
            self.wire.add_sent(answer.len());
        }
    }

    fn socket_mut(&mut self) -> io::Result<&mut Socket> {
        self.socket
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn received(&mut self, bytes: usize) {
        self.wire.add_received(bytes);
        if let Allowed::Bytes(left) = &mut self.allowed {
            *left -= bytes as u64;
        }
        self.note_byte();
    }

    /// A byte passed; when, only matters where there is a limit.
    fn note_byte(&mut self) {
        if self.wire.quiet().is_some() {
            self.last_byte = Instant::now();
        }
    }

    fn poll_inbound(&mut self, buffer: &mut ReadBuf<'_>, most: usize) -> usize {
        let length = self.inbound.len().min(most);
        buffer.put_slice(&self.inbound[..length]);
        self.inbound.advance(length);
        length
    }

    fn poll_socket(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(self.socket_mut()?).poll_read(context, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        Poll::Ready(Ok(length))
    }

    /// The request is complete: nothing more is let through, but a client that goes away is noticed.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.inbound.len() < READ_AHEAD {
            // Not zeroed: nearly always there is nothing to read, and it would cost more than to find that out.
            let mut space = [MaybeUninit::uninit(); 2048];
            let mut part = ReadBuf::uninit(&mut space);
            ready!(Pin::new(self.socket_mut()?).poll_read(context, &mut part))?;
            if part.filled().is_empty() {
                // A client that closed its side behind a next request still waits for the answers.
                return if self.inbound.is_empty() {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            self.inbound.extend_from_slice(part.filled());
        }
        Poll::Pending
    }

    /// There is nothing to read: whether the request must end instead.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = self.wire.limit(self.last_byte.into_std());
        self.poll_end_by(context, limit)
    }

    fn poll_end_by(
        &mut self,
        context: &mut Context<'_>,
        limit: Option<(std::time::Instant, Ending)>,
    ) -> Poll<io::Result<()>> {
        if let Some(ending) = self.wire.ordered() {
            return self.end(ending);
        }
        self.poll_limit(context, limit)
    }

    fn poll_limit(
        &mut self,
        context: &mut Context<'_>,
        limit: Option<(std::time::Instant, Ending)>,
    ) -> Poll<io::Result<()>> {
        let Some((deadline, ending)) = limit else {
            return Poll::Pending;
        };
        let deadline = Instant::from(deadline);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return self.end(ending);
            }
            // It stood where an earlier request had left it: to move it for each one would cost more than all of this.
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn end(&self, ending: Ending) -> Poll<io::Result<()>> {
        self.wire.end(ending);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// A client that takes nothing is waited for as long as it may stall, or until the request must end.
    ///
    /// pingora would time each write, which a client that takes it at once pays for, too.
    fn poll_send_or_end(
        &mut self,
        context: &mut Context<'_>,
        more: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut sent = self.poll_send(context, more);
        if more.is_empty() && matches!(sent, Poll::Ready(Ok(_))) {
            let socket = Pin::new(self.socket_mut()?);
            sent = socket.poll_flush(context).map_ok(|()| 0);
        }
        match sent {
            Poll::Pending => ready!(self.poll_unsent(context))?,
            // A part of it does not count: to take a byte at a time is to stall.
            Poll::Ready(Ok(taken)) if taken == more.len() => self.stalled = None,
            Poll::Ready(_) => {}
        }
        sent
    }

    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stalled = *self.stalled.get_or_insert_with(Instant::now);
        let limit = self.wire.limit_unsent(stalled.into_std());
        if self.wire.ended().is_some() {
            self.poll_limit(context, limit)
        } else {
            self.poll_end_by(context, limit)
        }
    }

    /// Writes what was gathered and `more` behind it; how much of `more` went, or 0 when nothing was left to write.
    fn poll_send(&mut self, context: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while !self.outbound.is_empty() || !more.is_empty() {
            let parts = [io::IoSlice::new(&self.outbound), io::IoSlice::new(more)];
            let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            let sent = ready!(Pin::new(socket).poll_write_vectored(context, &parts))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.note_byte();
            let gathered = self.outbound.len();
            self.outbound.advance(sent.min(gathered));
            if sent > gathered {
                return Poll::Ready(Ok(sent - gathered));
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowed == Allowed::Bytes(0) && self.wire.switched() {
            self.allowed = Allowed::All;
        }
        let most = match self.allowed {
            Allowed::Bytes(0) => {
                let ahead = self.poll_ahead(context);
                return if ahead.is_ready() {
                    ahead
                } else {
                    self.poll_end(context)
                };
            }
            Allowed::Bytes(left) => buffer
                .remaining()
                .min(usize::try_from(left).unwrap_or(usize::MAX)),
            Allowed::All => buffer.remaining(),
        };
        let read = if self.inbound.is_empty() {
            self.poll_socket(context, buffer, most)
        } else {
            Poll::Ready(Ok(self.poll_inbound(buffer, most)))
        };
        match read {
            Poll::Ready(Ok(length)) => {
                self.received(length);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_end(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = if self.outbound.len() + bytes.len() <= GATHER {
            if self.outbound.is_empty() {
                // All before it has been taken, the last of a large part as well.
                self.stalled = None;
            }
            if self.outbound.capacity() == 0 {
                self.outbound = take_spare();
            }
            self.outbound.extend_from_slice(bytes);
            bytes.len()
        } else {
            ready!(self.poll_send_or_end(context, bytes))?
        };
        self.wire.add_sent(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // pingora flushes four times a request, three of them with nothing to send.
        if self.outbound.is_empty() && !self.socket_mut()?.holds_back() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send_or_end(context, &[]))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context, &[]))?;
        Pin::new(self.socket_mut()?).poll_shutdown(context)
    }
}

thread_local! {
    /// Room for an answer that the thread's last connection to need it has done with: a client that takes its answer at
    /// once, as nearly all do, leaves it for the next one, and idle connections hold none.
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// Empty, with room for what is gathered.
fn take_spare() -> BytesMut {
    let mut spare = SPARE.take().unwrap_or_default();
    spare.reserve(GATHER);
    spare
}

fn give_spare(mut spare: BytesMut) {
    if spare.capacity() > 0 {
        spare.clear();
        SPARE.set(Some(spare));
    }
}

/// Closing with unread bytes resets the connection, and a reset can overtake our answer: read them away first.
impl Drop for Connection {
    fn drop(&mut self) {
        let unread = self.allowed != Allowed::Bytes(0) || !self.inbound.is_empty();
        let Some(mut socket) = self.socket.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if unread => drop(runtime.spawn(linger(socket))),
            _ => socket.farewell(),
        }
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        // The client may be gone already; there is nobody to tell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.socket.as_ref().map_or(-1, Socket::id)
    }
}

impl Ssl for Connection {}
impl Peek for Connection {}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

/// Addresses are in `Wire`.
impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

#[cfg(test)]
mod tests;
