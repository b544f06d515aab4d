//! The guard of a route as a whole, on windows made by hand.

use super::*;
use crate::guard::metric::{Bound, Slack, drip};

pub(crate) fn rules() -> Rules {
    Rules {
        alpha: 0.001,
        errors: Bound {
            ratio: 1.5,
            margin: 0.0005,
        },
        client_errors: Bound {
            ratio: 2.0,
            margin: 0.005,
        },
        latency: Slack {
            relative: 0.1,
            absolute_ms: 5.0,
        },
        drip: drip(30.0 * 86_400.0),
    }
}

fn guard() -> Guard {
    Guard::new(Evidence::new(rules()))
}

/// Window `k` with so many new units of canary and stable, of which so many fail.
fn window(k: u64, n: [u16; 2], failed: [u16; 2]) -> Observed {
    let mut observed = Observed {
        start_ms: k * 5_000,
        ..Observed::default()
    };
    let first = (k as u16).wrapping_mul(997);
    for side in 0..2 {
        let units = |n: u16| {
            (0..n).map(move |at| first.wrapping_add(at).wrapping_add(30_000 * side as u16))
        };
        observed.active[side].extend(units(n[side]));
        observed.errors[side].extend(units(failed[side]));
    }
    observed
}

const HARD: HardTerms = HardTerms {
    seconds: 10,
    requests: 20,
    error_ratio: 0.5,
    bad_units: 5,
    stable_error_ratio: 0.1,
};

#[test]
fn a_canary_that_fails_half_is_taken_back_within_three_windows_and_once() {
    let mut guard = guard();
    for k in 0..24 {
        assert_eq!(
            guard
                .close(&window(k, [150, 1350], [0, 1]), Armed::Yes)
                .trip,
            None
        );
    }
    assert_eq!(guard.standing(), Standing::Comparing);
    let trips: Vec<_> = (24..32)
        .map(|k| {
            guard
                .close(&window(k, [150, 1350], [75, 1]), Armed::Yes)
                .trip
                .is_some()
        })
        .collect();
    let first = trips.iter().position(|trip| *trip);
    assert!(first.is_some_and(|first| first <= 2), "{trips:?}");
    assert_eq!(trips.iter().filter(|trip| **trip).count(), 1);
    assert_eq!(guard.evidence().tripped(), Some(Metric::Errors));
}

#[test]
fn an_outage_of_both_takes_nothing_back_and_says_that_stable_is_not_well() {
    let mut guard = guard();
    for k in 0..12 {
        guard.close(&window(k, [150, 1350], [0, 1]), Armed::Yes);
    }
    for k in 12..40 {
        let verdict = guard.close(&window(k, [150, 1350], [90, 810]), Armed::Yes);
        assert_eq!(verdict.trip, None, "window {k}");
    }
    assert_eq!(guard.standing(), Standing::Frozen);
}

#[test]
fn without_traffic_there_is_no_data_and_no_evidence() {
    let mut guard = guard();
    for k in 0..100 {
        let verdict = guard.close(&window(k, [0, 0], [0, 0]), Armed::Yes);
        assert!(verdict.taken.is_empty());
    }
    assert_eq!(guard.standing(), Standing::NoData);
    assert_eq!(guard.evidence().max_log_e(), 0.0);
}

/// Four users of the canary fail, each once, and then once an hour; stable is fine.
#[test]
fn a_handful_of_users_is_no_evidence_however_they_fare() {
    let mut guard = guard();
    for k in 0..4 * 720 {
        let mut observed = window(k, [0, 300], [0, 0]);
        for unit in [1, 2, 3, 4] {
            observed.active[0].insert(unit);
            observed.errors[0].insert(unit);
        }
        let verdict = guard.close(&observed, Armed::Yes);
        assert_eq!((verdict.trip, verdict.taken.len()), (None, 0), "window {k}");
    }
    assert_eq!(guard.standing(), Standing::NoData);
    let mut guard = self::guard();
    let lengths: Vec<_> = (0..4)
        .map(|k| {
            guard
                .close(&window(k, [10, 300], [0, 0]), Armed::Yes)
                .taken
                .len()
        })
        .collect();
    assert_eq!(lengths, [0, 2, 2, 2], "from 20 in a minute on");
}

