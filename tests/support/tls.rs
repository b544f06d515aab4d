//! Clients that speak TLS, and an authority that issues certificates, all made for one test.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::client::Client;
use super::wire::Wire;

/// Issues certificates that `Hello`s of it believe.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What is asked of an authority.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) hosts: &'a [&'a str],
    pub(crate) kind: &'static SignatureAlgorithm,
    /// The year on whose first day it ends.
    pub(crate) until: i32,
}

/// How a client says hello; clones share their sessions.
#[derive(Clone)]
pub(crate) struct Hello {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl<'a> Wanted<'a> {
    /// A certificate for `hosts` that lasts.
    pub(crate) fn hosts(hosts: &'a [&'a str]) -> Self {
        Self {
            hosts,
            kind: &PKCS_ECDSA_P256_SHA256,
            until: 2100,
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes `NAME.key` and then `NAME.crt` into `folder`, which is made when it is not there.
    pub(crate) fn issue(&self, folder: &Path, name: &str, wanted: Wanted<'_>) {
        let [cert, key] = self.make(wanted);
        fs::create_dir_all(folder).expect("the folder is ours");
        put(&folder.join(format!("{name}.key")), &key);
        put(&folder.join(format!("{name}.crt")), &cert);
    }

    /// A certificate and its key, in PEM.
    pub(crate) fn make(&self, wanted: Wanted<'_>) -> [String; 2] {
        let key = KeyPair::generate_for(wanted.kind).expect("a key");
        let hosts: Vec<String> = wanted.hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("names of hosts");
        params.distinguished_name = DistinguishedName::new();
        let host = wanted.hosts.first().copied().unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, host);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "kanaria, tests");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(wanted.until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        [certificate.pem(), key.serialize_pem()]
    }

    /// A client that believes it and asks for `name`, in any version of TLS.
    pub(crate) fn hello(&self, name: &str) -> Hello {
        Hello::new(
            name,
            &self.pem(),
            default_provider(),
            &[&rustls::version::TLS13, &rustls::version::TLS12],
        )
    }

    /// As `hello`, in one version.
    pub(crate) fn hello_in(&self, name: &str, version: &'static SupportedProtocolVersion) -> Hello {
        Hello::new(name, &self.pem(), default_provider(), &[version])
    }

    /// As `hello`, of a client that shows this certificate, which its key comes behind.
    pub(crate) fn hello_showing(&self, name: &str, [cert, key]: &[String; 2]) -> Hello {
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let key = any_supported_type(&key).expect("a key");
        let shown = SingleCertAndKey::from(CertifiedKey::new(vec![cert], key));
        self.hello(name)
            .with(|config| config.client_auth_cert_resolver = Arc::new(shown))
    }

    /// As `hello_in`, of a client that can do what `provider` can.
    pub(crate) fn hello_as(
        &self,
        name: &str,
        provider: CryptoProvider,
        version: &'static SupportedProtocolVersion,
    ) -> Hello {
        Hello::new(name, &self.pem(), provider, &[version])
    }
}

/// Replaces the file at `path` at once.
pub(crate) fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("the folder is ours");
    fs::rename(&new, path).expect("the folder is ours");
}

impl Hello {
    fn new(
        name: &str,
        authority: &str,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
        roots.add(root).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            config: Arc::new(config),
            name: ServerName::try_from(name.to_owned()).expect("a name"),
        }
    }

    /// A client that sends no name, and still expects a certificate for it.
    pub(crate) fn unnamed(self) -> Self {
        self.with(|config| config.enable_sni = false)
    }

    /// A client that offers these protocols by ALPN.
    pub(crate) fn offering(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|it| it.as_bytes().to_vec());
        self.with(|config| config.alpn_protocols = protocols.collect())
    }

    /// A client that never goes on with a session.
    pub(crate) fn anew(self) -> Self {
        self.with(|config| config.resumption = Resumption::disabled())
    }

    /// The name that is asked for.
    pub(crate) fn host(&self) -> String {
        self.name.to_str().into_owned()
    }

    fn with(self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        change(&mut config);
        Self {
            config: Arc::new(config),
            ..self
        }
    }

    pub(crate) fn config(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
        (Arc::clone(&self.config), self.name.clone())
    }

    /// A connection on which hands are shaken.
    #[track_caller]
    pub(crate) fn connect(&self, address: SocketAddr) -> Client {
        match self.try_connect(address) {
            Ok(client) => client,
            Err(error) => panic!("no handshake with {address}: {error}"),
        }
    }

    pub(crate) fn try_connect(&self, address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        let session = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let session = session.map_err(io::Error::other)?;
        let mut wire = Wire::secured(stream, session);
        wire.shake()?;
        Ok(Client { wire })
    }
}
