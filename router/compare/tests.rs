//! Comparisons of pools that differ, and of pools that do not.

use std::time::Duration;

use config::decision::Reason;

use super::*;
use crate::metrics::Mover;
use crate::record::Record;
use crate::testing::{served, snapshot, structure};
use serde_json::json;

fn question(canary: f64) -> Question<'static> {
    Question {
        route: "blogs",
        stable: "ec2",
        pools: vec![("ec2".into(), 1.0 - canary), ("ecs".into(), canary)],
        window: Duration::from_secs(600),
    }
}

/// A stream of numbers of its own.
struct Lots(u64);

impl Lots {
    fn draw(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn happens(&mut self, chance: f64) -> bool {
        (self.draw() as f64) < chance * f64::from(1_u32 << 31)
    }
}

/// A request of a client, placed by weight.
fn asked(on_canary: bool, unit: u16, path: &str, status: u16) -> Record {
    let mut record = served(u16::from(on_canary), Reason::Weight, 1);
    let choice = record.decision.as_mut().unwrap().choice.as_mut().unwrap();
    choice.unit = unit;
    record.status = status;
    record.upstream.as_mut().unwrap().status = Some(status);
    record.head = crate::testing::head(path);
    record
}

/// `n` requests of as many clients, a tenth of them on the canary; `status` says what becomes of each.
fn run(n: usize, seed: u64, status: impl Fn(&mut Lots, bool, usize) -> u16) -> Comparison {
    let metrics = crate::metrics::Metrics::new();
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 1, 10);
    metrics.published(&snapshot, Mover::File);
    let mut lots = Lots(seed);
    for request in 0..n {
        let on_canary = lots.happens(0.1);
        let unit = lots.draw() as u16;
        let status = status(&mut lots, on_canary, request);
        let path = format!("/page{}", request % 12);
        metrics.finished(&asked(on_canary, unit, &path, status), &snapshot);
    }
    compare(metrics.tallies(), &question(0.1), SystemTime::now())
}

#[test]
fn a_path_that_fails_for_few_clients_of_the_canary_is_named() {
    let comparison = run(60_000, 7, |lots, on_canary, request| {
        let broken = on_canary && request % 12 == 5 && lots.happens(0.02);
        if broken { 500 } else { 200 }
    });
    let harmed: Vec<_> = comparison.paths.iter().filter(|path| path.harmed).collect();
    let [path] = &*harmed else {
        panic!("{:?}", comparison.paths);
    };
    println!("{path:?}");
    assert_eq!(
        (&*path.path, path.kind, path.status),
        ("/page5", "failed", 500)
    );
    assert_eq!(path.canary.as_deref(), Some("ecs"));
    let failed = comparison.pools[1].figures.failed;
    assert!(failed.more_low.unwrap() > 0.0, "{failed:?}");
}

/// Faults of all kinds that hit both pools alike: each look may be wrong once in a thousand.
#[test]
fn pools_that_do_not_differ_harm_nobody() {
    let n_looks = 100;
    let n_false = (0..n_looks)
        .filter(|seed| {
            let comparison = run(3_000, *seed, |lots, _, _| {
                if lots.happens(0.05) {
                    500
                } else if lots.happens(0.05) {
                    404
                } else {
                    200
                }
            });
            comparison.paths.iter().any(|path| path.harmed)
        })
        .count();
    println!("{n_false} of {n_looks} looks are wrong, 0.1 expected at most; bound 1");
    assert!(n_false <= 1);
}

/// Twelve paths fail for one client each, of whom one is on a canary with a two-thousandth of the clients. Any of them might
/// have been: that is once in 170 looks, not once in 2000.
#[test]
fn what_fails_once_on_a_small_canary_and_as_often_elsewhere_is_chance() {
    let metrics = crate::metrics::Metrics::new();
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 1, 10);
    metrics.published(&snapshot, Mover::File);
    for request in 0..10_000_u16 {
        let status = if request < 12 { 500 } else { 200 };
        let path = format!("/page{}", request % 12);
        metrics.finished(&asked(request == 0, request, &path, status), &snapshot);
    }
    let comparison = compare(metrics.tallies(), &question(0.0005), SystemTime::now());
    let of_canary = comparison.paths.iter().find(|path| path.canary.is_some());
    let path = of_canary.unwrap();
    assert!(!path.harmed && path.chance < ALPHA, "{path:?}");
}

#[test]
fn one_client_that_tries_again_and_again_is_one() {
    let comparison = run(6_000, 3, |_, on_canary, request| {
        if on_canary && request % 12 == 0 {
            404
        } else {
            200
        }
    });
    assert!(comparison.paths[0].harmed, "many clients");
    let metrics = crate::metrics::Metrics::new();
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 1, 10);
    metrics.published(&snapshot, Mover::File);
    let mut record = served(1, Reason::Weight, 1);
    record.upstream.as_mut().unwrap().status = Some(404);
    (0..500).for_each(|_| metrics.finished(&record, &snapshot));
    let comparison = compare(metrics.tallies(), &question(0.1), SystemTime::now());
    let path = &comparison.paths[0];
    assert_eq!((path.pools["ecs"].requests, path.harmed), (500, false));
}

#[test]
fn the_whole_route_is_what_a_pool_would_carry_alone() {
    let comparison = run(5_000, 1, |_, _, _| 200);
    let n: u64 = comparison.pools.iter().map(|it| it.figures.requests).sum();
    assert_eq!(n, 5_000);
    let canary = &comparison.pools[1];
    let per_request = canary.figures.bytes_out as f64 / canary.figures.requests as f64;
    let expected = 5_000.0 * per_request / comparison.seconds as f64;
    assert!((canary.alone.bytes_out_per_s / expected - 1.0).abs() < 1e-9);
    assert!((canary.alone.requests_per_s * comparison.seconds as f64 - 5_000.0).abs() < 1e-6);
    // Each request takes 12.345 ms.
    let busy = canary.alone.concurrency / canary.alone.requests_per_s;
    assert!((busy - 0.012_345).abs() < 1e-9, "{busy}");
    let p50 = canary.latency_ms["p50"];
    assert!(p50.low <= p50.value && p50.value <= p50.high, "{p50:?}");
}

#[test]
fn a_route_nobody_asked_for_is_compared_too() {
    let comparison = compare(&Tallies::default(), &question(0.1), SystemTime::now());
    let [ec2, ecs] = &*comparison.pools else {
        panic!("{comparison:?}");
    };
    assert_eq!(
        (ec2.figures.failed.part, ecs.figures.failed.high),
        (None, 1.0)
    );
    assert_eq!(comparison.notes.len(), 2);
}
