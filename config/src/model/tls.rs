//! `[listeners.tls]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS of a listener, ended by the router. Changes hold for new connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Where certificates and keys are: folders, in which `NAME.crt` or `NAME.pem` belongs to `NAME.key`, or single pairs,
    /// `{ cert = "fullchain.pem", key = "privkey.pem" }`. Files are PEM, a certificate first and its chain behind it. They are watched,
    /// and taken into use within a second; a pair that is broken does not replace one that was not.
    pub certificates: Vec<CertificateSource>,
    /// The certificate for clients that name no host, or one that no certificate is for: a host name that one is for, or NAME of
    /// its file. Absent: the first one.
    #[serde(default)]
    pub default: Option<String>,
    /// Lowest version of TLS.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// HTTP/2 for clients that ask for it by ALPN; HTTP/1.1 is spoken all the same.
    #[serde(default = "enabled")]
    pub http2: bool,
    /// File with the keys that tickets of sessions are sealed with, so that a client can go on with its session after a restart, or at
    /// another router with the same file: lines as `openssl rand -base64 48` prints them, of which the first one seals and all open.
    /// What sealed before the file was replaced opens until it is replaced again. It is watched, made with mode 0600 when absent, and
    /// tickets live for 12 hours. Without it keys are random, and turned every 6 hours.
    #[serde(default)]
    pub ticket_keys: Option<PathBuf>,
    /// File of the authorities that vouch for clients, PEM. It is watched; when it changes no session from before is gone on with.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether clients show certificates. What is in one is told to targets as by an ALB that verifies, in
    /// `X-Amzn-Mtls-Clientcert-Serial-Number`, `-Issuer`, `-Subject`, `-Validity` and `-Leaf`; a client's own copies are removed. Absent:
    /// `off`.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may; one that nobody vouches for ends the handshake all the same.
    Optional,
    /// Without one there is no connection.
    Required,
}

const fn enabled() -> bool {
    true
}

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum CertificateSource {
    /// A folder of pairs.
    Folder(PathBuf),
    /// One pair.
    Pair {
        /// File of the certificate and its chain.
        cert: PathBuf,
        /// File of its private key.
        key: PathBuf,
    },
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2, with forward secrecy and authenticated encryption only.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}
