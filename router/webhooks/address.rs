//! Where a hook is, and one try to tell it something, on a connection of its own.

use std::error::Error;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::Trust;

/// Where a hook is.
#[derive(Clone)]
pub(super) struct Address {
    host: String,
    port: u16,
    /// Host and port as in the url.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
    is_secure: bool,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Address {
    /// Where `url`, which the file was checked for, leads.
    pub(super) fn of(url: &str) -> Self {
        let url: Uri = url.parse().unwrap_or_default();
        let is_secure = url.scheme_str() == Some("https");
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Self {
            host: url
                .host()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_owned(),
            port: url.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            authority: url.authority().map(ToString::to_string).unwrap_or_default(),
            path: path.to_owned(),
            is_secure,
            tls: None,
        }
    }

    /// Sends `request`; the status of the answer, whose body is not read.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<u16, Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let stream: Box<dyn Stream> = if self.is_secure {
            let name = ServerName::try_from(self.host.clone())?;
            Box::new(self.connector()?.connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let carried = tokio::spawn(connection);
        let answer = sender.send_request(request).await;
        carried.abort();
        Ok(answer?.status().as_u16())
    }

    /// The authorities of the system are read at the first use.
    fn connector(&mut self) -> Result<TlsConnector, String> {
        if self.tls.is_none() {
            self.tls = Some(Trust::default().connector()?);
        }
        self.tls.clone().ok_or_else(String::new)
    }
}