#[test]
fn a_guard_that_is_not_armed_learns_and_does_not_bet() {
    let mut guard = guard();
    for k in 0..60 {
        assert!(
            guard
                .close(&window(k, [150, 1350], [75, 1]), Armed::No)
                .taken
                .is_empty()
        );
    }
    assert_eq!(guard.evidence().temper(Metric::Errors).minutes(), 4);
    let bad = Second {
        n_c: 100,
        k_c: 100,
        bad_units: (0..50).collect(),
        ..Second::default()
    };
    assert_eq!(guard.second(&HARD, bad.clone(), Armed::No, true), None);
    assert_eq!(
        guard.second(&HARD, bad.clone(), Armed::Yes, false),
        None,
        "stable is not well"
    );
    let trip = guard.second(&HARD, bad.clone(), Armed::Yes, true);
    assert_eq!(
        trip,
        Some(Trip::HardLimit {
            counts: [300, 300, 0, 0]
        })
    );
    assert_eq!(
        guard.second(&HARD, bad, Armed::Yes, true),
        None,
        "said already"
    );
}

#[test]
fn another_attempt_starts_without_evidence_and_keeps_what_is_known_of_stable() {
    let mut guard = guard();
    for k in 0..30 {
        guard.close(&window(k, [150, 1350], [75, 1]), Armed::Yes);
    }
    assert!(guard.has_tripped());
    let minutes = guard.evidence().temper(Metric::Errors).minutes();
    guard.begin(rules());
    assert!(!guard.has_tripped());
    assert_eq!(guard.evidence().attempt, 2);
    assert_eq!(guard.evidence().max_log_e(), 0.0);
    assert_eq!(guard.evidence().temper(Metric::Errors).minutes(), minutes);
}

#[test]
fn evidence_is_made_again_from_what_was_written() {
    let mut guard = guard();
    let begin = serde_json::to_string(guard.evidence()).unwrap();
    let mut written = Vec::new();
    for k in 0..40 {
        let failed = if k < 30 { [1, 2] } else { [9, 2] };
        let verdict = guard.close(&window(k, [150, 1350], failed), Armed::Yes);
        written.extend(
            verdict
                .taken
                .iter()
                .map(|taken| serde_json::to_string(taken).unwrap()),
        );
    }
    let mut again: Evidence = serde_json::from_str(&begin).unwrap();
    assert!(written.len() > 60);
    for line in written {
        let (metric, taken): (Metric, Taken) = serde_json::from_str(&line).unwrap();
        let made = again.take(metric, taken.window);
        assert!((made.log_e - taken.log_e).abs() <= 1e-9, "{line}");
        assert!(
            (made.gate.unwrap_or(0.0) - taken.gate.unwrap_or(0.0)).abs() <= 1e-9,
            "{line}"
        );
    }
    assert!((again.max_log_e() - guard.evidence().max_log_e()).abs() <= 1e-9);
}

#[test]
fn a_canary_that_is_forty_percent_slower_at_the_median_is_caught() {
    let mut guard = guard();
    let edges = super::super::edges();
    // Evenly from 60 to 100 ms, the canary 1.4 times that.
    let times = |n: u32, factor: f64| {
        (0..n).map(move |at| (60.0 + 40.0 * f64::from(at) / f64::from(n)) * factor)
    };
    let mut tripped = None;
    for k in 0..120u64 {
        let slow = guard.slow();
        let mut observed = window(k, [150, 1350], [0, 0]);
        for (side, n, factor) in [(0, 150, 1.4), (1, 1350, 1.0)] {
            for (at, time) in times(n, factor).enumerate() {
                let bin = crate::guard::bin((time * 1000.0) as u64);
                if side == 1 {
                    observed.bins.push((bin, 1));
                }
                for (rows, slow) in observed.times.iter_mut().zip(slow) {
                    let Some(slow) = slow else { continue };
                    let last = if side == 0 {
                        slow.canary
                    } else {
                        Some(slow.stable)
                    };
                    let is_slow = u32::from(last.is_some_and(|last| bin > last));
                    let row = if side == 0 {
                        [1, is_slow, 0, 0]
                    } else {
                        [0, 0, 1, is_slow]
                    };
                    rows.0[at % 8] += Row::from(row);
                }
            }
        }
        if let Some(Trip::Evidence { metric, .. }) = guard.close(&observed, Armed::Yes).trip {
            tripped = Some((k, metric));
            break;
        }
    }
    let [p50, ..] = guard.slow();
    let stable = edges[p50.unwrap().stable];
    assert!(
        (80.0..83.0).contains(&stable),
        "the median of stable is slow from {stable} ms on"
    );
    let (k, metric) = tripped.expect("caught");
    println!(
        "caught by {} in window {k}, of which the first 2 make the reference; at most 30",
        metric.as_str()
    );
    assert!(k <= 30, "window {k}");
}
