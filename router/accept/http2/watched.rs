//! A connection whose frames are followed while `h2` reads and writes them, and whose heads must be whole in time.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::ledger::Ledger;

/// The ledger of a connection. Its lock is only ever asked for by the task that carries the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, and what is known of its frames.
pub(super) struct Watched<S> {
    connection: S,
    shared: Shared,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// `connection`, each head of which must be whole within `limit`.
    pub(super) const fn new(connection: S, shared: Shared, limit: Duration) -> Self {
        Self {
            connection,
            shared,
            limit,
            timer: None,
        }
    }

    /// Whether the head that is being read is late, now that `bytes` have come.
    fn poll_late(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<()> {
        let deadline = {
            let mut ledger = self.shared.ledger();
            ledger.read(bytes, Instant::now);
            ledger.deadline(self.limit)
        };
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(context));
        self.shared.ledger().give_up();
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(context, buffer);
        // Also when bytes came: a head that drips has some each time.
        let bytes = &buffer.filled()[before..];
        if self.poll_late(context, bytes).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.connection).poll_write(context, bytes))?;
        self.shared.ledger().wrote(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
