//! A client's fixed place: a keyed hash of its id.
//!
//! Keyed, so that nobody outside can compute which id lands where. The hash, the way keys are derived and the
//! number of buckets are pinned by golden vectors: changing any of them moves every user.

use std::fmt;

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use crate::split::BUCKETS;

/// The secret of a router or of a fleet of them; every key comes from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// The key from which the keys of all cohorts come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Master([u8; 16]);

/// The key that places the clients of one cohort in one epoch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BucketKey([u8; 16]);

/// The place of one client in one cohort and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Secret {
    /// From 32 random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes it was made from.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The master of the bucket keys: the first half of SHA-256 over a label and the secret, so that what other
    /// keys come from the secret say nothing of this one.
    pub fn master(&self) -> Master {
        let digest = Sha256::new()
            .chain_update("kanaria.bucket")
            .chain_update(self.0)
            .finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Master(key)
    }
}

impl Master {
    /// From the 16 bytes of a SipHash key.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The key of `cohort` in `epoch`.
    pub fn key(&self, cohort: &str, epoch: u64) -> BucketKey {
        let mut key = [0; 16];
        for (half, label) in key.chunks_exact_mut(8).zip(["kanaria.k0", "kanaria.k1"]) {
            half.copy_from_slice(&self.half(label, cohort, epoch).to_le_bytes());
        }
        BucketKey(key)
    }

    fn half(&self, label: &str, cohort: &str, epoch: u64) -> u64 {
        let mut text = Vec::with_capacity(label.len() + cohort.len() + 12);
        text.extend_from_slice(label.as_bytes());
        // A file is far smaller than 4 GiB, so the length is never cut.
        text.extend_from_slice(&(cohort.len() as u32).to_le_bytes());
        text.extend_from_slice(cohort.as_bytes());
        text.extend_from_slice(&epoch.to_le_bytes());
        SipHasher24::new_with_key(&self.0).hash(&text)
    }
}

impl BucketKey {
    /// The key's bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Where `id` is placed.
    pub fn place(&self, id: &[u8]) -> Place {
        Place(SipHasher24::new_with_key(&self.0).hash(id))
    }
}

impl Place {
    /// The whole hash.
    pub const fn hash(self) -> u64 {
        self.0
    }

    /// The bucket, 0 to 9999, which the weights are compared with.
    pub const fn bucket(self) -> u16 {
        ((self.0 as u128 * BUCKETS as u128) >> 64) as u16
    }

    /// The unit that statistics count a client as.
    pub const fn unit(self) -> u16 {
        self.0 as u16
    }

    /// One of eight groups of units.
    pub const fn group(self) -> u8 {
        (self.0 & 7) as u8
    }
}

macro_rules! secret {
    ($($type:ident)+) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(secret)"))
            }
        }
    )+};
}

secret!(Secret Master BucketKey);

#[cfg(test)]
pub(crate) mod tests;
