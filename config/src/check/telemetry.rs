//! What `[telemetry]` means: that the collector is somewhere, and that what it is told can be sent.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};

use super::{destination, not_zero};
use crate::fields::FRAMING;
use crate::model::Telemetry;
use crate::problem::{Fault, Path};

/// Where spans go, below the address of a collector (OTLP/HTTP, "Request").
const SIGNAL: &str = "/v1/traces";

/// Everything wrong with `telemetry`.
pub(super) fn check(telemetry: &Telemetry, path: &Path, faults: &mut Vec<Fault>) {
    if let Some(message) = otlp(&telemetry.otlp) {
        faults.push(path.key("otlp").fault(message));
    }
    if telemetry.service.is_empty() {
        let message = "a service must have a name; leave the key out for `kanaria`";
        faults.push(path.key("service").fault(message));
    }
    attributes(&telemetry.attributes, &path.key("attributes"), faults);
    headers(&telemetry.headers, &path.key("headers"), faults);
    not_zero(path, &[("timeout", telemetry.timeout)], faults);
}

/// Why a text is no address of a collector.
fn otlp(url: &str) -> Option<String> {
    if url.is_empty() {
        return None;
    }
    let instead = "send a header of `headers` instead";
    destination(url, "http://127.0.0.1:4318", instead).or_else(|| {
        let base = url.trim_end_matches('/');
        if base.contains(['?', '#']) {
            Some(format!(
                "{SIGNAL} is put behind the path, so there can be no query"
            ))
        } else if base.ends_with(SIGNAL) {
            Some(format!("leave {SIGNAL} out; it is put behind the path"))
        } else {
            None
        }
    })
}

fn attributes(attributes: &BTreeMap<String, String>, path: &Path, faults: &mut Vec<Fault>) {
    for name in attributes.keys() {
        let message = match name.as_str() {
            "" => "a name must not be empty",
            "service.name" => "write it as `service`",
            "service.version" | "service.instance.id" => "kanaria says that itself",
            _ => continue,
        };
        faults.push(path.key(name).fault(message));
    }
}

fn headers(headers: &BTreeMap<String, String>, path: &Path, faults: &mut Vec<Fault>) {
    let ours = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::HOST];
    for (name, value) in headers {
        let path = path.key(name);
        match HeaderName::try_from(name) {
            Err(_) => faults.push(path.fault(format!("{name:?} is not the name of a header"))),
            Ok(name) if ours.contains(&name) || FRAMING.contains(&name) => {
                faults.push(path.fault("kanaria writes this header itself"));
            }
            // The value may be a secret, so it is not shown.
            Ok(_) if HeaderValue::try_from(value).is_err() => {
                faults.push(path.fault("the value has characters that no header may have"));
            }
            Ok(_) => {}
        }
    }
}
