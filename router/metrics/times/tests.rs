//! Both kinds of buckets, against the times they were made of.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn counted(nanos: impl IntoIterator<Item = u64>) -> Times {
    let times = Times::of_requests();
    for nanos in nanos {
        times.observe(Duration::from_nanos(nanos));
    }
    times
}

fn histogram(times: &Times) -> Histogram {
    times.metric().histogram.unwrap()
}

/// Counts of native buckets by index, read as a scraper reads them.
fn read(histogram: &Histogram) -> BTreeMap<i32, i64> {
    let mut deltas = histogram.positive_delta.iter();
    let (mut index, mut count) = (0, 0);
    let mut buckets = BTreeMap::new();
    for span in &histogram.positive_span {
        index += span.offset.unwrap();
        for _ in 0..span.length.unwrap() {
            count += deltas.next().unwrap();
            buckets.insert(index, count);
            index += 1;
        }
    }
    assert!(deltas.next().is_none());
    buckets
}

#[test]
fn the_text_has_classic_buckets() {
    let times = counted([400, 1_000_000, 1_000_001, 70_000_000_000]);
    let mut text = String::new();
    times.lines("t", "route=\"web\"", &mut text);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "t_bucket{route=\"web\",le=\"0.001\"} 2");
    assert_eq!(lines[1], "t_bucket{route=\"web\",le=\"0.0025\"} 3");
    assert_eq!(
        lines[14..],
        [
            "t_bucket{route=\"web\",le=\"60\"} 3",
            "t_bucket{route=\"web\",le=\"+Inf\"} 4",
            "t_sum{route=\"web\"} 70.002000401",
            "t_count{route=\"web\"} 4",
        ]
    );
    let mut bare = String::new();
    times.lines("t", "", &mut bare);
    assert!(bare.starts_with("t_bucket{le=\"0.001\"} 2\n"), "{bare}");
}

#[test]
fn native_buckets_are_where_the_specification_has_them() {
    let second = 1_000_000_000;
    let times = counted([
        0,
        61_035,
        61_036,
        second,
        second + 1,
        2 * second,
        200_000 * second,
    ]);
    let histogram = histogram(&times);
    assert_eq!((histogram.schema, histogram.zero_count), (Some(3), Some(2)));
    assert_eq!(histogram.zero_threshold, Some(0.000_061_035_156_25));
    // One second is the upper bound of bucket 0, two are that of bucket 8; what is above all is in the last.
    let expected = [(-111, 1), (0, 1), (1, 1), (8, 1), (137, 1)];
    assert_eq!(read(&histogram), BTreeMap::from(expected));
    assert_eq!(histogram.positive_span.len(), 4);
}

#[test]
fn short_gaps_are_bridged() {
    let third = grid::native(3);
    let histogram = histogram(&counted([grid::native(0), third, third]));
    assert_eq!(histogram.positive_span.len(), 1);
    assert_eq!(histogram.positive_delta, [1, -1, 0, 2]);
}

#[test]
fn one_without_a_time_is_native_all_the_same() {
    let histogram = histogram(&Times::of_changes());
    assert!(histogram.positive_span.is_empty() && histogram.zero_threshold > Some(0.0));
    assert_eq!(histogram.bucket.len(), OF_CHANGES.len() + 1);
}

#[test]
fn a_histogram_has_the_size_that_is_told() {
    assert!(size_of::<Times>() <= 2_200, "{}", size_of::<Times>());
}

proptest! {
    #[test]
    fn both_kinds_count_every_time_once(nanos in prop::collection::vec((any::<u64>(), 18..64_u32), 0..200)) {
        let nanos: Vec<u64> = nanos.into_iter().map(|(nanos, shift)| nanos >> shift).collect();
        let histogram = histogram(&counted(nanos.iter().copied()));
        let native = read(&histogram);
        let n = nanos.len() as u64;
        prop_assert_eq!(histogram.sample_count, Some(n));
        prop_assert_eq!(native.values().sum::<i64>() as u64 + histogram.zero_count.unwrap(), n);
        for (&index, &count) in &native {
            let within = (grid::native(index - 1) + 1)..=grid::native(index);
            prop_assert_eq!(nanos.iter().filter(|it| within.contains(it)).count() as i64, count);
        }
        for bucket in &histogram.bucket {
            let bound = bucket.upper_bound.unwrap() * 1e9;
            let below = nanos.iter().filter(|it| **it as f64 <= bound).count();
            prop_assert_eq!(bucket.cumulative_count, Some(below as u64));
        }
    }
}
