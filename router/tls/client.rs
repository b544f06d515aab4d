//! Certificates of clients: who vouches for them, and what a target is told of one.
//!
//! Forms of values are those of an ALB that verifies (`X-Amzn-Mtls-Clientcert-*`).

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::model::{ClientAuth, ListenerTls};
use http::HeaderValue;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::certificate::{read, shown};
use super::provider::provider;

/// A client's certificate that was verified, as targets are told of it.
#[derive(Debug)]
pub struct ClientCertificate {
    /// In the order of `told::CERTIFICATE`.
    pub values: [HeaderValue; 5],
    /// Seconds since 1970.
    not_after: i64,
}

/// Who verifies clients' certificates, and what that depends on, so that it can be told apart from another one.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) terms: Vec<u8>,
}

impl Verifier {
    /// The verifier that `settings` ask for; `None` when clients are not asked for certificates.
    pub(super) fn new(settings: &ListenerTls) -> Result<Option<Self>, String> {
        let auth = settings.client_auth.unwrap_or_default();
        let (Some(path), false) = (&settings.client_ca, auth == ClientAuth::Off) else {
            return Ok(None);
        };
        let text = read(path)?;
        let builder = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots(path, &text)?),
            Arc::clone(provider()),
        );
        let builder = match auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::Off | ClientAuth::Required => builder,
        };
        let verifier = builder
            .build()
            .map_err(|error| format!("{} cannot be used: {error}", shown(path)))?;
        let mut terms = vec![auth as u8];
        terms.extend(text);
        Ok(Some(Self { verifier, terms }))
    }
}

fn roots(path: &Path, text: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate =
            certificate.map_err(|error| format!("{} is not PEM: {error}", shown(path)))?;
        roots.add(certificate).map_err(|error| {
            format!(
                "{} has a certificate that cannot be used: {error}",
                shown(path)
            )
        })?;
    }
    if roots.is_empty() {
        return Err(format!("{} has no certificate in it", shown(path)));
    }
    Ok(roots)
}

impl ClientCertificate {
    /// What is told of `certificate`, which was verified; `None` when it cannot be read, which the verifier has ruled out.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let texts = [
            serial(&parsed),
            name(parsed.issuer()),
            name(parsed.subject()),
            validity(&parsed),
            leaf(certificate),
        ];
        let values = texts.map(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        let [
            Some(serial),
            Some(issuer),
            Some(subject),
            Some(validity),
            Some(leaf),
        ] = values
        else {
            return None;
        };
        Some(Self {
            values: [serial, issuer, subject, validity, leaf],
            not_after: parsed.validity().not_after.timestamp(),
        })
    }

    /// Whether it has ended at `now`, in seconds since 1970: a session that goes on does not verify it again.
    pub(super) const fn has_ended(&self, now: i64) -> bool {
        self.not_after <= now
    }
}

/// Hexadecimal digits, two for each byte, without those of zero in front.
fn serial(parsed: &X509Certificate<'_>) -> String {
    let bytes = parsed.raw_serial();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.min(bytes.len().saturating_sub(1))..];
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a text does not fail.
        let _ = write!(hex, "{byte:02X}");
        hex
    })
}

/// A name as RFC 2253 writes it: the most specific part first.
fn name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let parts = parts.iter().rev().map(|part| {
        let pairs = part.iter().map(|pair| {
            let oid = pair.attr_type();
            let known = KEYWORDS
                .iter()
                .find(|(known, _)| *known == oid.to_id_string());
            let key = known.map_or_else(|| oid.to_id_string(), |(_, word)| (*word).to_owned());
            let value = pair
                .as_str()
                .map_or_else(|_| hex(pair.attr_value().data), escape);
            format!("{key}={value}")
        });
        pairs.collect::<Vec<_>>().join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Types of attributes and their keywords (RFC 4514 section 3, and what is usual beyond it).
const KEYWORDS: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A value that is no text (RFC 4514 section 2.4).
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("#".to_owned(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02X}");
        hex
    })
}

/// A text, with what would be read otherwise escaped (RFC 4514 section 2.4); controls too, which no header may have.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (position, letter) in text.char_indices() {
        let is_first = position == 0;
        let is_last = position + letter.len_utf8() == text.len();
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', letter]),
            '#' if is_first => escaped.push_str("\\#"),
            ' ' if is_first || is_last => escaped.push_str("\\ "),
            _ if letter.is_ascii_control() => {
                let _ = write!(escaped, "\\{:02X}", letter as u32);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn validity(parsed: &X509Certificate<'_>) -> String {
    let validity = parsed.validity();
    let date = |seconds| {
        Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
    };
    format!(
        "NotBefore={};NotAfter={}",
        date(validity.not_before.timestamp()),
        date(validity.not_after.timestamp())
    )
}

/// PEM, encoded as for a URL, but for `+`, `=` and `/`.
fn leaf(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut encoded = String::from("-----BEGIN%20CERTIFICATE-----%0A");
    for line in text.as_bytes().chunks(64) {
        encoded.extend(line.iter().copied().map(char::from));
        encoded.push_str("%0A");
    }
    encoded.push_str("-----END%20CERTIFICATE-----%0A");
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_otherwise_in_a_name_is_escaped() {
        for (text, expect) in [
            ("plain", "plain"),
            ("a, b", "a\\, b"),
            ("a=b+c", "a=b\\+c"),
            (" # \"x\" ", "\\ # \\\"x\\\"\\ "),
            ("#1", "\\#1"),
            ("a\r\nX-Evil: 1", "a\\0D\\0AX-Evil: 1"),
            ("Müller", "Müller"),
        ] {
            assert_eq!(escape(text), expect);
        }
        assert_eq!(hex(&[1, 0xab]), "#01AB");
    }
}
