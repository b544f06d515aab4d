//! What everyone may know of a connection's TLS.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::client::ClientCertificate;
use super::store::Store;

/// The TLS of a connection, once hands are shaken.
#[derive(Debug)]
pub struct Secured {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as OpenSSL names it.
    pub cipher: &'static str,
    /// Whether the client asked for HTTP/2.
    pub http2: bool,
    /// The host the client asked for, in lower case.
    name: Option<Box<str>>,
    client: Option<ClientCertificate>,
    store: Arc<ArcSwap<Store>>,
}

impl Secured {
    /// What is known of `session` at `now`, in seconds since 1970; `None` when its client's certificate is of no use.
    pub(super) fn new(
        session: &ServerConnection,
        store: &Arc<ArcSwap<Store>>,
        now: i64,
    ) -> Option<Self> {
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let client = match shown.map(ClientCertificate::of) {
            // A session that is gone on with has verified it long ago.
            Some(Some(client)) if !client.has_ended(now) => Some(client),
            Some(_) => return None,
            None => None,
        };
        let suite = session.negotiated_cipher_suite();
        Some(Self {
            client,
            version: version(session.protocol_version()),
            cipher: suite.map_or("", |suite| cipher(suite.suite())),
            http2: session.alpn_protocol() == Some(b"h2"),
            name: session.server_name().map(Box::from),
            store: Arc::clone(store),
        })
    }

    /// The certificate that the client has shown.
    pub const fn client(&self) -> Option<&ClientCertificate> {
        self.client.as_ref()
    }

    /// The host that the client asked for, in lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether a request for `host`, as sent, has no business on this connection: 421.
    ///
    /// A client that named no host, or one that no certificate is for, has what it asked for, whatever it says then.
    pub fn misdirects(&self, host: &str) -> bool {
        let Some(name) = &self.name else {
            return false;
        };
        let host = bare(host);
        if *host == **name {
            return false;
        }
        let host = lower(host);
        *host != **name && self.store.load().misdirects(name, &host)
    }
}

/// A host without its port and without the dot at its end.
fn bare(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host)
}

/// Names are compared in lower case, in which they nearly always come.
pub(super) fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

const fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "",
    }
}

/// The name of a suite in logs and headers, as an ALB and OpenSSL write it.
const fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::provider::provider;
    use super::*;

    #[test]
    fn every_suite_that_can_be_negotiated_has_its_name() {
        for suite in &provider().cipher_suites {
            assert_ne!(cipher(suite.suite()), "", "{suite:?}");
        }
    }

    #[test]
    fn hosts_are_compared_without_port_dot_and_case() {
        for (host, expect) in [
            ("www.example.com", "www.example.com"),
            ("WWW.example.com:8443", "www.example.com"),
            ("www.example.com.", "www.example.com"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(lower(bare(host)), expect);
        }
    }
}
