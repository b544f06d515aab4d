//! One question to one target: a new connection, one exchange, an end, all within one time limit.

use std::net::SocketAddr;
use std::sync::Arc;

use config::health::{Check, Question};
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time;

use super::outcome::{Failed, Outcome, Phase};
use super::socket::Socket;
use super::tls::Tls;
use super::{grpc, http1, http2};
use crate::pool::Pool;

/// How the targets of a pool are asked.
pub(super) struct Terms {
    pub(super) check: Arc<Check>,
    tls: Option<Tls>,
    http2: bool,
}

impl Terms {
    /// Those of `pool`, if it has a check.
    pub(super) fn of(pool: &Pool) -> Option<Self> {
        Some(Self::by(pool, Arc::clone(pool.check.as_ref()?)))
    }

    /// Those of `check` for targets of `pool`.
    pub(super) fn by(pool: &Pool, check: Arc<Check>) -> Self {
        let settings = pool.settings();
        let http2 = settings.http2 || matches!(check.question, Question::Grpc(_));
        let tls = settings.tls.as_ref().filter(|_| check.tls);
        Self {
            tls: tls.map(|tls| Tls::new(tls, http2)),
            http2,
            check,
        }
    }

    /// Asks `target` once.
    pub(super) async fn ask(&self, target: SocketAddr) -> Outcome {
        let timeout = self.check.timeout;
        let mut phase = Phase::Connecting;
        match time::timeout(timeout, self.exchange(target, &mut phase)).await {
            Err(_elapsed) => Outcome::of_timeout(phase, timeout),
            Ok(Err(failed)) => Outcome::of_failure(&failed),
            Ok(Ok(outcome)) => outcome,
        }
    }

    async fn exchange(&self, target: SocketAddr, phase: &mut Phase) -> Result<Outcome, Failed> {
        let port = self.check.port.unwrap_or_else(|| target.port());
        let address = SocketAddr::new(target.ip(), port);
        let socket = Socket::connect(address).await;
        let socket = socket.map_err(Failed::to_connect)?;
        let Some(tls) = &self.tls else {
            *phase = Phase::Asking;
            return self.converse(socket, "http", address).await;
        };
        *phase = Phase::Handshaking;
        let stream = tls.connect(socket, self.name(address));
        let stream = stream.await.map_err(Failed::Tls)?;
        *phase = Phase::Asking;
        // On the heap, so that checks in clear text need no room for it: there may be ten thousand.
        Box::pin(self.converse(stream, "https", address)).await
    }

    /// The name that the target's certificate must have, unless the pool says another.
    fn name(&self, address: SocketAddr) -> String {
        let host = self.check.question.host();
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        host.map_or_else(
            || address.ip().to_string(),
            |host| host.host().trim_matches(['[', ']']).to_owned(),
        )
    }

    async fn converse<S>(
        &self,
        mut stream: S,
        scheme: &str,
        address: SocketAddr,
    ) -> Result<Outcome, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match &self.check.question {
            Question::Grpc(grpc) => Box::pin(grpc::ask(stream, grpc, scheme, address)).await,
            Question::Http(http) if self.http2 => {
                Box::pin(http2::ask(stream, http, scheme, address)).await
            }
            Question::Http(http) => http1::ask(&mut stream, http, address).await,
            Question::Tcp => Ok(Outcome::Healthy),
        }
    }
}
