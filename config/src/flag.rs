//! Flags: ways to a pool that beat the weights, for staff and tests.
//!
//! A flag is an exact value, or one that we signed and that expires, and an optional set of networks.

use std::sync::Arc;

use http::HeaderName;

use crate::cookie;
use crate::facts::Facts;
use crate::ids::{FlagId, PoolId};
use crate::matching::contains;
use crate::sign::Signer;
use crate::units::Cidr;

/// One flag of a route.
#[derive(Debug)]
pub struct Flag {
    /// Name in logs.
    pub name: Arc<str>,
    /// The pool it leads to.
    pub pool: PoolId,
    /// Whether flagged clients are told the decision.
    pub reveal: bool,
    /// What flagged clients get for `/favicon.ico`; put here by who reads the file.
    pub favicon: Option<Favicon>,
    pub(crate) carrier: Carrier,
    pub(crate) wanted: Wanted,
    pub(crate) from: Vec<Cidr>,
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Favicon {
    /// Its type, by the end of the file's name.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// Which values count.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// This one.
    Exact(Box<[u8]>),
    /// Those signed for the flag of this route.
    Signed { route: Arc<str> },
}

/// What carries a flag's value.
#[derive(Debug)]
pub(crate) enum Carrier {
    Cookie(String),
    Header(HeaderName),
}

/// The first flag that `facts` carry.
pub(crate) fn first<'a>(
    flags: &'a [Flag],
    facts: &Facts<'_>,
    signer: &Signer,
) -> Option<(FlagId, &'a Flag)> {
    (0..)
        .map(FlagId)
        .zip(flags)
        .find(|(_, flag)| flag.is_carried(facts, signer))
}

/// The first flag of which `facts` carry a value in a cookie that has expired.
pub(crate) fn expired(flags: &[Flag], facts: &Facts<'_>, signer: &Signer) -> Option<FlagId> {
    let mut flags = (0..).map(FlagId).zip(flags);
    let found = flags.find(|(_, flag)| {
        let is_old = |value: &[u8]| {
            flag.expiry(value, signer)
                .is_some_and(|expiry| expiry <= facts.now)
        };
        let cookie = flag.cookie().filter(|_| flag.is_signed());
        cookie.is_some_and(|name| cookie::any(facts.fields, name, is_old))
    });
    found.map(|(id, _)| id)
}

impl Flag {
    /// The cookie that carries it, when one does.
    pub fn cookie(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Cookie(name) => Some(name),
            Carrier::Header(_) => None,
        }
    }

    /// Whether it takes values that were signed for it.
    pub(crate) const fn is_signed(&self) -> bool {
        matches!(self.wanted, Wanted::Signed { .. })
    }

    /// The header that carries it, when one does.
    pub fn header(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Cookie(_) => None,
            Carrier::Header(name) => Some(name.as_str()),
        }
    }

    pub(crate) fn is_carried(&self, facts: &Facts<'_>, signer: &Signer) -> bool {
        if !self.from.is_empty() && !contains(&self.from, facts.client_ip) {
            return false;
        }
        let counts = |value: &[u8]| match &self.wanted {
            Wanted::Exact(wanted) => value == &**wanted,
            Wanted::Signed { .. } => self
                .expiry(value, signer)
                .is_some_and(|expiry| facts.now < expiry),
        };
        match &self.carrier {
            Carrier::Cookie(name) => cookie::any(facts.fields, name, counts),
            Carrier::Header(name) => facts.fields.any(name, &mut { counts }),
        }
    }

    /// A value that counts until `expiry`, in seconds since 1970: `SECONDS.SIGNATURE`; `None` when it takes no signed ones.
    pub(crate) fn value(&self, expiry: u64, signer: &Signer) -> Option<String> {
        let Wanted::Signed { route } = &self.wanted else {
            return None;
        };
        let signature = signer.sign(&[
            route.as_bytes(),
            self.name.as_bytes(),
            &expiry.to_le_bytes(),
        ]);
        Some(format!("{expiry:x}.{signature}"))
    }

    /// When a value that was signed for this flag expires.
    fn expiry(&self, value: &[u8], signer: &Signer) -> Option<u64> {
        let Wanted::Signed { route } = &self.wanted else {
            return None;
        };
        let (expiry, signature) = std::str::from_utf8(value).ok()?.split_once('.')?;
        let expiry = u64::from_str_radix(expiry, 16).ok()?;
        let parts: [&[u8]; 3] = [
            route.as_bytes(),
            self.name.as_bytes(),
            &expiry.to_le_bytes(),
        ];
        signer
            .recognizes(&parts, signature.as_bytes())
            .then_some(expiry)
    }
}

#[cfg(test)]
mod tests;
