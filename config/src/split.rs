//! The weights of a route, and which buckets they give to which pool.
//!
//! Canaries own the low end in the order of the file, the stable pool owns the rest, so that raising one canary
//! only adds buckets to it. Who is in a bucket is not settled here.

use crate::ids::PoolId;

/// Number of buckets: a share is resolved to 0.01 %.
pub const BUCKETS: u16 = 10_000;

/// The largest weight of a pool.
pub const MAX_WEIGHT: u32 = 1_000_000;

/// Live weights of one route, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Weight of every pool of the route, in file order.
    pub weights: Vec<(PoolId, u32)>,
    /// The pool that a rollback returns to.
    pub stable: PoolId,
    /// `(upper edge, pool)` of each canary with a share, from bucket 0 upwards; the rest is stable's.
    pub edges: Vec<(u16, PoolId)>,
}

/// Why weights cannot be carried out. The words do not name the pool: the key they are shown with does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Nobody would serve.
    #[error("all weights are 0; at least one pool must get traffic")]
    AllZero,
    /// Above the limit.
    #[error("weight {weight} is too large; allowed are 0 to {MAX_WEIGHT}")]
    TooLarge {
        /// The pool.
        pool: PoolId,
        /// Its weight.
        weight: u32,
    },
    /// A weight above 0 that no bucket would be given for.
    #[error(
        "weight {weight} of {sum} is below the finest step of 0.01 %; write 0, or at least {least}"
    )]
    NoBucket {
        /// The pool.
        pool: PoolId,
        /// Its weight.
        weight: u32,
        /// The sum of all weights.
        sum: u64,
        /// The smallest weight that is sure to get a bucket beside the others.
        least: u64,
    },
}

impl SplitError {
    /// The pool at fault; `None` when it is all of them.
    pub const fn pool(&self) -> Option<PoolId> {
        match self {
            Self::AllZero => None,
            Self::TooLarge { pool, .. } | Self::NoBucket { pool, .. } => Some(*pool),
        }
    }
}

impl Split {
    /// Divides the buckets by `weights`, which are in file order.
    pub fn new(weights: Vec<(PoolId, u32)>, stable: PoolId) -> Result<Self, SplitError> {
        let sum = sum(&weights)?;
        let mut edges: Vec<(u16, PoolId)> = Vec::with_capacity(weights.len());
        let mut below = 0;
        for &(pool, weight) in weights.iter().filter(|(pool, _)| *pool != stable) {
            if weight == 0 {
                continue;
            }
            below += u64::from(weight);
            // At most BUCKETS, because `below` is at most `sum`.
            let edge = (u64::from(BUCKETS) * below / sum) as u16;
            if edge == edges.last().map_or(0, |(edge, _)| *edge) {
                return Err(no_bucket(pool, weight, sum));
            }
            edges.push((edge, pool));
        }
        Ok(Self {
            weights,
            stable,
            edges,
        })
    }

    /// All of a route's requests to its only pool.
    pub fn whole(stable: PoolId) -> Self {
        Self {
            weights: vec![(stable, 1)],
            stable,
            edges: Vec::new(),
        }
    }

    /// The pool that owns `bucket`.
    pub fn pool_of(&self, bucket: u16) -> PoolId {
        self.edges
            .iter()
            .find(|(edge, _)| bucket < *edge)
            .map_or(self.stable, |(_, pool)| *pool)
    }

    /// The buckets of `pool`, as a range that may be empty.
    pub fn buckets_of(&self, pool: PoolId) -> std::ops::Range<u16> {
        let mut start = 0;
        for &(edge, owner) in &self.edges {
            if owner == pool {
                return start..edge;
            }
            start = edge;
        }
        if pool == self.stable {
            return start..BUCKETS;
        }
        start..start
    }

    /// The part of all buckets that `pool` owns, 0 to 1.
    pub fn share(&self, pool: PoolId) -> f64 {
        self.buckets_of(pool).len() as f64 / f64::from(BUCKETS)
    }
}

fn sum(weights: &[(PoolId, u32)]) -> Result<u64, SplitError> {
    if let Some(&(pool, weight)) = weights.iter().find(|(_, weight)| *weight > MAX_WEIGHT) {
        return Err(SplitError::TooLarge { pool, weight });
    }
    let sum = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
    if sum == 0 {
        return Err(SplitError::AllZero);
    }
    Ok(sum)
}

