//! Where a hook is, and one try to tell it something, on a connection of its own.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tokio_rustls::TlsConnector;

use crate::client::Trust;
use crate::dial::{self, Silence};

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
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<u16, Silence> {
        // The authorities of the system are read at the first use.
        if self.is_secure && self.tls.is_none() {
            self.tls = Some(Trust::default().connector()?);
        }
        let tls = self.tls.as_ref().map(|tls| (tls, self.host.as_str()));
        let stream = dial::connect(&self.host, self.port, tls).await?;
        dial::ask_status(stream, request).await
    }
}
