//! What is remembered of one client of one route, in 64 bits, and where.
//!
//! Route, bucket and unit are 46 bits, which a multiplication by an odd number mixes and loses nothing of: the upper 17
//! are the place in the table, the other 29 are kept there, so whoever is found is who was looked for.

use config::decision::Reason;

use super::history::{ERAS, Stay};

/// Clients that are remembered.
pub(super) const PLACES: usize = 1 << PLACE_BITS;
/// Numbers of pools are below.
pub(super) const POOLS: u16 = (1 << POOL_BITS) - 1;
/// Numbers of routes are below.
pub(super) const ROUTES: u64 = (1 << ROUTE_BITS) - 1;

const PLACE_BITS: u32 = 17;
const ROUTE_BITS: u32 = 16;
/// Bucket and unit.
const CLIENT_BITS: u32 = 14 + 16;
const TAG_BITS: u32 = ROUTE_BITS + CLIENT_BITS - PLACE_BITS;
const POOL_BITS: u32 = 12;
const REASON_BITS: u32 = 3;

// From the top: tag, era, pool, reason (from 1, so that 0 is nobody), whether an id came with a request.
const REASON: u32 = 1;
const POOL: u32 = REASON + REASON_BITS;
const ERA: u32 = POOL + POOL_BITS;
const TAG: u32 = 64 - TAG_BITS;
const _: () = assert!(ERAS == 1 << (TAG - ERA));

/// Where the client of `route` is remembered, and what tells it from others there.
pub(super) const fn place(route: u64, client: u64) -> (usize, u64) {
    let mixed = (route << CLIENT_BITS | client).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = mixed << (64 - ROUTE_BITS - CLIENT_BITS);
    ((mixed >> (64 - PLACE_BITS)) as usize, mixed << PLACE_BITS)
}

/// A client, and how it was served last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(pub(super) u64);

impl Seen {
    /// The bits of `era`.
    pub(super) const fn era_bits(era: u32) -> u64 {
        (era as u64) << ERA
    }

    /// The bits of requests without a client that could be known again: nothing that is kept has them.
    pub(super) const NOBODY: u64 = 1;

    /// The bits of how requests are served.
    pub(super) fn bits(pool: u16, reason: Reason, with_id: bool) -> u64 {
        u64::from(pool) << POOL | (reason as u64 + 1) << REASON | u64::from(with_id)
    }

    /// Whether `other`, which is to be kept at the same place, is of the same client.
    pub(super) const fn is_of(self, other: Self) -> bool {
        self.0 != 0 && (self.0 ^ other.0) >> TAG == 0
    }

    /// An id came with this request, or with an earlier one.
    pub(super) const fn came_with_id(self) -> bool {
        self.0 & 1 != 0
    }

    /// The same, of a client that was seen `before`.
    pub(super) const fn known_as(self, before: Self) -> Self {
        Self(self.0 | before.0 & 1)
    }

    pub(super) const fn pool(self) -> u16 {
        (self.0 >> POOL) as u16 & POOLS
    }

    pub(super) const fn era(self) -> u32 {
        (self.0 >> ERA) as u32 & (ERAS - 1)
    }

    /// How it was served; `None` when nobody was.
    pub(super) fn stay(self) -> Option<Stay> {
        let reasons = [
            Reason::Flag,
            Reason::Pin,
            Reason::Weight,
            Reason::Cap,
            Reason::Failover,
            Reason::Fallback,
        ];
        let number = (self.0 >> REASON & ((1 << REASON_BITS) - 1)) as usize;
        Some(Stay {
            era: self.era(),
            pool: self.pool(),
            reason: *reasons.get(number.checked_sub(1)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_kept_is_what_was_seen() {
        let (_, tag) = place(3, 9_999 << 16 | 65_535);
        for reason in [Reason::Flag, Reason::Weight, Reason::Fallback] {
            let seen = Seen(tag | Seen::era_bits(ERAS - 1) | Seen::bits(POOLS - 1, reason, true));
            let stay = Stay {
                era: ERAS - 1,
                pool: POOLS - 1,
                reason,
            };
            assert_eq!(seen.stay(), Some(stay));
            assert!(seen.came_with_id() && seen.is_of(Seen(tag)));
        }
        assert_eq!(Seen(0).stay(), None);
        assert!(!Seen(0).is_of(Seen(0)));
    }

    /// No two clients have both in common, in one route or in two.
    #[test]
    fn nobody_is_taken_for_somebody_else() {
        let mut known = HashSet::new();
        for route in [0, 1, 2, ROUTES - 1] {
            for bucket in (0..10_000_u64).step_by(7) {
                for unit in [0, 1, 2, 255, 256, 65_535] {
                    let (position, tag) = place(route, bucket << 16 | unit);
                    assert!(position < PLACES);
                    assert!(known.insert((position, tag)), "{route} {bucket} {unit}");
                }
            }
        }
    }

    #[test]
    fn clients_are_spread_over_the_table() {
        let mut state = 1_u64;
        let places: HashSet<usize> = (0..10_000_u64)
            .map(|n| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                place(1, n << 16 | state >> 48).0
            })
            .collect();
        // Thrown at random, 10,000 would hit 9,628 places of 131,072.
        assert!(places.len() > 9_400, "{}", places.len());
    }
}