fn no_bucket(pool: PoolId, weight: u32, sum: u64) -> SplitError {
    // w / (others + w) >= 1 / BUCKETS, solved for w.
    let others = sum - u64::from(weight);
    SplitError::NoBucket {
        pool,
        weight,
        sum,
        least: others.div_ceil(u64::from(BUCKETS) - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EC2: PoolId = PoolId(0);
    const ECS: PoolId = PoolId(1);
    const EKS: PoolId = PoolId(2);

    #[track_caller]
    fn check(weights: &[(PoolId, u32)], expect: &[(PoolId, usize)]) {
        let split = Split::new(weights.to_vec(), EC2).unwrap();
        for (pool, n_buckets) in expect {
            let range = split.buckets_of(*pool);
            assert_eq!(range.len(), *n_buckets, "{pool:?} of {weights:?}");
            assert!(range.clone().all(|bucket| split.pool_of(bucket) == *pool));
            let counted = (0..BUCKETS).filter(|b| split.pool_of(*b) == *pool).count();
            assert_eq!(counted, *n_buckets, "{pool:?} of {weights:?}");
        }
    }

    #[test]
    fn shares_are_weight_over_sum() {
        check(&[(EC2, 95), (ECS, 5)], &[(EC2, 9500), (ECS, 500)]);
        check(&[(ECS, 30), (EC2, 70)], &[(EC2, 7000), (ECS, 3000)]);
        check(&[(EC2, 2), (ECS, 1)], &[(EC2, 6667), (ECS, 3333)]);
        check(&[(EC2, 0), (ECS, 7)], &[(EC2, 0), (ECS, 10_000)]);
        check(&[(EC2, 7), (ECS, 0)], &[(EC2, 10_000), (ECS, 0)]);
        check(&[(EC2, 9999), (ECS, 1)], &[(EC2, 9999), (ECS, 1)]);
        check(&[(EC2, 1), (ECS, 1_000_000)], &[(EC2, 1), (ECS, 9999)]);
        let thirds = [(ECS, 1), (EC2, 1), (EKS, 1)];
        check(&thirds, &[(ECS, 3333), (EKS, 3333), (EC2, 3334)]);
    }

    #[test]
    fn canaries_own_the_low_end_in_file_order() {
        let split = Split::new(vec![(EKS, 1), (EC2, 8), (ECS, 1)], EC2).unwrap();
        assert_eq!(split.edges, [(1000, EKS), (2000, ECS)]);
        assert_eq!(split.buckets_of(EC2), 2000..10_000);
        assert_eq!(split.buckets_of(PoolId(9)).len(), 0);
    }

    #[test]
    fn weights_that_cannot_be_carried_out_are_refused() {
        let refused = |weights: &[(PoolId, u32)]| Split::new(weights.to_vec(), EC2).unwrap_err();
        assert_eq!(refused(&[(EC2, 0), (ECS, 0)]), SplitError::AllZero);
        assert_eq!(refused(&[]), SplitError::AllZero);
        assert_eq!(
            refused(&[(EC2, 1), (ECS, 1_000_001)]).to_string(),
            "weight 1000001 is too large; allowed are 0 to 1000000"
        );
        let unseen = refused(&[(EC2, 1_000_000), (ECS, 1)]);
        assert_eq!(unseen.pool(), Some(ECS));
        assert_eq!(
            unseen.to_string(),
            "weight 1 of 1000001 is below the finest step of 0.01 %; write 0, or at least 101"
        );
        check(&[(EC2, 1_000_000), (ECS, 101)], &[(ECS, 1)]);
    }

    fn weights() -> impl Strategy<Value = Vec<(PoolId, u32)>> {
        prop::collection::vec(0..=MAX_WEIGHT, 1..5)
            .prop_map(|weights| (0..).map(PoolId).zip(weights).collect())
    }

    proptest! {
        #[test]
        fn every_bucket_has_one_owner_and_shares_are_exact(weights in weights()) {
            let sum: u64 = weights.iter().map(|(_, w)| u64::from(*w)).sum();
            let Ok(split) = Split::new(weights.clone(), EC2) else { return Ok(()) };
            let mut all = 0;
            for (pool, weight) in weights {
                let n = split.buckets_of(pool).len();
                all += n;
                let exact = 10_000.0 * f64::from(weight) / sum as f64;
                prop_assert!((n as f64 - exact).abs() < 1.0);
                prop_assert_eq!(n > 0, weight > 0);
            }
            prop_assert_eq!(all, usize::from(BUCKETS));
        }

        #[test]
        fn a_raise_only_adds_and_a_lowering_removes_the_last_added(
            ec2 in 1u32..=10_000, before in 0u32..=10_000, after in 0u32..=10_000,
        ) {
            let split = |ecs| Split::new(vec![(EC2, ec2), (ECS, ecs)], EC2);
            let (Ok(old), Ok(new)) = (split(before), split(after)) else { return Ok(()) };
            for bucket in 0..BUCKETS {
                match (old.pool_of(bucket), new.pool_of(bucket)) {
                    (EC2, ECS) => prop_assert!(after > before),
                    (ECS, EC2) => prop_assert!(after < before),
                    _ => {}
                }
            }
            prop_assert_eq!(old.buckets_of(ECS).start, 0);
            prop_assert_eq!(new.buckets_of(ECS).start, 0);
        }

        #[test]
        fn when_all_edges_rise_users_move_only_towards_earlier_pools(
            old in (0u32..50, 0u32..50), rise in (0u32..20, 0u32..20),
        ) {
            let split = |ecs, eks| {
                Split::new(vec![(ECS, ecs), (EKS, eks), (EC2, 200 - ecs - eks)], EC2).unwrap()
            };
            let low = split(old.0, old.1);
            // Both edges rise: the first by its own rise, the second by the sum of both.
            let high = split(old.0 + rise.0, old.1 + rise.1);
            let order = |pool| [ECS, EKS, EC2].iter().position(|p| *p == pool);
            for bucket in 0..BUCKETS {
                prop_assert!(order(high.pool_of(bucket)) <= order(low.pool_of(bucket)));
            }
        }
    }
}
