//! Pools beside each other: rates with their intervals, times, paths, and what they would have to carry.

use config::model::indexed;
use serde::Deserialize;
use serde_json::Value;

use super::super::answers::Entry;
use super::super::execute::Surroundings;
use super::super::offline::pretty;
use super::super::table::Table;
use super::super::words::{bytes, clean, count, duration, moment_utc, percent, quoted};
use super::{BOLD, RED, history, paint};

/// `GET /api/v1/routes/{name}/compare`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Comparison {
    route: String,
    stable: String,
    from: String,
    seconds: u64,
    pools: Vec<Pool>,
    paths: Vec<Path>,
    alpha: f64,
    marks: Vec<Entry>,
    notes: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pool {
    pool: String,
    #[serde(flatten)]
    figures: Figures,
    latency_ms: indexed::Map<Quantile>,
    partitions: indexed::Map<Figures>,
    alone: Load,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Figures {
    requests: u64,
    failed: Part,
    unanswered: Part,
    refused: Part,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Part {
    part: Option<f64>,
    low: f64,
    high: f64,
    more_low: Option<f64>,
    more_high: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Quantile {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Load {
    requests_per_s: f64,
    peak_requests_per_s: Option<f64>,
    bytes_in_per_s: f64,
    bytes_out_per_s: f64,
    concurrency: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Path {
    path: String,
    partition: String,
    kind: String,
    status: u16,
    pools: indexed::Map<Hits>,
    canary: Option<String>,
    expected_clients: f64,
    harmed: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Hits {
    requests: u64,
    clients_at_least: u64,
}

/// `kanaria compare`.
pub(super) fn compare(answer: &Value, surroundings: &Surroundings) -> String {
    let Ok(it) = Comparison::deserialize(answer) else {
        return pretty(answer);
    };
    let mut text = format!(
        "{}: the last {}, since {} UTC; stable is {}\n",
        clean(&it.route),
        duration(it.seconds as i64),
        moment_utc(&it.from),
        clean(&it.stable),
    );
    let section = |text: &mut String, name: &str, table: &Table| {
        if !table.is_empty() {
            let name = paint(name, BOLD, surroundings);
            text.push_str(&format!("\n{name}\n{}", table.print(surroundings.width)));
        }
    };
    section(
        &mut text,
        "what went wrong, with intervals of 95 %",
        &rates(&it),
    );
    section(
        &mut text,
        "time to the head of the answer, in ms",
        &times(&it),
    );
    if it
        .pools
        .iter()
        .any(|pool| pool.partitions.iter().count() > 1)
    {
        section(&mut text, "by partition", &partitions(&it));
    }
    section(&mut text, "where it went wrong most", &paths(&it));
    section(&mut text, "the whole route on one pool", &loads(&it));
    section(&mut text, "marks", &marks(&it));
    text.push_str(&harmed(&it, surroundings));
    for note in &it.notes {
        text.push_str(&format!("note: {}\n", clean(note)));
    }
    text
}

/// The sentence to act on.
fn harmed(it: &Comparison, surroundings: &Surroundings) -> String {
    let harmed: Vec<&Path> = it.paths.iter().filter(|path| path.harmed).collect();
    if harmed.is_empty() {
        return String::from("\nno path stands out on a canary\n");
    }
    let mut text = String::from("\n");
    for path in &harmed {
        let canary = clean(path.canary.as_deref().unwrap_or_default());
        let words = format!("{canary} harms {}", clean(&path.path));
        text.push_str(&format!(
            "{}: {} {} there, for at least {} of it where its share says {:.1}\n",
            paint(&words, RED, surroundings),
            path.status,
            clean(&path.kind),
            count(clients(path, &canary) as usize, "client"),
            path.expected_clients,
        ));
    }
    text.push_str(&format!(
        "a look at pools that do not differ says so with a chance of at most {}\n",
        percent(it.alpha)
    ));
    text
}

fn clients(path: &Path, pool: &str) -> u64 {
    path.pools.get(pool).map_or(0, |hits| hits.clients_at_least)
}

fn rates(it: &Comparison) -> Table {
    let header = [
        "POOL",
        "REQUESTS",
        "5XX",
        "NO ANSWER",
        "401 403 404 429",
        "IN",
        "OUT",
    ];
    let mut table = Table::new(&header, &[1, 5, 6]);
    for pool in &it.pools {
        let figures = &pool.figures;
        let name = clean(&pool.pool);
        table.row(figures_row(vec![name.clone()], figures));
        let more = [figures.failed, figures.unanswered, figures.refused].map(more);
        if more.iter().any(|more| !more.is_empty()) {
            let mut row = vec![format!("{name} more"), String::new()];
            row.extend(more);
            table.row(row);
        }
    }
    table
}

fn figures_row(mut row: Vec<String>, figures: &Figures) -> Vec<String> {
    row.push(figures.requests.to_string());
    row.extend([figures.failed, figures.unanswered, figures.refused].map(rate));
    row.extend([figures.bytes_in, figures.bytes_out].map(|n| bytes(n as f64)));
    row
}

/// `0.40 % (0.10 to 1.20)`.
fn rate(part: Part) -> String {
    let Some(value) = part.part else {
        return "-".into();
    };
    let [value, low, high] = [value, part.low, part.high].map(|it| it * 100.0);
    format!("{value:.2} % ({low:.2} to {high:.2})")
}

/// By how much more than stable's, in percent points.
fn more(part: Part) -> String {
    match (part.more_low, part.more_high) {
        (Some(low), Some(high)) => format!("{:+.2} to {:+.2}", low * 100.0, high * 100.0),
        _ => String::new(),
    }
}

fn times(it: &Comparison) -> Table {
    let mut table = Table::new(&["POOL", "P50", "P90", "P99"], &[]);
    for pool in it.pools.iter().filter(|pool| !pool.latency_ms.is_empty()) {
        let of = |word: &str| {
            pool.latency_ms
                .get(word)
                .copied()
                .map_or_else(|| "-".into(), time)
        };
        table.row(vec![clean(&pool.pool), of("p50"), of("p90"), of("p99")]);
    }
    table
}

/// `12.3 (11.9 to 12.8)`.
fn time(quantile: Quantile) -> String {
    let told = |ms: Option<f64>| match ms {
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) => format!("{ms:.0}"),
        None => "over 134 s".into(),
    };
    let Quantile { value, low, high } = quantile;
    format!("{} ({} to {})", told(value), told(low), told(high))
}

fn partitions(it: &Comparison) -> Table {
    let header = [
        "PARTITION",
        "POOL",
        "REQUESTS",
        "5XX",
        "NO ANSWER",
        "401 403 404 429",
        "IN",
        "OUT",
    ];
    let mut table = Table::new(&header, &[2, 6, 7]);
    let mut names: Vec<&str> = it
        .pools
        .iter()
        .flat_map(|pool| pool.partitions.iter().map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        for pool in &it.pools {
            if let Some(figures) = pool.partitions.get(name) {
                table.row(figures_row(vec![clean(name), clean(&pool.pool)], figures));
            }
        }
    }
    table
}

fn paths(it: &Comparison) -> Table {
    let header = [
        "PATH",
        "PARTITION",
        "WHAT",
        "STATUS",
        "REQUESTS",
        "CLIENTS",
        "EXPECTED",
    ];
    let mut table = Table::new(&header, &[3]);
    for path in &it.paths {
        let by_pool = |pick: fn(&Hits) -> u64| {
            let all = it.pools.iter();
            let told = all.map(|pool| {
                let hits = path.pools.get(&pool.pool).copied().unwrap_or_default();
                format!("{} {}", clean(&pool.pool), pick(&hits))
            });
            told.collect::<Vec<_>>().join(", ")
        };
        let expected = path.canary.as_deref().map_or_else(String::new, |canary| {
            format!("{} {:.1}", clean(canary), path.expected_clients)
        });
        table.row(vec![
            clean(&path.path),
            clean(&path.partition),
            clean(&path.kind),
            path.status.to_string(),
            by_pool(|hits| hits.requests),
            by_pool(|hits| hits.clients_at_least),
            expected,
        ]);
    }
    table
}

fn loads(it: &Comparison) -> Table {
    let header = ["POOL", "REQUESTS/S", "PEAK", "AT A TIME", "IN/S", "OUT/S"];
    let mut table = Table::new(&header, &[1, 2, 3, 4, 5]);
    for pool in it.pools.iter().filter(|pool| pool.figures.requests > 0) {
        let load = pool.alone;
        let peak = load.peak_requests_per_s;
        table.row(vec![
            clean(&pool.pool),
            format!("{:.1}", load.requests_per_s),
            peak.map_or_else(|| "-".into(), |peak| format!("{peak:.1}")),
            format!("{:.1}", load.concurrency),
            bytes(load.bytes_in_per_s),
            bytes(load.bytes_out_per_s),
        ]);
    }
    table
}

fn marks(it: &Comparison) -> Table {
    let mut table = Table::new(&["TIME (UTC)", "WHO", "WHAT", "CHANGE", "WHY"], &[]);
    for entry in &it.marks {
        table.row(vec![
            moment_utc(&entry.time),
            clean(&entry.actor),
            clean(&entry.kind).replace('_', " "),
            history::changes(entry),
            entry.reason.as_deref().map(quoted).unwrap_or_default(),
        ]);
    }
    table
}
