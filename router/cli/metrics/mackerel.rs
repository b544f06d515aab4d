//! Lines of a metric plugin of Mackerel's agent: `name`, value and time between tabs.
//!
//! A name is that of the series without `_total`, and the values of its labels, between dots; the agent puts `custom.`
//! before it. Of a histogram the quantiles are told, which Mackerel cannot work out itself.

use std::collections::BTreeMap;

use super::Past;
use super::exposition::Sample;

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// The lines of `samples` at `now`. What only grows is told as it stands when nobody keeps a `past`; else by what it grew
/// in a minute, from the second time on.
pub(super) fn lines(samples: &[Sample], past: Option<&Past>, now: i64) -> String {
    let mut text = String::new();
    let mut histograms: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        let Some(value) = grown(sample, past, now) else {
            continue;
        };
        if let Some(bound) = sample.label("le") {
            let bound = bound.parse().unwrap_or(f64::INFINITY);
            let buckets = histograms.entry(name(sample)).or_default();
            buckets.push((bound, value));
        } else if !is_info(sample) && !sample.name.ends_with("_sum") {
            line(&mut text, &name(sample), value, now);
        }
    }
    for (name, buckets) in histograms {
        for (word, part) in QUANTILES {
            if let Some(value) = quantile(&buckets, part) {
                line(&mut text, &format!("{name}.{word}"), value, now);
            }
        }
    }
    text
}

fn line(text: &mut String, name: &str, value: f64, now: i64) {
    let value = format!("{value:.6}");
    let value = value.trim_end_matches('0').trim_end_matches('.');
    text.push_str(&format!("{name}\t{value}\t{now}\n"));
}

/// Its value is always 1; its labels are what it tells.
fn is_info(sample: &Sample) -> bool {
    sample.name.ends_with("_info")
}

/// What is told of a sample; `None` when there is nothing to compare with, or the router has started anew.
fn grown(sample: &Sample, past: Option<&Past>, now: i64) -> Option<f64> {
    let Some(past) = past.filter(|_| sample.grows()) else {
        return Some(sample.value);
    };
    let before = past.values.get(&sample.series()).copied();
    let known = past.time > 0 && now > past.time;
    // A series that was not there before has grown from 0.
    let before = before.or_else(|| known.then_some(0.0)).filter(|_| known)?;
    let grown = sample.value - before;
    (grown >= 0.0).then(|| grown * 60.0 / (now - past.time) as f64)
}

fn name(sample: &Sample) -> String {
    let plain = sample.name.trim_end_matches("_total");
    let plain = plain.trim_end_matches("_bucket");
    let mut name = plain.replacen('_', ".", 1);
    for (_, value) in sample.labels.iter().filter(|(label, _)| label != "le") {
        name.push('.');
        name.push_str(&word(value));
    }
    name
}

/// A part of a name: letters, digits, `-` and `_`.
fn word(value: &str) -> String {
    if value.is_empty() {
        return "none".into();
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    value
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

/// As Prometheus works it out: on a line within the bucket; the last bound that is one when it lies above all.
fn quantile(buckets: &[(f64, f64)], part: f64) -> Option<f64> {
    let total = buckets.last()?.1;
    if total <= 0.0 {
        return None;
    }
    let rank = total * part;
    let (mut lower, mut below) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank {
            let within = (rank - below) / (count - below).max(f64::MIN_POSITIVE);
            let is_open = bound.is_infinite();
            return Some(if is_open {
                lower
            } else {
                lower + (bound - lower) * within
            });
        }
        (lower, below) = (bound, count);
    }
    Some(lower)
}
