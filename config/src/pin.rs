//! Pins: a second, signed cookie that names the pool a client was on, for clients that must not change it.
//!
//! In mode `pin` it decides until it has expired; with `hold_up` it only delays a move towards a pool that was given
//! more, never a way back. A pool without a weight keeps nobody, unless it drains. Nothing here reads a clock.

use crate::bucket::BucketKey;
use crate::cookie;
use crate::facts::Facts;
use crate::ids::PoolId;
use crate::model::{Sticky, StickyMode};
use crate::sign::Signer;
use crate::split::Split;

/// How the pins of a route work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinning {
    /// Name of the cookie.
    pub cookie: String,
    /// Seconds that a pin counts from when it was given, which is also how long a browser keeps it.
    pub lasts: u64,
    /// Seconds after which a client that is on its pool gets a new one.
    pub(crate) renewed_after: u64,
    pub(crate) rule: Rule,
}

/// What a pin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It decides.
    Decides,
    /// It delays a move towards a pool that was given more.
    Delays,
}

/// A pin that came with a request, ours and not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) pool: PoolId,
    pub(crate) age: u64,
}

/// What becomes of a client with or without a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The pool that its pin keeps it on.
    pub(crate) kept: Option<PoolId>,
    /// It is given a pin to the pool it goes to.
    pub(crate) renewed: bool,
}

impl Pinning {
    /// The rules that `sticky` asks for, for a route of `cohort`; none when it asks for no pins.
    pub(crate) fn of(sticky: &Sticky, cohort: &str) -> Option<Self> {
        let (hold, pin) = (sticky.hold_up.0.as_secs(), sticky.pin_for.0.as_secs());
        let (rule, lasts, renewed_after) = match sticky.mode {
            StickyMode::Pin => (Rule::Decides, pin, pin),
            // Given anew only when half of the time is over, so each has half more: who was seen within it is held.
            StickyMode::Bucket if hold > 0 => (Rule::Delays, hold + hold.div_ceil(2), hold / 2),
            StickyMode::Bucket | StickyMode::Off => return None,
        };
        let mut cookie = format!("{}-pin", sticky.cookie);
        // Of two cohorts on one host neither takes the other's pins away.
        if cohort != "default" {
            cookie.push('-');
            cookie.push_str(cohort);
        }
        Some(Self {
            cookie,
            lasts,
            renewed_after,
            rule,
        })
    }

    /// The pin in `facts`: `POOL.SECONDS.SIGNATURE`, of the first cookie that is ours and names one of `pools`.
    pub(crate) fn find<'a>(
        &self,
        signing: (&Signer, &BucketKey),
        pools: impl Iterator<Item = (PoolId, &'a str)> + Clone,
        facts: &Facts<'_>,
    ) -> Option<Pin> {
        let mut found = None;
        cookie::any(facts.fields, &self.cookie, |value| {
            found = read(signing, pools.clone(), value, facts.now).filter(|it| it.age < self.lasts);
            found.is_some()
        });
        found
    }

    /// What `pin` does to a client whom the weights send to `weighed`.
    pub(crate) fn judge(
        &self,
        pin: Option<Pin>,
        weighed: PoolId,
        split: &Split,
        drains: impl Fn(PoolId) -> bool,
    ) -> Verdict {
        let has_weight = |pool| split.weights.iter().any(|it| it.0 == pool && it.1 > 0);
        let keeps = |pool| match self.rule {
            Rule::Decides => has_weight(pool) || drains(pool),
            // Who moves to an earlier pool is added to it; who moves to a later one was taken from its own.
            Rule::Delays => {
                has_weight(pool) && split.buckets_of(weighed).start < split.buckets_of(pool).start
            }
        };
        let kept = pin.map(|pin| pin.pool).filter(|pool| keeps(*pool));
        let is_fresh = |pin: Pin| pin.pool == weighed && pin.age <= self.renewed_after;
        Verdict {
            kept,
            renewed: kept.is_none() && !pin.is_some_and(is_fresh),
        }
    }
}

/// The value of a pin to `pool`, given at `now`. The key stands for cohort and epoch: a reshuffle ends all pins.
pub(crate) fn value(signing: (&Signer, &BucketKey), pool: &str, now: u64) -> String {
    let (signer, key) = signing;
    let signature = signer.sign(&[key.bytes(), pool.as_bytes(), &now.to_le_bytes()]);
    format!("{pool}.{now:x}.{signature}")
}

fn read<'a>(
    (signer, key): (&Signer, &BucketKey),
    mut pools: impl Iterator<Item = (PoolId, &'a str)>,
    value: &[u8],
    now: u64,
) -> Option<Pin> {
    let text = std::str::from_utf8(value).ok()?;
    let (text, signature) = text.rsplit_once('.')?;
    let (name, given) = text.rsplit_once('.')?;
    let (pool, _) = pools.find(|(_, known)| *known == name)?;
    let given = u64::from_str_radix(given, 16).ok()?;
    let parts: [&[u8]; 3] = [key.bytes(), name.as_bytes(), &given.to_le_bytes()];
    // Another router's clock may be ahead of ours.
    let age = now.saturating_sub(given);
    let is_ours = signer.recognizes(&parts, signature.as_bytes());
    is_ours.then_some(Pin { pool, age })
}

#[cfg(test)]
mod tests;
