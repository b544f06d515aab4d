//! Certificates for tests, made as they are needed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, date_time_ymd};
use tempfile::TempDir;

use super::certificate::{Certificate, Pair};

/// Writes `NAME.crt` and `NAME.key` of a certificate for `hosts` into `folder`.
pub(super) fn write(
    folder: &Path,
    name: &str,
    hosts: &[&str],
    kind: &'static SignatureAlgorithm,
    until: i32,
) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A certificate called `name`, for `hosts`, with a key of this `kind`, until the first day of a year.
pub(super) fn certificate(
    name: &str,
    hosts: &[&str],
    kind: &'static SignatureAlgorithm,
    until: i32,
) -> Arc<Certificate> {
    let folder = TempDir::new().unwrap();
    write(folder.path(), name, hosts, kind, until);
    let pair = pair(folder.path(), name);
    Arc::new(Certificate::read(&pair).unwrap())
}

/// Where `write` has put `name`.
pub(super) fn pair(folder: &Path, name: &str) -> Pair {
    Pair {
        cert: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
        name: Some(name.into()),
    }
}

/// Seconds since 1970 at the beginning of 2026.
pub(super) fn now() -> i64 {
    let text = "2026-01-01T00:00:00Z";
    text.parse::<Timestamp>().unwrap().as_second()
}
