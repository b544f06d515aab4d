//! Tickets of sessions, sealed with keys from a file that several routers share.
//!
//! A client that comes back shows its ticket, and whoever has the key goes on with its session; nothing is kept here.
//! rustls makes random keys by itself and takes none, so this is ours: the name of a key, and what AES-256-GCM makes of
//! the time and the session.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use rustls::server::ProducesTickets;

use super::ring::Ring;

/// A session may be gone on with for so long, and not for the week that RFC 8446 section 4.6.1 allows.
const LIFETIME: u32 = 12 * 60 * 60;
/// Clocks of routers may differ by so many seconds.
const SKEW: u64 = 5 * 60;
/// Bytes of the name of a key.
const NAME: usize = 16;
/// Bytes of the time.
const TIME: usize = 8;

/// Seals and opens the tickets of a listener.
pub(super) struct Tickets {
    keys: ArcSwap<Vec<Key>>,
    /// What clients of the listener had to show: a session is of no use where more is asked for.
    terms: Vec<u8>,
}

/// One key, which is of one secret and of certain terms.
struct Key {
    name: [u8; NAME],
    cipher: RandomizedNonceKey,
}

impl Tickets {
    /// Tickets under the keys of `ring`, for sessions under `terms`.
    pub(super) fn new(ring: &Ring, terms: Vec<u8>) -> Self {
        let keys = ArcSwap::from_pointee(keys(ring, &terms));
        Self { keys, terms }
    }

    /// Goes on with the keys of `ring`.
    pub(super) fn turn(&self, ring: &Ring) {
        self.keys.store(Arc::new(keys(ring, &self.terms)));
    }

    fn seal(&self, session: &[u8], now: u64) -> Option<Vec<u8>> {
        let keys = self.keys.load();
        let key = keys.first()?;
        let mut sealed = Vec::with_capacity(TIME + session.len() + AES_256_GCM.tag_len());
        sealed.extend(now.to_be_bytes());
        sealed.extend(session);
        let aad = Aad::from(key.name);
        let nonce = key.cipher.seal_in_place_append_tag(aad, &mut sealed).ok()?;
        Some([&key.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.name == *name)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut opened = sealed.to_vec();
        let opened = key
            .cipher
            .open_in_place(nonce, Aad::from(key.name), &mut opened)
            .ok()?;
        let (time, session) = opened.split_first_chunk::<TIME>()?;
        let sealed_at = u64::from_be_bytes(*time);
        let is_young = sealed_at <= now + SKEW && now < sealed_at + u64::from(LIFETIME);
        is_young.then(|| session.to_vec())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.seal(session, now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, now())
    }
}

/// Keys are not shown.
impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn keys(ring: &Ring, terms: &[u8]) -> Vec<Key> {
    ring.secrets()
        .filter_map(|secret| Key::of(secret, terms))
        .collect()
}

impl Key {
    /// Nobody who knows the one of two listeners knows the other, and neither says what the secret is.
    fn of(secret: &[u8], terms: &[u8]) -> Option<Self> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |what: &[u8]| hmac::sign(&secret, &[what, terms].concat());
        let name = derive(b"kanaria tickets: name ");
        let key = derive(b"kanaria tickets: key ");
        Some(Self {
            name: *name.as_ref().first_chunk()?,
            cipher: RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
