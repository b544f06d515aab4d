//! Flags: ways to a pool that beat the weights, for staff and tests.
//!
//! A flag is an exact value and an optional set of networks; nothing here expires or is signed.

use std::sync::Arc;

use http::HeaderName;

use crate::cookie;
use crate::facts::Facts;
use crate::ids::{FlagId, PoolId};
use crate::matching::contains;
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
    pub(crate) carrier: Carrier,
    pub(crate) value: Box<[u8]>,
    pub(crate) from: Vec<Cidr>,
}

/// What carries a flag's value.
#[derive(Debug)]
pub(crate) enum Carrier {
    Cookie(String),
    Header(HeaderName),
}

/// The first flag that `facts` carry.
pub(crate) fn first<'a>(flags: &'a [Flag], facts: &Facts<'_>) -> Option<(FlagId, &'a Flag)> {
    (0..)
        .map(FlagId)
        .zip(flags)
        .find(|(_, flag)| flag.is_carried(facts))
}

impl Flag {
    pub(crate) fn is_carried(&self, facts: &Facts<'_>) -> bool {
        if !self.from.is_empty() && !contains(&self.from, facts.client_ip) {
            return false;
        }
        let is_ours = |value: &[u8]| value == &*self.value;
        match &self.carrier {
            Carrier::Cookie(name) => cookie::any(facts.fields, name, is_ours),
            Carrier::Header(name) => facts.fields.any(name, &mut { is_ours }),
        }
    }
}
