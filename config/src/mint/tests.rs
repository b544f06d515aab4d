//! What minting promises: even shares at any moment, every id new, and the golden vectors.

use std::collections::HashSet;

use super::*;
use crate::bucket::{Master, tests as vectors};
use crate::ids::PoolId;

const EC2: PoolId = PoolId(0);
const ECS: PoolId = PoolId(1);
const EKS: PoolId = PoolId(2);

/// SplitMix64: repeatable, and independent of what is tested.
fn random(seed: u64) -> impl FnMut() -> [u8; 16] {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    move || {
        let halves = [next().to_le_bytes(), next().to_le_bytes()].concat();
        halves.try_into().unwrap()
    }
}

fn key() -> BucketKey {
    Master::new([3; 16]).key("default", 0)
}

fn split(weights: &[(PoolId, u32)]) -> Split {
    Split::new(weights.to_vec(), EC2).unwrap()
}

#[test]
fn a_stratum_is_met_by_the_first_candidate_in_it() {
    for vector in vectors::vectors("mint") {
        let key = vectors::key(&vector);
        let candidates = vector["candidates_hex"].as_array().unwrap();
        let candidates = candidates
            .iter()
            .map(|hex| vectors::unhex(hex).try_into().unwrap());
        let candidates: Vec<[u8; 16]> = candidates.collect();
        for row in vector["rows"].as_array().unwrap() {
            let stratum = row["stratum"].as_u64().unwrap();
            // The first bytes shuffle: they deal the wanted stratum from a new deck.
            let first = u128::from(stratum).to_le_bytes();
            let mut bytes = std::iter::once(first).chain(candidates.iter().copied());
            let mut minter = Minter::new(key, &split(&[(EC2, 1), (ECS, 1)]));
            let mut ran_out = false;
            let id = minter.next(|| {
                bytes.next().unwrap_or_else(|| {
                    ran_out = true;
                    candidates[0]
                })
            });
            match row["accepted_index"].as_u64() {
                Some(index) => assert_eq!((id, ran_out), (candidates[index as usize], false)),
                None => assert!(ran_out, "{}: stratum {stratum}", vector["name"]),
            }
        }
    }
}

#[test]
fn each_hundred_new_clients_hit_each_percent_once() {
    let mut random = random(1);
    let mut minter = Minter::new(key(), &split(&[(EC2, 99), (ECS, 1)]));
    for _ in 0..50 {
        let strata = (0..100).map(|_| key().place(&minter.next(&mut random)).bucket() / 100);
        assert_eq!(strata.collect::<HashSet<_>>().len(), 100);
    }
}

#[test]
fn no_id_is_given_twice() {
    let mut random = random(2);
    let mut minter = Minter::new(key(), &split(&[(EC2, 9_999), (ECS, 1)]));
    let mut seen = HashSet::new();
    for n in 0..50_000u32 {
        if n % 1_000 == 0 {
            minter.align(&key(), &split(&[(EC2, 9_000), (ECS, 1 + n / 100)]));
        }
        assert!(seen.insert(minter.next(&mut random)));
    }
}

/// The largest distance, in clients, between the asked and the achieved count of each pool after `n` new clients.
fn error(weights: &[(PoolId, u32)], n: usize, seed: u64) -> f64 {
    let split = split(weights);
    let mut random = random(seed);
    let mut minter = Minter::new(key(), &split);
    let ids = (0..n).map(|_| split.pool_of(key().place(&minter.next(&mut random)).bucket()));
    let pools: Vec<PoolId> = ids.collect();
    let errors = weights.iter().map(|(pool, _)| {
        let achieved = pools.iter().filter(|p| *p == pool).count() as f64;
        (achieved - split.share(*pool) * n as f64).abs()
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn shares_are_exact_after_whole_rounds() {
    for seed in 0..5 {
        assert_eq!(error(&[(EC2, 99), (ECS, 1)], 10_000, seed), 0.0);
        assert_eq!(error(&[(EC2, 50), (ECS, 50)], 10_000, seed), 0.0);
        // Edges inside a stratum: each of its buckets once in 100 rounds.
        assert_eq!(error(&[(EC2, 9_963), (ECS, 37)], 10_000, seed), 0.0);
        assert_eq!(
            error(&[(ECS, 333), (EC2, 333), (EKS, 334)], 10_000, seed),
            0.0
        );
        // Two edges in one stratum.
        assert_eq!(
            error(&[(ECS, 30), (EKS, 30), (EC2, 9_940)], 10_000, seed),
            0.0
        );
    }
}

#[test]
fn shares_are_close_at_any_moment() {
    for seed in 0..20 {
        for n in [137, 1_050, 5_555] {
            assert!(error(&[(EC2, 99), (ECS, 1)], n, seed) <= 1.0);
            // A plain coin is off by 35 at one standard deviation of 5,555 clients.
            assert!(error(&[(EC2, 1), (ECS, 1)], n, seed) <= 20.0);
        }
    }
}

#[test]
fn the_finest_share_is_met_although_it_seldom_turns_up() {
    let far = (0..10).map(|seed| error(&[(EC2, 9_999), (ECS, 1)], 50_000, seed));
    // Five clients are asked for in five rounds, and what did not turn up in one is owed to the next.
    let far: Vec<f64> = far.collect();
    assert!(far.iter().all(|far| *far <= 1.0), "{far:?}");
    assert!(far.iter().sum::<f64>() <= 2.0, "{far:?}");
}

#[test]
fn frequent_changes_of_weights_do_not_add_up() {
    let mut random = random(4);
    let mut minter = Minter::new(key(), &split(&[(EC2, 1), (ECS, 1)]));
    let mut strata = [0u32; 100];
    for n in 0..10_000u32 {
        minter.align(&key(), &split(&[(EC2, 10_000), (ECS, 1_000 + n)]));
        strata[usize::from(key().place(&minter.next(&mut random)).bucket() / 100)] += 1;
    }
    assert!(strata.iter().all(|n| n.abs_diff(100) <= 2), "{strata:?}");
}

#[test]
fn nothing_drawn_is_wasted_for_long() {
    let mut random = random(5);
    let mut drawn = 0;
    let mut minter = Minter::new(key(), &split(&[(EC2, 99), (ECS, 1)]));
    for _ in 0..20_000 {
        minter.next(|| {
            drawn += 1;
            random()
        });
    }
    // One draw a client is the shuffle's.
    let per_client = f64::from(drawn) / 20_000.0 - 1.0;
    assert!((1.0..1.6).contains(&per_client), "{per_client}");
}

#[test]
fn another_key_starts_anew() {
    let other = Master::new([3; 16]).key("default", 1);
    let mut random = random(6);
    let split = split(&[(EC2, 50), (ECS, 50)]);
    let mut minter = Minter::new(key(), &split);
    minter.next(&mut random);
    minter.align(&other, &split);
    let strata = (0..100).map(|_| other.place(&minter.next(&mut random)).bucket() / 100);
    assert_eq!(strata.collect::<HashSet<_>>().len(), 100);
}
