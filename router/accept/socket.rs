//! The client's socket, in clear text or with TLS over it.
//!
//! An enum and no trait: which of the two it is costs a branch that is always taken alike, and neither a call through a
//! table nor a second copy of everything above it.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes read in one go; a usual head fits.
const ROOM: usize = 4096;

/// A client's socket.
#[derive(Debug)]
pub(super) enum Socket {
    /// Clear text.
    Plain(TcpStream),
    /// TLS, once hands are shaken.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Waits for bytes and puts them, at most `ROOM`, behind those in `buffer`; 0 when the client closed. An empty buffer has
    /// no memory while it waits, and later as much as there was to read.
    pub(super) async fn fill(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.is_empty() {
            *buffer = BytesMut::new();
        }
        match self {
            Self::Plain(socket) => read_from(socket, buffer).await,
            Self::Tls(stream) => fill_from(stream, buffer).await,
        }
    }

    /// Tells a client that no more bytes come, as far as that can be done at once; without TLS closing says it.
    pub(super) fn farewell(&mut self) {
        let Self::Tls(stream) = self else { return };
        let (socket, session) = stream.get_mut();
        session.send_close_notify();
        while session.wants_write() {
            // A client that is gone, or takes nothing, misses nothing.
            if !matches!(session.write_tls(&mut AtOnce(socket)), Ok(1..)) {
                return;
            }
        }
    }

    /// Whether TLS holds bytes that a socket without it would have passed on.
    pub(super) fn holds_back(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.wants_write(),
        }
    }

    /// The number of the socket in this process.
    pub(super) fn id(&self) -> RawFd {
        match self {
            Self::Plain(socket) => socket.as_raw_fd(),
            Self::Tls(stream) => stream.get_ref().0.as_raw_fd(),
        }
    }
}

/// By way of the stack: memory of the right size costs less than a tenth of that for whatever may come, and a read that did
/// not fill its space tells the runtime that there is no more, which spares the one that would find it out.
async fn read_from(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|context| {
        let mut space = [MaybeUninit::uninit(); ROOM];
        let mut part = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut *socket).poll_read(context, &mut part))?;
        buffer.extend_from_slice(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    })
    .await
}

/// What was decrypted waits in the session, so nothing of ours has to be there before it.
async fn fill_from(stream: &mut TlsStream<TcpStream>, buffer: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|context| {
        let mut stream = Pin::new(&mut *stream);
        let bytes = ready!(end_or(stream.as_mut().poll_fill_buf(context)))?;
        let length = bytes.len().min(ROOM);
        buffer.extend_from_slice(&bytes[..length]);
        stream.consume(length);
        Poll::Ready(Ok(length))
    })
    .await
}

/// A client that closes without a word has closed. HTTP says itself where a message ends, so nothing is cut unnoticed.
fn end_or<T: Default>(read: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    match read {
        Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Poll::Ready(Ok(T::default()))
        }
        read => read,
    }
}

/// Writes what can be written without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => end_or(Pin::new(stream).poll_read(context, buffer)),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
