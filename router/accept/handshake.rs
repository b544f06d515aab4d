//! Shaking hands: from a socket to one that speaks TLS, within a deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::socket::Socket;
use crate::tls::{Secured, Terminator};

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The client broke it off, or the two had nothing in common.
    Failed,
    /// Hands were shaken anew.
    Full,
    /// The client went on with an earlier session.
    Resumed,
    /// It was not over in time.
    TimedOut,
}

impl Handshake {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Shakes hands on `socket` within `limit`; without a socket that can be used there is only how it ended.
pub(super) async fn shake(
    socket: TcpStream,
    terminator: &Terminator,
    limit: Duration,
) -> (Handshake, Option<(Socket, Arc<Secured>)>) {
    let acceptor = TlsAcceptor::from(terminator.config());
    let stream = match timeout(limit, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            // Scanners and clients without trust do this all day: it is counted.
            tracing::debug!("a handshake failed: {error}");
            return (Handshake::Failed, None);
        }
        Err(_) => return (Handshake::TimedOut, None),
    };
    let (_, session) = stream.get_ref();
    let handshake = match session.handshake_kind() {
        Some(rustls::HandshakeKind::Resumed) => Handshake::Resumed,
        _ => Handshake::Full,
    };
    let Some(secured) = terminator.secured(session) else {
        return (Handshake::Failed, None);
    };
    let secured = Arc::new(secured);
    (handshake, Some((Socket::Tls(Box::new(stream)), secured)))
}
