//! What a decision, a new id and a change of weights cost at 1,000 routes. Nothing here forwards a request.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use config::bucket::{Master, Secret};
use config::facts::{Facts, Fresh};
use config::ids::{ListenerId, PoolId, RouteId};
use config::live::{Latch, Live, LiveRoute, Owner, Weights};
use config::load::{self, Text};
use config::mint::Minter;
use config::model::Config;
use config::snapshot::{Snapshot, Structure};
use config::split::Split;
use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use router::entropy::Entropy;
use serde_json::{Map, Value, json};

const ROUTES: usize = 1_000;

/// 500 routes by host, 250 by suffix and 250 by partition, each with weights, a flag and stickiness.
fn config(n_routes: usize) -> Config {
    let hosts = (0..250).flat_map(|n| {
        let partition = json!(format!("p{n}"));
        [format!("*.p{n}.example"), format!("www.p{n}.example")]
            .map(|host| (host, partition.clone()))
    });
    let config = json!({
        "version": 1,
        "listeners": [{ "name": "public", "bind": "127.0.0.1:0" }],
        "pools": {
            "ec2": { "targets": ["127.0.0.1:3001"] },
            "ecs": { "targets": ["127.0.0.1:3002"] },
        },
        "partitions": { "hosts": hosts.collect::<Map<_, _>>() },
        "routes": (0..n_routes).map(route).collect::<Vec<_>>(),
    });
    serde_json::from_value(config).expect("the value above is a configuration")
}

fn route(n: usize) -> Value {
    let matches = match n % 4 {
        0 | 1 => json!({ "host": format!("h{n}.example") }),
        2 => json!({ "host": [format!("*.s{n}.example")], "path": "/*" }),
        _ => json!({ "partition": format!("p{}", n / 4), "method": ["GET", "POST"] }),
    };
    json!({
        "name": format!("r{n}"),
        "match": matches,
        "stable": "ec2",
        "weights": { "ec2": 95, "ecs": 5 },
        "flags": [{ "name": "staff", "cookie": "flag", "value": "on", "pool": "ecs" }],
    })
}

/// A file as `--reload` of `benches/proxy` writes it: one host and one pool each.
fn file(n_routes: usize) -> Text {
    let head = "version = 1\nlisteners = [{ name = \"public\", bind = \"127.0.0.1:0\" }]\n\
                [pools.ec2]\ntargets = [\"127.0.0.1:3001\"]\n";
    let routes = (0..n_routes).map(|n| {
        format!("[[routes]]\nname = \"r{n}\"\nmatch = {{ host = [\"r{n}.example\"] }}\nstable = \"ec2\"\n")
    });
    Text {
        name: "kanaria.toml".into(),
        text: std::iter::once(head.to_owned()).chain(routes).collect(),
    }
}

fn snapshot() -> Snapshot {
    let structure = Structure::compile(&config(ROUTES)).expect("the configuration has no fault");
    let secret = Secret::new([7; 32]);
    Snapshot::compile(Arc::new(structure), &Live::default(), &secret)
        .expect("the file's weights can be carried out")
}

/// What a browser sends, as far as it matters.
fn headers(cookie: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("accept", "text/html,application/xhtml+xml"),
        ("accept-language", "ja,en-US;q=0.7,en;q=0.3"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
        ),
        ("cookie", cookie),
    ] {
        headers.append(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        );
    }
    headers
}

fn facts<'a>(host: &'a str, fields: &'a HeaderMap, fresh: &'a dyn Fresh) -> Facts<'a> {
    let ip = IpAddr::from([192, 0, 2, 1]);
    Facts {
        listener: ListenerId(0),
        method: "GET",
        host,
        path: "/entry/2026/11/20/120000",
        query: Some("utm_source=feed"),
        fields,
        source_ip: ip,
        client_ip: ip,
        trusted: false,
        now: 0,
        fresh,
    }
}

