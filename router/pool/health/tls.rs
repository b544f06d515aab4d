//! TLS of a health check, under the terms of the pool's own connections.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use config::model::PoolTls;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::socket::Socket;

/// Why there is nothing to speak TLS with; a check only shows it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A file of certificates is read again after this time, so that a renewed one counts soon. The system's are not.
const FRESH: Duration = Duration::from_secs(60);

/// How to speak TLS to the targets of a pool.
pub(super) struct Tls {
    settings: PoolTls,
    http2: bool,
    /// What was read last, and when.
    made: Mutex<Option<(Arc<ClientConfig>, Instant)>>,
}

impl Tls {
    pub(super) fn new(settings: &PoolTls, http2: bool) -> Self {
        Self {
            settings: settings.clone(),
            http2,
            made: Mutex::default(),
        }
    }

    /// Shakes hands; `host` is the name to send and verify when the pool has none of its own.
    pub(super) async fn connect(
        &self,
        socket: Socket,
        host: String,
    ) -> io::Result<TlsStream<Socket>> {
        let config = self.config(Instant::now()).map_err(io::Error::other)?;
        let name = self.settings.sni.clone().unwrap_or(host);
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, socket).await
    }

    fn config(&self, now: Instant) -> Result<Arc<ClientConfig>, Failure> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((config, when)) = &*made
            && (self.settings.ca.is_none() || now < *when + FRESH)
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make()?);
        *made = Some((Arc::clone(&config), now));
        Ok(config)
    }

    fn make(&self) -> Result<ClientConfig, Failure> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.settings.verify {
            builder.with_root_certificates(roots(self.settings.ca.as_deref())?)
        } else {
            let trusting = Arc::new(Trusting(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(trusting)
        };
        let mut config = builder.with_no_client_auth();
        let protocol: &[u8] = if self.http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        // A resumed session would not show that the certificate has expired.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// The process's provider of cryptography, which whoever terminates TLS has chosen; otherwise pingora's.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs()?);
        }
    }
    Ok(roots)
}

/// `verify = false`: any certificate will do, but the peer must hold its key.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
