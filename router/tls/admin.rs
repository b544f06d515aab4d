//! TLS of the admin API: one certificate, and clients vouched for where the file names an authority.

use config::model::{AdminTls, CertificateSource, ClientAuth, ListenerTls, TlsVersion};
use config::problem::{Fault, Path};

use super::terminator::Terminator;

/// What the log calls it.
const NAME: &str = "admin";

/// The same settings as a listener has them.
fn settings(tls: &AdminTls) -> ListenerTls {
    ListenerTls {
        certificates: vec![CertificateSource::Pair {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
        }],
        default: None,
        min_version: TlsVersion::Tls12,
        http2: false,
        ticket_keys: None,
        client_ca: tls.client_ca.clone(),
        client_auth: tls.client_ca.as_ref().map(|_| ClientAuth::Required),
    }
}

/// What ends TLS of the admin API as `tls` says; everything that hinders otherwise.
pub(super) fn terminator(tls: &AdminTls) -> Result<Terminator, Vec<Fault>> {
    Terminator::new(NAME, &settings(tls), None).map_err(|hindrances| {
        let path = Path::default().key("admin").key("tls");
        let faults = hindrances.into_iter().map(|(key, _, message)| {
            let key = if key == "certificates" { "cert" } else { key };
            path.key(key).fault(message)
        });
        faults.collect()
    })
}
