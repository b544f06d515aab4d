//! What the settings of TLS mean together.

use std::path::Path as File;

use crate::model::{Admin, AdminTls, CertificateSource, ClientAuth, Listener, ListenerTls};
use crate::problem::{Fault, Path};

/// Everything wrong with `tls` of `listener`, which stands at `path`.
pub(super) fn check(listener: &Listener, tls: &ListenerTls, path: &Path, faults: &mut Vec<Fault>) {
    if listener.h2c {
        let message = "is HTTP/2 without TLS; a listener with `tls` offers HTTP/2 by `tls.http2`";
        faults.push(path.key("h2c").fault(message));
    }
    let path = path.key("tls");
    certificates(&tls.certificates, &path.key("certificates"), faults);
    if tls.default.as_deref() == Some("") {
        let message = "must not be empty; leave the key out to use the first certificate";
        faults.push(path.key("default").fault(message));
    }
    for (key, file) in [
        ("ticket_keys", &tls.ticket_keys),
        ("client_ca", &tls.client_ca),
    ] {
        if let Some(file) = file {
            not_empty(file, &path.key(key), faults);
        }
    }
    clients(tls, &path, faults);
}

/// Nobody may believe that clients are verified who are not.
fn clients(tls: &ListenerTls, path: &Path, faults: &mut Vec<Fault>) {
    match (&tls.client_ca, tls.client_auth) {
        (Some(_), None) => {
            let message =
                "is missing; with \"optional\" or \"required\" clients are verified by `client_ca`";
            faults.push(path.key("client_auth").fault(message));
        }
        (None, Some(ClientAuth::Optional | ClientAuth::Required)) => {
            let message = "needs `client_ca`, the authorities that vouch for clients";
            faults.push(path.key("client_auth").fault(message));
        }
        _ => {}
    }
}

/// Everything wrong with `tls` of the admin API, which stands at `path`.
pub(super) fn admin(admin: &Admin, tls: &AdminTls, path: &Path, faults: &mut Vec<Fault>) {
    if admin.bind.starts_with("unix:") {
        faults.push(
            path.fault("a unix socket has no use for it: only who may open the file gets in"),
        );
    }
    not_empty(&tls.cert, &path.key("cert"), faults);
    not_empty(&tls.key, &path.key("key"), faults);
    if let Some(file) = &tls.client_ca {
        not_empty(file, &path.key("client_ca"), faults);
    }
}

fn certificates(sources: &[CertificateSource], path: &Path, faults: &mut Vec<Fault>) {
    if sources.is_empty() {
        let message =
            "there must be at least one, as [\"certs\"] or [{ cert = \"a.crt\", key = \"a.key\" }]";
        faults.push(path.fault(message));
    }
    for (position, source) in sources.iter().enumerate() {
        let path = path.index(position);
        match source {
            CertificateSource::Folder(folder) => not_empty(folder, &path, faults),
            CertificateSource::Pair { cert, key } => {
                not_empty(cert, &path.key("cert"), faults);
                not_empty(key, &path.key("key"), faults);
            }
        }
        if sources[..position].contains(source) {
            faults.push(path.fault("is given twice"));
        }
    }
}

fn not_empty(file: &File, path: &Path, faults: &mut Vec<Fault>) {
    if file.as_os_str().is_empty() {
        faults.push(path.fault("a path must not be empty"));
    }
}
