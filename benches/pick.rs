//! What picking a target costs, without and with giving it back. Nothing here forwards a request.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::model::Config;
use config::snapshot::Structure;
use criterion::{Criterion, criterion_group, criterion_main};
use router::pool::{Failure, Pool, Pools};
use serde_json::{Value, json};

/// Weights from 1 to 3, so that a round is not just a list.
fn target(n: u16) -> Value {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1 + n));
    json!({ "address": address, "weight": 1 + n % 3 })
}

fn structure(n_targets: u16, balance: &str) -> Structure {
    let config = json!({
        "version": 1,
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": { "ec2": {
            "targets": (0..n_targets).map(target).collect::<Vec<_>>(),
            "balance": balance,
            "slow_start": "30s",
            "ejection": { "base_time": "1h" },
        } },
        "routes": [{ "name": "web", "stable": "ec2" }],
    });
    let config: Config =
        serde_json::from_value(config).expect("the value above is a configuration");
    Structure::compile(&config).expect("the configuration has no fault")
}

fn pool(n_targets: u16, balance: &str) -> Arc<Pool> {
    Arc::clone(&Pools::new().align(&structure(n_targets, balance))[0])
}

/// As `pool`, with every tenth target ejected.
fn ailing_pool(n_targets: u16, balance: &str) -> Arc<Pool> {
    let pool = pool(n_targets, balance);
    let now = Instant::now();
    for _ in 0..n_targets / 10 {
        let lease = pool.pick(&[], now).expect("most targets are healthy");
        pool.failed(&lease, Failure::Refused);
    }
    pool
}

/// What `n_picks` take, in lots that are given back between them: requests in flight, as many as a busy router has.
fn picks(pool: &Pool, now: Instant, n_picks: u64) -> Duration {
    const LOT: u64 = 256;
    let mut leases = Vec::with_capacity(LOT as usize);
    let mut took = Duration::ZERO;
    let mut left = n_picks;
    while left > 0 {
        let lot = left.min(LOT);
        let start = Instant::now();
        leases.extend((0..lot).map(|_| pool.pick(black_box(&[]), black_box(now))));
        took += start.elapsed();
        leases.clear();
        left -= lot;
    }
    took
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for balance in ["round_robin", "least_requests", "random"] {
        for (name, pool) in [
            ("1", pool(1, balance)),
            ("5", pool(5, balance)),
            ("1000", pool(1000, balance)),
            ("1000_with_100_out", ailing_pool(1000, balance)),
        ] {
            let now = Instant::now();
            group.bench_function(format!("{balance}/{name}"), |bencher| {
                bencher.iter_custom(|n_picks| picks(&pool, now, n_picks));
            });
            group.bench_function(format!("{balance}/{name}/and_back"), |bencher| {
                bencher.iter(|| pool.pick(black_box(&[]), black_box(now)).is_ok());
            });
        }
    }
    group.finish();
}

/// What one request pays when others must be found: a target went out, and the rotation is made anew.
fn look(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("swap");
    for n_targets in [5, 1000, 10_000] {
        let pools = Pools::new();
        let structure = structure(n_targets, "round_robin");
        pools.align(&structure);
        group.bench_function(format!("{n_targets}"), |bencher| {
            bencher.iter(|| pools.align(black_box(&structure)));
        });
    }
    group.finish();
}

criterion_group!(benches, pick, look);
criterion_main!(benches);
