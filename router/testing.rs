//! A small configuration and requests of it, for tests of what happens after the decision.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::bucket::Secret;
use config::decision::{Choice, Decision, Reason, Sticky};
use config::ids::{ListenerId, PartitionId, PoolId, RouteId};
use config::live::{Latch, Live, LiveRoute, Owner, Weights};
use config::model;
use config::snapshot::{Snapshot, Structure};
use serde_json::{Value, json};

use crate::record::{Head, Record, Traits, Upstream};

/// Pools `ec2` and `ecs` with two targets each and `extra` keys, one route `blogs` of stable `ec2`.
pub(crate) fn structure(extra: &Value, access_logs: &Value) -> Arc<Structure> {
    let targets = |port: u16| [(port, 1), (port + 1, 1)];
    let pools = json!({
        "ec2": pool(&targets(3001), extra),
        "ecs": pool(&targets(4001), extra),
    });
    compiled(&pools, &json!({ "ec2": 95, "ecs": 5 }), access_logs)
}

/// A lone pool `ec2` with `targets` and `extra` keys.
pub(crate) fn lone(targets: &[(u16, u32)], extra: &Value) -> Arc<Structure> {
    let pools = json!({ "ec2": pool(targets, extra) });
    compiled(&pools, &json!({ "ec2": 1 }), &json!([]))
}

fn compiled(pools: &Value, weights: &Value, access_logs: &Value) -> Arc<Structure> {
    let config = json!({
        "version": 1,
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": pools,
        "partitions": { "hosts": { "*.blogs.example": "blogs" } },
        "routes": [{ "name": "blogs", "stable": "ec2", "weights": weights }],
        "access_log": access_logs,
    });
    let config: model::Config = serde_json::from_value(config).unwrap();
    let mut structure = Structure::compile(&config).unwrap();
    structure.digest = "0123456789ab".into();
    Arc::new(structure)
}

fn pool(targets: &[(u16, u32)], extra: &Value) -> Value {
    let target = |(port, weight): &(u16, u32)| json!({ "address": format!("127.0.0.1:{port}"), "weight": weight });
    let mut pool = json!({ "targets": targets.iter().map(target).collect::<Vec<_>>() });
    for (key, value) in extra.as_object().into_iter().flatten() {
        pool[key] = value.clone();
    }
    pool
}

/// `structure` in force with `ecs` at `canary` percent.
pub(crate) fn snapshot(structure: &Arc<Structure>, revision: u64, canary: u32) -> Snapshot {
    let weights = Weights::from([("ec2".into(), 100 - canary), ("ecs".into(), canary)]);
    let route = LiveRoute {
        block: weights.clone(),
        weights,
        owner: Owner::Live,
        state: Latch::Normal,
        draining: Default::default(),
        ramp: None,
    };
    let live = Live {
        revision,
        routes: [("blogs".into(), route.into())].into(),
        ..Live::default()
    };
    Snapshot::compile(Arc::clone(structure), &live, &Secret::new([7; 32])).unwrap()
}

/// A request that `ecs` answered with 200.
pub(crate) fn record() -> Record {
    Record {
        started: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_219_571_123_456),
        duration: Duration::from_micros(12_345),
        listener: ListenerId(0),
        local: ([192, 0, 2, 1], 8080).into(),
        client_ip: [203, 0, 113, 7].into(),
        client_port: Some(51_234),
        protocol: Some("HTTP/1.1"),
        grpc: false,
        tls: None,
        secure: false,
        head: Head::copy([
            Some(b"0198f5c2"),
            Some(b"1-67891233-abcdef012345678912345678"),
            Some(b"GET"),
            Some(b"www.example.com"),
            Some(b"/entry"),
            Some(b"page=2"),
            Some(b"curl/8.5.0"),
            None,
            None,
        ]),
        status: 200,
        error: None,
        traits: Traits::default(),
        bytes_in: 312,
        bytes_out: 1_400,
        dispatched: Some(Duration::from_micros(430)),
        rewritten: None,
        upstream: Some(Upstream {
            address: ([127, 0, 0, 1], 4001).into(),
            connect: Some(Duration::from_micros(210)),
            ttfb: Some(Duration::from_micros(11_020)),
            status: Some(200),
        }),
        attempts: 1,
        decision: Some(Decision {
            partition: PartitionId(1),
            route: Some(RouteId(0)),
            ambiguous: false,
            choice: Some(choice(1, Reason::Weight, Some(123))),
        }),
        switched_from: None,
        retries: Vec::new(),
        fail_open: false,
        shadow: None,
        cookie_dup: None,
    }
}

/// The route `blogs` with the pool at `pool`.
pub(crate) fn choice(pool: u16, reason: Reason, bucket: Option<u16>) -> Choice {
    Choice {
        pool: PoolId(pool),
        reason,
        flag: None,
        bucket,
        unit: bucket.unwrap_or_default(),
        sticky: Sticky::Hit,
        new_id: None,
        new_pin: false,
        expired: None,
    }
}

/// A request of the same route, served by `pool` at `bucket`.
pub(crate) fn served(pool: u16, reason: Reason, bucket: u16) -> Record {
    Record {
        decision: Some(Decision {
            partition: PartitionId(1),
            route: Some(RouteId(0)),
            ambiguous: false,
            choice: Some(choice(pool, reason, Some(bucket))),
        }),
        ..record()
    }
}

/// The head of a GET of `path`.
pub(crate) fn head(path: &str) -> Head {
    let path = Some(path.as_bytes());
    Head::copy([None, None, Some(b"GET"), None, path, None, None, None, None])
}

/// A request that could not be read.
pub(crate) fn unreadable() -> Record {
    Record {
        protocol: None,
        head: Head::copy([
            Some(b"0198f5c3"),
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        ]),
        status: 400,
        error: Some(crate::record::Cause::BadRequest),
        dispatched: None,
        upstream: None,
        attempts: 0,
        decision: None,
        ..record()
    }
}
