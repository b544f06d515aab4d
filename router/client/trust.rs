//! How a router is believed over https, and what it is shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::tls;

/// What an operator gives to reach routers over https.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// File of the authorities that vouch for routers; without it those of the system.
    pub ca: Option<PathBuf>,
    /// File of the certificate to show.
    pub cert: Option<PathBuf>,
    /// File of its key.
    pub key: Option<PathBuf>,
}

/// What every call shows and believes.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Bearer token.
    pub token: Option<String>,
    /// For endpoints over https.
    pub tls: Option<TlsConnector>,
}

/// Tokens are not shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Trust {
    /// What shakes hands with routers; in words what is wrong with a file.
    pub fn connector(&self) -> Result<TlsConnector, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(tls::provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots(self.ca.as_deref())?);
        let config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(chain(cert)?, self::key(key)?)
                .map_err(|error| format!("{}: {error}", cert.display()))?,
            (Some(_), None) => return Err("--admin-cert needs --admin-key".into()),
            (None, Some(_)) => return Err("--admin-key needs --admin-cert".into()),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = match ca {
        Some(path) => chain(path)?,
        None => rustls_native_certs::load_native_certs().map_err(|error| error.to_string())?,
    };
    let (_, ignored) = roots.add_parsable_certificates(certificates);
    match ca {
        Some(path) if ignored > 0 => Err(format!("{}: not a certificate", path.display())),
        _ => Ok(roots),
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let chain: Result<Vec<_>, _> = found.collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(wrong(&"no certificate in it")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(&error)),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| format!("{}: {error}", path.display()))
}
