//! Targets that fail more often than the others of their pool.

use super::*;

/// Ten targets, compared every 10 s, with `more` keys of the ejection.
fn ten(more: &Value) -> (Bench, Arc<Pool>) {
    let mut ejection = json!({ "consecutive_failures": 0, "success_rate": { "min_requests": 20 } });
    for (key, value) in more.as_object().unwrap() {
        ejection[key] = value.clone();
    }
    let targets: Vec<_> = (1..=10).map(|port| (port, 1)).collect();
    let (bench, pool) = bench(&targets, json!({ "ejection": ejection }));
    bench.pools.sweep(bench.at(0.0));
    (bench, pool)
}

impl Bench {
    /// Twenty requests at each target of `pool` that is in, between `seconds` and the next comparison 10 s later; those at
    /// the targets of `bad` get `status`.
    fn interval(&self, pool: &Arc<Pool>, seconds: f64, bad: &[u16], status: u16) {
        let now = self.at(seconds);
        let n_requests = 20 * pool.healthy(now).0;
        for _ in 0..n_requests {
            let lease = pool.pick(&[], now).unwrap();
            let is_bad = bad.contains(&lease.address().port());
            pool.succeeded(&lease, if is_bad { status } else { 200 });
        }
        self.pools.sweep(self.at(seconds + 10.0));
    }
}

/// Ports of the targets that are out, and the reason of each.
fn out(pool: &Pool, now: Instant) -> Vec<(u16, &'static str)> {
    let status = pool.status(now).into_iter();
    let of_each = status.filter_map(|status| Some((status.address.port(), status.reason?)));
    of_each.collect()
}

#[test]
fn a_target_that_fails_more_than_the_others_is_out_for_the_base_time() {
    let (bench, pool) = ten(&json!({}));
    bench.interval(&pool, 0.0, &[7], 500);
    assert_eq!(out(&pool, bench.at(19.9)), [(7, "Target.SuccessRate")]);
    assert_eq!(count(&ports(&pool, bench.at(19.9), 90), 7), 0);
    assert_eq!(out(&pool, bench.at(20.0)), []);
    let counted = pool.ejections().map(|(cause, n)| (cause.as_str(), n));
    assert_eq!(
        counted,
        [("failures", 0), ("refused", 0), ("success_rate", 1)]
    );
}

#[test]
fn an_outlier_that_goes_on_failing_is_out_for_longer_each_time() {
    let (bench, pool) = ten(&json!({}));
    bench.interval(&pool, 0.0, &[7], 500);
    bench.interval(&pool, 21.0, &[7], 500);
    assert_eq!(pool.healthy(bench.at(50.9)), (9, 10));
    assert_eq!(pool.healthy(bench.at(51.0)), (10, 10));
}

#[test]
fn answers_below_500_are_no_failures_and_connections_that_died_are() {
    let (bench, pool) = ten(&json!({}));
    bench.interval(&pool, 0.0, &[7], 404);
    assert_eq!(out(&pool, bench.at(10.0)), []);
    for _ in 0..20 {
        fail(&pool, 3, Failure::Closed, bench.at(11.0), 1);
    }
    bench.interval(&pool, 11.0, &[], 200);
    assert_eq!(out(&pool, bench.at(21.0)), [(3, "Target.SuccessRate")]);
}

#[test]
fn outliers_are_bounded_by_max_percent() {
    let (bench, pool) = ten(&json!({ "max_percent": 10 }));
    bench.interval(&pool, 0.0, &[2, 7], 503);
    assert_eq!(out(&pool, bench.at(10.0)), [(2, "Target.SuccessRate")]);
}

#[test]
fn one_success_does_not_bring_an_outlier_back() {
    let (bench, pool) = ten(&json!({}));
    bench.interval(&pool, 0.0, &[7], 500);
    let mut others = addresses(&pool);
    others.retain(|address| address.port() != 7);
    let lease = pool.pick_any(&others, bench.at(11.0)).unwrap();
    pool.succeeded(&lease, 200);
    assert_eq!(out(&pool, bench.at(11.0)), [(7, "Target.SuccessRate")]);
}

#[test]
fn what_an_earlier_interval_saw_does_not_count() {
    let (bench, pool) = ten(&json!({}));
    for seconds in [0.0, 3.0, 6.0] {
        // Six requests each, together fewer than it takes.
        for _ in 0..60 {
            let lease = pool.pick(&[], bench.at(seconds)).unwrap();
            pool.succeeded(
                &lease,
                if lease.address().port() == 7 {
                    500
                } else {
                    200
                },
            );
        }
    }
    bench.pools.sweep(bench.at(10.0));
    bench.interval(&pool, 11.0, &[], 200);
    assert_eq!(out(&pool, bench.at(21.0)), []);
}

#[test]
fn targets_are_not_compared_unless_the_file_asks() {
    let (bench, pool) = bench(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)], json!({}));
    bench.pools.sweep(bench.at(0.0));
    for _ in 0..20 {
        bench.interval(&pool, 0.0, &[3], 500);
    }
    bench.pools.sweep(bench.at(20.0));
    assert_eq!(out(&pool, bench.at(20.0)), []);
}
