//! Certificates that may sign a target's (`pools.*.tls.ca`), in the form pingora wants them.
//!
//! A file is read when the first request after a start or a reload needs it, and then kept: a reload brings a renewed one.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use config::snapshot::Structure;
use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The files read so far, each with the structure it was read for.
#[derive(Default)]
pub struct Authorities {
    read: ArcSwap<HashMap<PathBuf, Read>>,
}

#[derive(Clone)]
struct Read {
    of: Weak<Structure>,
    certificates: Arc<CaType>,
}

impl Authorities {
    /// The certificates in the file at `path`.
    pub fn of(&self, path: &Path, structure: &Arc<Structure>) -> io::Result<Arc<CaType>> {
        let known = self.read.load();
        if let Some(read) = known
            .get(path)
            .filter(|read| Weak::as_ptr(&read.of) == Arc::as_ptr(structure))
        {
            return Ok(Arc::clone(&read.certificates));
        }
        let read = Read {
            of: Arc::downgrade(structure),
            certificates: certificates(path)?,
        };
        self.read.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.retain(|_, read| read.of.strong_count() > 0);
            known.insert(path.to_owned(), read.clone());
            known
        });
        Ok(read.certificates)
    }
}

fn certificates(path: &Path) -> io::Result<Arc<CaType>> {
    let read = CertificateDer::pem_file_iter(path).map_err(io::Error::other)?;
    let mut certificates = Vec::new();
    for certificate in read {
        let certificate = certificate.map_err(io::Error::other)?.to_vec();
        certificates.push(WrappedX509::new(certificate, parse_x509));
    }
    Ok(certificates.into())
}