fn decide(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let known =
        headers("a=b; session=0123456789abcdef; kanaria=AAECAwQFBgcICQoLDA0ODw; theme=dark");
    let flagged = headers("a=b; flag=on; kanaria=AAECAwQFBgcICQoLDA0ODw; theme=dark");
    let new = headers("a=b; session=0123456789abcdef");
    let mut group = criterion.benchmark_group("decide");
    for (name, host, fields) in [
        ("cookie_by_host", "h996.example", &known),
        ("cookie_by_suffix", "user.s998.example", &known),
        ("cookie_by_partition", "user.p249.example", &known),
        ("flag_by_partition", "user.p249.example", &flagged),
        ("upper_case_and_port", "User.P249.Example:8080", &flagged),
        ("new_client_by_partition", "user.p249.example", &new),
        ("no_route", "nowhere.example.org", &known),
    ] {
        let facts = facts(host, fields, &Entropy);
        assert_eq!(snapshot.decide(&facts).choice.is_some(), name != "no_route");
        group.bench_function(name, |bencher| {
            bencher.iter(|| snapshot.decide(black_box(&facts)))
        });
    }
    group.finish();
}

fn partition(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let mut state = 1u64;
    let mut word = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 24
    };
    let hosts: Vec<String> = (0..1_000_000)
        .map(|_| format!("{:x}.p{}.example", word(), word() % 250))
        .collect();
    for host in &hosts {
        let name = snapshot.partition_name(snapshot.partition_of(host));
        assert_eq!(host.split('.').nth(1), Some(&**name));
    }
    let mut hosts = hosts.iter().cycle();
    criterion.bench_function("partition/one_of_a_million_subdomains", |bencher| {
        bencher.iter(|| snapshot.partition_of(hosts.next().expect("a cycle has no end")));
    });
}

fn mint(criterion: &mut Criterion) {
    let key = Master::new([1; 16]).key("default", 0);
    let (ec2, ecs) = (PoolId(0), PoolId(1));
    let mut group = criterion.benchmark_group("mint");
    for (name, weights) in [
        ("one_percent", [99, 1]),
        ("cut_stratum", [9_963, 37]),
        ("finest", [9_999, 1]),
    ] {
        let weights = vec![(ec2, weights[0]), (ecs, weights[1])];
        let split = Split::new(weights, ec2).expect("each pool gets a bucket");
        let mut minter = Minter::new(key, &split);
        group.bench_function(name, |bencher| {
            bencher.iter(|| minter.next(|| Entropy.draw()))
        });
    }
    let split = Split::new(vec![(ec2, 95), (ecs, 5)], ec2).expect("each pool gets a bucket");
    group.bench_function("through_entropy", |bencher| {
        bencher.iter(|| Entropy.id(RouteId(3), &split, &key));
    });
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let config = config(ROUTES);
    let snapshot = snapshot();
    let weights = Weights::from([("ec2".into(), 90), ("ecs".into(), 10)]);
    let state = LiveRoute {
        block: weights.clone(),
        weights,
        owner: Owner::Live,
        state: Latch::Normal,
        draining: Default::default(),
        ramp: None,
    };
    let live = Live {
        routes: (0..ROUTES)
            .map(|n| (format!("r{n}"), state.clone().into()))
            .collect(),
        ..Live::default()
    };
    let file = file(ROUTES);
    criterion.bench_function("compile/file", |bencher| {
        bencher.iter(|| {
            let loaded = load::load(black_box(&file).clone(), Vec::new(), &|_| None);
            load::finish(loaded, Structure::compile).expect("the file has no fault")
        });
    });
    criterion.bench_function("compile/structure", |bencher| {
        bencher.iter(|| Structure::compile(black_box(&config)));
    });
    criterion.bench_function("compile/with_live", |bencher| {
        bencher.iter(|| snapshot.with_live(black_box(&live)));
    });
}

criterion_group!(benches, decide, partition, mint, compile);
criterion_main!(benches);
