//! Where a url leads, and connections to there.

use http::Uri;
use tokio_rustls::TlsConnector;

use super::{Silence, Stream};

/// Where a url leads.
#[derive(Clone)]
pub struct Address {
    host: String,
    port: u16,
    /// Host and port as in the url.
    pub authority: String,
    /// Path and query.
    pub path: String,
    is_secure: bool,
    tls: Option<TlsConnector>,
}

impl Address {
    /// Where `url`, which the file was checked for, leads.
    pub fn of(url: &str) -> Self {
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

    /// A connection of its own to there; `trust` makes what shakes hands, once.
    ///
    /// # Errors
    /// When there is no connection, or the other side is not believed.
    pub async fn connect(
        &mut self,
        trust: impl FnOnce() -> Result<TlsConnector, String>,
    ) -> Result<Box<dyn Stream>, Silence> {
        // The authorities of the system are read at the first use.
        if self.is_secure && self.tls.is_none() {
            self.tls = Some(trust()?);
        }
        let tls = self.tls.as_ref().map(|tls| (tls, self.host.as_str()));
        Ok(super::connect(&self.host, self.port, tls).await?)
    }
}
