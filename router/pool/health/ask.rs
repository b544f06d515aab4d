//! One question to one target: a new connection, one request, the whole answer, within one time limit.

use std::net::SocketAddr;
use std::time::Duration;

use config::units::Statuses;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Terms;
use super::tls::Tls;
use crate::pool::target::Health;

const USER_AGENT: &str = concat!("kanaria-HealthChecker/", env!("CARGO_PKG_VERSION"));

/// What to ask of a target, and what counts as an answer.
pub(super) struct Question {
    address: SocketAddr,
    timeout: Duration,
    request: Option<Request<Empty<Bytes>>>,
    accepted: Option<Statuses>,
    tls: Option<Tls>,
    http2: bool,
}

/// Why there is no status; the checks only tell that there is none.
type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Question {
    pub(super) fn new(terms: &Terms, target: SocketAddr) -> Self {
        let check = &terms.check;
        let port = check.port.unwrap_or_else(|| target.port());
        let address = SocketAddr::new(target.ip(), port);
        let name = check.host.clone();
        let name = name.unwrap_or_else(|| address.ip().to_string());
        Self {
            address,
            timeout: check.timeout.0,
            request: request(terms, address),
            accepted: check.status.parse().ok(),
            tls: terms
                .tls
                .as_ref()
                .map(|tls| Tls::new(tls, &name, terms.http2)),
            http2: terms.http2,
        }
    }

    /// `Healthy`, or the kind of failure.
    pub(super) async fn ask(&self) -> Health {
        match tokio::time::timeout(self.timeout, self.status()).await {
            Err(_elapsed) => Health::Timeout,
            Ok(Err(error)) => {
                tracing::debug!(target = %self.address, %error, "health check failed");
                Health::Failed
            }
            Ok(Ok(status)) if self.accepts(status) => Health::Healthy,
            Ok(Ok(_)) => Health::WrongStatus,
        }
    }

    fn accepts(&self, status: u16) -> bool {
        let accepted = self.accepted.as_ref();
        accepted.is_some_and(|accepted| accepted.contains(status))
    }

    async fn status(&self) -> Result<u16, Failed> {
        let request = self.request.clone().ok_or("not a request")?;
        let stream = TcpStream::connect(self.address).await?;
        match &self.tls {
            Some(tls) => self.exchange(tls.connect(stream).await?, request).await,
            None => self.exchange(stream, request).await,
        }
    }

    async fn exchange<S>(&self, stream: S, request: Request<Empty<Bytes>>) -> Result<u16, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Dropped at the end of the exchange, which ends the connection with it.
        let mut connection = JoinSet::new();
        let stream = TokioIo::new(stream);
        let response = if self.http2 {
            let (mut sender, driver) = http2::handshake(TokioExecutor::new(), stream).await?;
            connection.spawn(driver);
            sender.send_request(request).await?
        } else {
            let (mut sender, driver) = http1::handshake(stream).await?;
            connection.spawn(driver);
            sender.send_request(request).await?
        };
        whole(response).await
    }
}

/// Reads the answer to its end.
async fn whole(mut response: Response<Incoming>) -> Result<u16, Failed> {
    while let Some(frame) = response.frame().await {
        frame?;
    }
    Ok(response.status().as_u16())
}

/// The request, or nothing when the file's words do not make one, which its check has refused already.
fn request(terms: &Terms, address: SocketAddr) -> Option<Request<Empty<Bytes>>> {
    let check = &terms.check;
    let host = check.host.clone().unwrap_or_else(|| address.to_string());
    let builder = Request::builder()
        .method(&*check.method)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*");
    let builder = if terms.http2 {
        let scheme = if terms.tls.is_some() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(host);
        builder.uri(uri.path_and_query(&*check.path).build().ok()?)
    } else {
        let builder = builder.uri(&*check.path).header(header::HOST, host);
        builder.header(header::CONNECTION, "close")
    };
    builder.body(Empty::<Bytes>::new()).ok()
}
