//! The signature of what is sent: `t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`.
//!
//! The time is signed with the body, so that a receiver can refuse what somebody sends again later.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `kanaria-signature` for `body`, sent at `now`, in seconds since 1970.
pub(super) fn signature(secret: &str, now: u64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(now.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut value = format!("t={now},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(value, "{byte:02x}");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf '1800000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn a_signature_is_what_openssl_says() {
        assert_eq!(
            signature("key", 1_800_000_000, b"{}"),
            "t=1800000000,v1=7321475872b03ff21bdc2dfd86ea2d99ec29c479fbe4a77aa6acf4509505493f"
        );
    }
}
