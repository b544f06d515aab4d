//! One request of a scripted client, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dial::{self, Silence};

/// A page that takes longer is none.
const ANSWER: Duration = Duration::from_secs(30);
/// What is looked at of an answer.
const LARGEST_ANSWER: usize = 8 << 20;

/// Where a router listens.
pub struct Door {
    /// Its host, to connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// For https.
    pub tls: Option<TlsConnector>,
}

impl Door {
    /// The door at `url`; `tls` is for one that speaks https.
    ///
    /// # Errors
    /// What is wrong with the url, or with the files for https.
    pub fn of(
        url: &str,
        tls: impl FnOnce() -> Result<TlsConnector, String>,
    ) -> Result<Self, String> {
        let wrong = || format!("url `{url}` is not one as http://127.0.0.1:8080");
        let parsed: Uri = url.parse().map_err(|_| wrong())?;
        let secure = match parsed.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        if !matches!(
            parsed.path_and_query().map(|it| it.as_str()),
            None | Some("/")
        ) {
            return Err(format!("url `{url}` has a path; it stands in the requests"));
        }
        Ok(Self {
            host: parsed.host().ok_or_else(wrong)?.to_owned(),
            port: parsed.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls: secure.then(tls).transpose()?,
        })
    }

    /// What stands in `Host` when nothing else is said.
    pub(super) fn authority(&self) -> String {
        let default = if self.tls.is_some() { 443 } else { 80 };
        match self.port {
            port if port == default => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// Sends `request` for the host `named`.
    pub(super) async fn ask(
        &self,
        named: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, String> {
        let answer = timeout(ANSWER, self.exchange(named, request)).await;
        answer
            .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
            .map_err(|error| error.to_string())
    }

    async fn exchange(
        &self,
        named: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Silence> {
        let host = self.host.trim_matches(['[', ']']);
        // The certificate is that of the site, wherever the router is.
        let tls = self.tls.as_ref();
        let tls = tls.map(|tls| (tls, jar::without_port(named).trim_matches(['[', ']'])));
        let stream = dial::connect(host, self.port, tls).await?;
        dial::ask(stream, request, LARGEST_ANSWER).await
    }
}
