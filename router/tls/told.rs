//! What targets are told of a client's TLS, by the names of an ALB.

use http::HeaderName;

/// The version, as `TLSv1.3`.
pub const VERSION: HeaderName = HeaderName::from_static("x-amzn-tls-version");
/// The cipher suite, as OpenSSL names it.
pub const CIPHER: HeaderName = HeaderName::from_static("x-amzn-tls-cipher-suite");
/// The client's certificate.
pub const CERTIFICATE: [HeaderName; 5] = [
    HeaderName::from_static("x-amzn-mtls-clientcert-serial-number"),
    HeaderName::from_static("x-amzn-mtls-clientcert-issuer"),
    HeaderName::from_static("x-amzn-mtls-clientcert-subject"),
    HeaderName::from_static("x-amzn-mtls-clientcert-validity"),
    HeaderName::from_static("x-amzn-mtls-clientcert-leaf"),
];

/// Whether a field of this name, in lower case, says something of TLS that only we may say: those above, others that begin
/// so, and what a server that folds `_` to `-` would take for them.
pub fn is_told(name: &str) -> bool {
    // Nearly all names are shorter than the shortest of these: all others cost a look at their length.
    name.len() >= VERSION.as_str().len()
        && [&b"x-amzn-tls-"[..], b"x-amzn-mtls-"]
            .iter()
            .any(|start| begins(name.as_bytes(), start))
}

fn begins(name: &[u8], start: &[u8]) -> bool {
    let mut pairs = name.iter().zip(start);
    pairs.all(|(given, want)| given == want || (*given == b'_' && *want == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_told_and_others_are_not() {
        let names = CERTIFICATE.into_iter().chain([VERSION, CIPHER]);
        for name in names {
            assert!(is_told(name.as_str()), "{name}");
            assert!(is_told(&name.as_str().replace('-', "_")), "{name}");
        }
        assert!(is_told("x-amzn-mtls-clientcert"));
        for name in [
            "x-amzn-trace-id",
            "x-forwarded-proto-of-tls",
            "x-amzn-tls",
            "host",
        ] {
            assert!(!is_told(name), "{name}");
        }
    }
}
