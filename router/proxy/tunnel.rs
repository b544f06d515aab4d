//! Connections for requests that ask to switch protocols: no answer is read before the request is complete.
//!
//! pingora 0.9.1 ends an upgraded connection when it reads the target's 101 before it has handled the end of the
//! request, which is always empty (cloudflare/pingora#946). Which one comes first is chance there; here it is not.
//! Nothing of what passes is looked at, and no connection of this kind is ever used twice.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use config::snapshot::Pool;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::ext;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::peer::unshared_key;

/// pingora flushes a request without a body twice: behind its head, and at its end.
const FLUSHES_OF_A_REQUEST: u8 = 2;

/// What a request shares with the connection it goes out on: whether an answer may be read.
///
/// Open at first: TLS has to shake hands before there is a request.
#[derive(Debug, Default)]
pub(super) struct Gate {
    flushes_left: AtomicU8,
}

/// Makes `peer` one for a request that asks to switch protocols.
///
/// The wire bounds how long both directions together may be quiet; pingora's own timeouts see one of them.
pub(super) fn carry(peer: &mut HttpPeer, pool: &Pool, gate: &Arc<Gate>) {
    let options = &mut peer.options;
    options.custom_l4 = Some(Arc::new(Dial(Arc::clone(gate))));
    options.read_timeout = None;
    options.write_timeout = Some(pool.settings.upgraded_idle.0);
    // Used for one request only, also when the target refuses to switch.
    options.idle_timeout = Some(Duration::ZERO);
    peer.group_key = unshared_key();
}

impl Gate {
    /// The head is written next: nothing is read from here until the request is complete.
    pub(super) fn close(&self) {
        self.flushes_left.store(FLUSHES_OF_A_REQUEST, Relaxed);
    }

    fn is_open(&self) -> bool {
        self.flushes_left.load(Relaxed) == 0
    }

    /// The connection was flushed. Request and connection live in one task, so nothing comes in between.
    fn flushed(&self) {
        let left = self.flushes_left.load(Relaxed);
        self.flushes_left.store(left.saturating_sub(1), Relaxed);
    }
}

/// Connects to targets.
#[derive(Debug)]
struct Dial(Arc<Gate>);

/// A connection that is deaf while its gate is closed.
#[derive(Debug)]
struct Tunnel<S> {
    stream: S,
    gate: Arc<Gate>,
    reader: Option<Waker>,
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Err(Error::explain(
                ErrorType::InternalError,
                "a target without an IP address",
            ));
        };
        let stream = ext::connect(address, None).await?;
        let tunnel = Tunnel::new(stream, Arc::clone(&self.0));
        Ok(VirtualSocketStream::new(Box::new(tunnel)).into())
    }
}

impl<S> Tunnel<S> {
    const fn new(stream: S, gate: Arc<Gate>) -> Self {
        Self {
            stream,
            gate,
            reader: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.gate.is_open() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.gate.flushed();
        if self.gate.is_open()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for Tunnel<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            // Our peers ask for nothing else.
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::timeout;

    use super::*;

    /// A tunnel whose target has answered before it was asked.
    async fn answered() -> (Tunnel<DuplexStream>, DuplexStream) {
        let (mut target, stream) = tokio::io::duplex(64);
        target.write_all(b"early").await.unwrap();
        (Tunnel::new(stream, Arc::default()), target)
    }

    #[tokio::test]
    async fn an_answer_is_read_only_once_the_request_is_complete() {
        let (mut tunnel, _target) = answered().await;
        let mut answer = [0; 5];
        tunnel.gate.close();
        tunnel.write_all(b"head").await.unwrap();
        tunnel.flush().await.unwrap();
        tokio::select! {
            biased;
            read = tunnel.read(&mut answer) => panic!("read behind the head alone: {read:?}"),
            () = ready(()) => {}
        }
        tunnel.flush().await.unwrap();
        tunnel.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"early");
    }

    #[tokio::test]
    async fn a_handshake_before_the_request_is_heard() {
        let (mut tunnel, _target) = answered().await;
        tunnel.write_all(b"hello").await.unwrap();
        tunnel.flush().await.unwrap();
        tunnel.read_exact(&mut [0; 5]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_answer_is_woken() {
        let (tunnel, _target) = answered().await;
        tunnel.gate.close();
        let (mut reader, mut writer) = tokio::io::split(tunnel);
        let waiting = tokio::spawn(async move { reader.read_exact(&mut [0; 5]).await });
        tokio::task::yield_now().await;
        writer.flush().await.unwrap();
        writer.flush().await.unwrap();
        let read = timeout(Duration::from_secs(1), waiting).await.unwrap();
        assert_eq!(read.unwrap().unwrap(), 5);
    }
}
