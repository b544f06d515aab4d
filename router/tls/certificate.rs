//! A certificate with its key, read from files: for which names it is, until when, and how good its key is.

use std::cmp::Reverse;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::model::CertificateSource;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::provider::provider;

/// More than any chain needs, and little enough to read by mistake.
const LARGEST: u64 = 1 << 20;

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    /// What operators call it: the name of its file in a folder.
    pub(super) name: Option<String>,
}

/// A certificate that can be used.
#[derive(Debug)]
pub(super) struct Certificate {
    /// What operators call it: NAME of its file in a folder, else the first host name it is for.
    pub(super) name: Arc<str>,
    /// Host names it is for, in lower case, `*.` in front of a wildcard.
    pub(super) names: Vec<String>,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    pub(super) key: Arc<CertifiedKey>,
    rank: Rank,
}

/// How long a certificate is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What operators call the certificate.
    pub name: Arc<str>,
    /// Seconds since 1970 at which it ends.
    pub not_after: i64,
}

/// Which of two certificates for the same name is preferred: smaller is better.
type Rank = (u8, Reverse<usize>);

impl Pair {
    /// Whether it is one of `source`.
    pub(super) fn is_of(&self, source: &CertificateSource) -> bool {
        match source {
            CertificateSource::Folder(path) => {
                self.name.is_some() && self.cert.parent() == Some(path)
            }
            CertificateSource::Pair { cert, key } => {
                self.name.is_none() && (cert, key) == (&self.cert, &self.key)
            }
        }
    }
}

impl Certificate {
    /// Reads `pair`; what is wrong with it otherwise, in words.
    pub(super) fn read(pair: &Pair) -> Result<Self, String> {
        let chain = chain(&pair.cert)?;
        let key = CertifiedKey::from_der(chain, key(&pair.key)?, provider());
        let key = key.map_err(|error| unusable(pair, &error))?;
        let first = key.cert.first().map_or(&[][..], |first| first);
        let (_, parsed) = X509Certificate::from_der(first)
            .map_err(|error| format!("{} is no certificate: {error}", shown(&pair.cert)))?;
        let names = names(&parsed);
        let name = pair.name.clone().or_else(|| names.first().cloned());
        Ok(Self {
            name: name.unwrap_or_else(|| stem(&pair.cert)).into(),
            not_after: parsed.validity().not_after.timestamp(),
            rank: rank(&parsed, key.key.algorithm()),
            names,
            key: Arc::new(key),
        })
    }

    /// How long it is valid.
    pub(super) fn expiry(&self) -> Expiry {
        Expiry {
            name: Arc::clone(&self.name),
            not_after: self.not_after,
        }
    }

    /// Smaller is better, `now` in seconds since 1970: what is valid, what is quick to verify, what is strong, what lasts.
    pub(super) fn rank(&self, now: i64) -> (bool, Rank, Reverse<i64>) {
        (self.not_after <= now, self.rank, Reverse(self.not_after))
    }

    /// Whether it is for `host`, which is in lower case; a wildcard stands for one label (RFC 6125 section 6.4.3).
    pub(super) fn is_for(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let is_for = |name: &String| match name.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix),
            None => name == host,
        };
        self.names.iter().any(is_for)
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(format!("{} has no certificate in it", shown(path))),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{} is not PEM: {error}", shown(path))),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(&text) => format!(
            "the key in {} is encrypted; write it without a passphrase",
            shown(path)
        ),
        pem::Error::NoItemsFound => format!("{} has no private key in it", shown(path)),
        error => format!("{} is not PEM: {error}", shown(path)),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    let label = b"-----BEGIN ENCRYPTED PRIVATE KEY";
    text.windows(label.len()).any(|part| part == label)
}

fn unusable(pair: &Pair, error: &Error) -> String {
    let (cert, key) = (shown(&pair.cert), shown(&pair.key));
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("{key} is the key of another certificate than {cert}")
        }
        Error::InvalidCertificate(_) => format!("{cert} is no certificate: {error}"),
        error => format!("the key in {key} cannot be used: {error}"),
    }
}

/// Host names a certificate is for. Only one without any alternative name is for its common name.
fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
        let names = alternative.value.general_names.iter();
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        return names.collect();
    }
    let common = parsed.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

/// An elliptic curve before RSA, and a long key before a short one, as an ALB has it.
fn rank(parsed: &X509Certificate<'_>, algorithm: SignatureAlgorithm) -> Rank {
    let bits = parsed.public_key().parsed();
    let bits = bits.map_or(0, |key| key.key_size());
    let place = match algorithm {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::RSA => 2,
        _ => 1,
    };
    (place, Reverse(bits))
}

/// The bytes of a file of certificates or keys; what is wrong otherwise, in words.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = fs::metadata(path).and_then(|about| {
        if about.len() > LARGEST {
            return Err(ErrorKind::FileTooLarge.into());
        }
        fs::read(path)
    });
    bytes.map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no {}", shown(path)),
        ErrorKind::FileTooLarge => format!("{} is larger than 1 MiB", shown(path)),
        _ => format!("{} cannot be read: {error}", shown(path)),
    })
}

/// A path in a message.
pub(super) fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// The name of a file without its last extension.
pub(super) fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
