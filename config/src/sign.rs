//! Signatures over what we hand out and must recognize: pins, and values of flags.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::bucket::{Master, Secret};
use crate::id;

/// Bytes of a signature: the first half of an HMAC-SHA256.
const LENGTH: usize = 16;

/// What a snapshot makes of the secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets {
    pub(crate) master: Master,
    pub(crate) pins: Signer,
    pub(crate) flags: Signer,
}

impl Secrets {
    pub(crate) fn of(secret: &Secret) -> Self {
        Self {
            master: secret.master(),
            pins: Signer::new(secret, "pin"),
            flags: Signer::new(secret, "flag"),
        }
    }
}

/// Signs and recognizes values of one kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signer([u8; 32]);

impl Signer {
    /// The signer of the values called `kind`; what one kind signs, no other recognizes.
    pub fn new(secret: &Secret, kind: &str) -> Self {
        let key = Sha256::new()
            .chain_update("kanaria.")
            .chain_update(kind)
            .chain_update(secret.bytes())
            .finalize();
        Self(key.into())
    }

    /// The signature over `parts`, as 22 base64url characters.
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        let signature = self.mac(parts).finalize().into_bytes();
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(&signature[..LENGTH]);
        id::encode(&bytes).map(char::from).iter().collect()
    }

    /// Whether `given` is the signature over `parts`; takes equally long whatever differs.
    pub fn recognizes(&self, parts: &[&[u8]], given: &[u8]) -> bool {
        id::decode(given).is_some_and(|given| self.mac(parts).verify_truncated_left(&given).is_ok())
    }

    /// Each part behind its length, so that no two lists of parts are the same bytes.
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_parts_of_the_same_kind_are_recognized() {
        let secret = Secret::new([9; 32]);
        let pins = Signer::new(&secret, "pin");
        let signature = pins.sign(&[b"ecs", b"17"]);
        assert_eq!(signature.len(), 22);
        assert!(pins.recognizes(&[b"ecs", b"17"], signature.as_bytes()));
        for parts in [
            &[&b"ecs"[..], b"18"][..],
            &[b"ecs1", b"7"],
            &[b"ecs", b"17", b""],
            &[],
        ] {
            assert!(!pins.recognizes(parts, signature.as_bytes()));
        }
        for wrong in [
            &b""[..],
            b"x",
            &signature.as_bytes()[1..],
            b"AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!pins.recognizes(&[b"ecs", b"17"], wrong));
        }
        for other in [
            Signer::new(&secret, "flag"),
            Signer::new(&Secret::new([8; 32]), "pin"),
        ] {
            assert!(!other.recognizes(&[b"ecs", b"17"], signature.as_bytes()));
        }
    }
}
