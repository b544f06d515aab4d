//! Requests counted, minute by minute.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::decision::Reason;
use config::ids::{FlagId, PoolId};

use super::past::MINUTE;
use super::*;
use crate::record::{Cause, Record};
use crate::testing::{record, served};

const HOUR: Duration = Duration::from_secs(3600);

/// A moment of the first hour of a day, by its minute.
fn minute(n: u64) -> u64 {
    1_795_219_200 + n * MINUTE
}

fn at(start_s: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(start_s + MINUTE)
}

fn count(seat: &Seat, record: &Record) {
    let choice = record.decision.unwrap().choice.unwrap();
    seat.count(record, &choice);
}

fn failing(unit: u16) -> Record {
    let mut record = served(1, Reason::Weight, 1);
    record.status = 500;
    record.upstream.as_mut().unwrap().status = Some(500);
    record
        .decision
        .as_mut()
        .unwrap()
        .choice
        .as_mut()
        .unwrap()
        .unit = unit;
    record
}

fn tally() -> (Tallies, Seat) {
    let tallies = Tallies::default();
    let seat = tallies.of("web", "ecs").seat(&"main".into());
    (tallies, seat)
}

fn summary(tallies: &Tallies, window: Duration, now: u64) -> Summary {
    let (_, mut all) = tallies.summaries("web", window, at(now));
    all.remove(0).1
}

#[test]
fn what_is_open_and_what_is_over_are_told_together_within_the_window() {
    let (tallies, seat) = tally();
    for n in 0..5 {
        count(&seat, &record());
        count(&seat, &failing(n));
        tallies.close(minute(u64::from(n)));
    }
    count(&seat, &record());
    let all = summary(&tallies, HOUR, minute(5)).totals();
    assert_eq!((all.requests, all.failed), (11, 5));
    assert_eq!(all.bytes_in, 11 * record().bytes_in);
    let late = summary(&tallies, Duration::from_secs(120), minute(5));
    assert_eq!(
        late.totals().requests,
        3,
        "the open minute and the one before"
    );
    assert_eq!(late.bins.iter().sum::<u64>(), 3);
}

#[test]
fn an_hour_later_nothing_is_left() {
    let (tallies, seat) = tally();
    count(&seat, &failing(1));
    for n in 0..70 {
        tallies.close(minute(n));
    }
    let left = summary(&tallies, HOUR, minute(70));
    assert_eq!((left.totals(), left.paths.len()), (Totals::default(), 0));
}

#[test]
fn paths_are_kept_by_stretches_of_five_minutes() {
    let (tallies, seat) = tally();
    (0..3).for_each(|unit| count(&seat, &failing(unit)));
    for n in 0..8 {
        tallies.close(minute(n));
    }
    (2..5).for_each(|unit| count(&seat, &failing(unit)));
    let paths = summary(&tallies, HOUR, minute(8)).paths;
    let [path] = &*paths else {
        panic!("{paths:?}");
    };
    assert_eq!(
        (path.path(), path.n, path.clients_at_least()),
        ("/entry", 6, 5)
    );
    let late = summary(&tallies, Duration::from_secs(60), minute(8)).paths;
    assert_eq!(late[0].n, 3);
}

/// A path that one stretch had no room for may have gone wrong there, too.
#[test]
fn a_path_is_told_with_what_may_have_been_lost_of_it() {
    let (tallies, seat) = tally();
    let note = |path: String, n: u16| {
        let path = fold(path.as_bytes());
        let mut bad = lock(&seat.tally.bad);
        (0..n).for_each(|unit| bad.note(&seat.partition, Kind::Failed, path, 500, unit));
    };
    // Of each path of the first stretch 3 were seen, so that up to 3 of any other path may have been there.
    (0..sketch::MOST).for_each(|n| note(format!("/x{n}"), 3));
    (0..5).for_each(|n| tallies.close(minute(n)));
    note("/cart".into(), 2);
    (0..sketch::MOST - 1).for_each(|n| note(format!("/y{n}"), 1));
    (5..10).for_each(|n| tallies.close(minute(n)));
    let summary = summary(&tallies, HOUR, minute(10));
    let of = |path: &str| {
        let bad = summary.paths.iter().find(|bad| bad.path() == path).unwrap();
        (
            bad.n,
            bad.over,
            bad.clients_at_least(),
            bad.clients_at_most(),
        )
    };
    assert_eq!(of("/cart"), (5, 3, 2, 5));
    assert_eq!(of("/x0"), (4, 1, 3, 4));
    assert_eq!(summary.unseen, 3 + 1);
}

#[test]
fn kinds_are_told_apart_and_what_is_not_a_sample_is_left_out() {
    let (tallies, seat) = tally();
    let mut refused = failing(1);
    refused.upstream.as_mut().unwrap().status = Some(404);
    let mut unanswered = failing(2);
    unanswered.error = Some(Cause::ResponseTimeout);
    let upstream = unanswered.upstream.as_mut().unwrap();
    (upstream.status, upstream.ttfb) = (None, None);
    let mut failed_over = served(0, Reason::Failover, 7);
    failed_over.switched_from = Some(PoolId(1));
    failed_over.upstream.as_mut().unwrap().status = Some(503);
    let mut flagged = failing(3);
    let choice = flagged.decision.as_mut().unwrap().choice.as_mut().unwrap();
    choice.flag = Some(FlagId(0));
    for record in [&failing(0), &refused, &unanswered, &failed_over, &flagged] {
        count(&seat, record);
    }
    let all = summary(&tallies, HOUR, minute(0)).totals();
    assert_eq!(
        (all.requests, all.failed, all.refused, all.unanswered),
        (4, 1, 1, 2)
    );
}

#[test]
fn routes_and_pools_that_are_gone_are_forgotten() {
    let (tallies, _) = tally();
    tallies.keep(&|route, pool| (route, pool) == ("web", "ecs"));
    assert_eq!(tallies.summaries("web", HOUR, at(0)).1.len(), 1);
    tallies.keep(&|_, pool| pool != "ecs");
    assert!(tallies.summaries("web", HOUR, at(0)).1.is_empty());
}

/// The worst that clients and targets can do to it: another path with each request, in all bins of each minute.
#[test]
fn a_tally_takes_less_than_500_kib_whatever_comes() {
    let mut kept = None;
    let measured = allocation_counter::measure(|| {
        let (tallies, seat) = tally();
        for n in 0..120 {
            for bin in 0..BINS {
                seat.tally.bins[bin].fetch_add(1, Relaxed);
            }
            for path in 0..100_u32 {
                let mut bad = lock(&seat.tally.bad);
                let path = fold(format!("/x{path}/{n}a").as_bytes());
                bad.note(&seat.partition, Kind::Refused, path, 404, path_unit(n));
            }
            count(&seat, &record());
            tallies.close(minute(n));
        }
        kept = Some(tallies);
    });
    let kib = measured.bytes_current / 1024;
    println!("{kib} KiB for a pool of a route, bound 500");
    assert!(kept.is_some() && (1..500).contains(&kib));
}

fn path_unit(n: u64) -> u16 {
    n as u16
}
