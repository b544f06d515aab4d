//! The pools of a route beside each other: what was counted, with intervals, and the paths that a canary harms.
//!
//! Pure: counts in, a comparison out. It acts on nothing; whoever wants a canary taken back by itself wants the guard.

mod paths;

use std::collections::BTreeMap;
use std::time::SystemTime;

use canary::compare::{Interval, difference, quantile, rate};
use canary::guard::edges;
use jiff::Timestamp;

use crate::control::{ComparedPool, Comparison, Figures, Load, OLDEST, Part, Quantile, Question};
use crate::tally::{STRETCH, Summary, Tallies, Totals};

/// The chance of a false word about any path in one look.
const ALPHA: f64 = 0.001;
const _: () = assert!(OLDEST.as_secs() >= STRETCH);
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// One pool with what it did.
struct Pool<'a> {
    name: &'a str,
    /// The largest part that it was asked to have of what it and stable had together.
    asked: f64,
    summary: Option<&'a Summary>,
    totals: Totals,
}

/// Compares the pools of a route by what `tallies` say at `now`.
pub fn compare(tallies: &Tallies, question: &Question<'_>, now: SystemTime) -> Comparison {
    let (from, summaries) = tallies.summaries(question.route, question.window, now);
    let pools = question.pools.iter().map(|(name, asked)| {
        let summary = summaries.iter().find(|(pool, _)| pool == name);
        let summary = summary.map(|(_, summary)| summary);
        Pool {
            name,
            asked: *asked,
            summary,
            totals: summary.map_or_else(Totals::default, Summary::totals),
        }
    });
    let pools: Vec<Pool<'_>> = pools.collect();
    let to = Timestamp::try_from(now).unwrap_or_default();
    let seconds = (to.as_second() - from as i64).max(1) as u64;
    let peak = peak(&pools);
    let stable = pools.iter().find(|pool| pool.name == question.stable);
    Comparison {
        route: question.route.to_owned(),
        stable: question.stable.to_owned(),
        window_s: question.window.as_secs(),
        from: Timestamp::from_second(from as i64)
            .map_or_else(|_| String::new(), |it| it.to_string()),
        to: format!("{to:.0}"),
        seconds,
        pools: pools
            .iter()
            .map(|pool| compared(pool, stable, &pools, seconds, peak))
            .collect(),
        paths: paths::paths(&pools, question.stable, ALPHA),
        alpha: ALPHA,
        marks: Vec::new(),
        notes: notes(&pools),
    }
}

fn compared(
    pool: &Pool<'_>,
    stable: Option<&Pool<'_>>,
    all: &[Pool<'_>],
    seconds: u64,
    peak: Option<f64>,
) -> ComparedPool {
    let stable = stable.filter(|stable| stable.name != pool.name);
    let partitions = pool.summary.iter().flat_map(|it| &it.partitions);
    let partitions = partitions.map(|(name, totals)| {
        let others = stable.and_then(|stable| stable.summary);
        let others = others.map(|summary| of_partition(summary, name));
        (name.to_string(), figures(totals, others.as_ref()))
    });
    ComparedPool {
        pool: pool.name.to_owned(),
        figures: figures(&pool.totals, stable.map(|stable| &stable.totals)),
        latency_ms: latency(pool.summary),
        partitions: partitions.collect(),
        alone: alone(&pool.totals, all, seconds, peak),
    }
}

fn of_partition(summary: &Summary, name: &str) -> Totals {
    let mut partitions = summary.partitions.iter();
    let known = partitions.find(|(known, _)| **known == *name);
    known.map_or_else(Totals::default, |(_, totals)| *totals)
}

fn figures(of: &Totals, stable: Option<&Totals>) -> Figures {
    let part = |pick: fn(&Totals) -> u64| {
        // What ends as a minute does is counted in that one, and may have gone wrong in the next.
        let limited = |of: &Totals| (pick(of).min(of.requests), of.requests);
        let (k, n) = limited(of);
        let Interval { low, high } = rate(k, n);
        let stable = stable.filter(|stable| stable.requests > 0 && n > 0);
        let more = stable.map(|stable| difference((k, n), limited(stable)));
        Part {
            n: k,
            part: (n > 0).then(|| k as f64 / n as f64),
            low,
            high,
            more_low: more.map(|more| more.low),
            more_high: more.map(|more| more.high),
        }
    };
    Figures {
        requests: of.requests,
        failed: part(|it| it.failed),
        unanswered: part(|it| it.unanswered),
        refused: part(|it| it.refused),
        bytes_in: of.bytes_in,
        bytes_out: of.bytes_out,
    }
}

fn latency(summary: Option<&Summary>) -> BTreeMap<&'static str, Quantile> {
    let Some(summary) = summary else {
        return BTreeMap::new();
    };
    let edges = edges();
    let edge = |bin: usize| edges.get(bin).copied();
    let told = QUANTILES.into_iter().filter_map(|(word, part)| {
        let [low, value, high] = quantile(&summary.bins, part)?;
        let quantile = Quantile {
            value: edge(value),
            low: edge(low),
            high: edge(high),
        };
        Some((word, quantile))
    });
    told.collect()
}

/// Requests a second of the whole route in its busiest minute; the pools' busiest minutes are the route's, or more than it.
fn peak(pools: &[Pool<'_>]) -> Option<f64> {
    let minutes = pools.iter().flat_map(|pool| pool.summary);
    let mut route: BTreeMap<u64, u64> = BTreeMap::new();
    for (minute, n) in minutes.flat_map(|summary| &summary.minutes) {
        *route.entry(*minute).or_default() += n;
    }
    route.values().max().map(|most| *most as f64 / 60.0)
}

/// The requests of `all` at the mean cost of those of `own`.
fn alone(own: &Totals, all: &[Pool<'_>], seconds: u64, peak: Option<f64>) -> Load {
    let n: u64 = all.iter().map(|pool| pool.totals.requests).sum();
    let per_s = n as f64 / seconds as f64;
    let mean = |sum: u64| sum as f64 / own.requests.max(1) as f64;
    Load {
        requests_per_s: per_s,
        peak_requests_per_s: peak,
        bytes_in_per_s: per_s * mean(own.bytes_in),
        bytes_out_per_s: per_s * mean(own.bytes_out),
        concurrency: per_s * mean(own.busy_us) / 1e6,
    }
}

fn notes(pools: &[Pool<'_>]) -> Vec<String> {
    let missed = pools.iter().filter_map(|pool| {
        let missed = pool.summary?.missed;
        let name = pool.name;
        (missed > 0).then(|| {
            format!("{missed} requests of `{name}` that went wrong are not among the paths, since the start")
        })
    });
    let idle = pools.iter().filter(|pool| pool.totals.requests == 0);
    let idle = idle.map(|pool| format!("`{}` had no request", pool.name));
    missed.chain(idle).collect()
}

#[cfg(test)]
mod tests;
