//! Captured requests, sent once more to the targets of one pool at a steady rate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::shadow::MARK;
use config::snapshot::{Pool, Structure};
use http::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::caller::{Call, CallError, Callee, Caller};

/// Requests that may be underway; a pool that answers slower than it is asked is asked slower.
const MOST_IN_FLIGHT: usize = 256;
/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 1 << 20;

/// Who is asked, and how fast.
pub struct Terms {
    /// The file that has the pool.
    pub structure: Arc<Structure>,
    /// Its pool.
    pub pool: Pool,
    /// Its targets, asked in turn.
    pub targets: Vec<SocketAddr>,
    /// Requests a second.
    pub rate: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Requests sent.
    pub sent: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer: `failed`, `timeout`, `unreachable`.
    pub failed: BTreeMap<&'static str, u64>,
    /// Milliseconds to the head of an answer, at the median.
    pub median_ms: Option<f64>,
    /// The same at the 99th percentile.
    pub p99_ms: Option<f64>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

type Said = Result<(u16, Duration), &'static str>;

/// Sends `requests` by `terms`; the first that is none ends it.
///
/// # Errors
/// That one's fault; what was sent before it is in nobody's hands any more.
pub async fn rerun(
    requests: impl Iterator<Item = Result<Call, String>>,
    terms: Terms,
) -> Result<Summary, String> {
    let (caller, terms) = (Arc::new(Caller::default()), Arc::new(terms));
    let mut ticks = interval(Duration::from_secs(1) / terms.rate.max(1));
    let begun = Instant::now();
    let (mut summary, mut times) = (Summary::default(), Vec::new());
    let mut underway = JoinSet::new();
    for (turn, request) in requests.enumerate() {
        let request = request?;
        ticks.tick().await;
        while underway.len() >= MOST_IN_FLIGHT {
            take(&mut summary, &mut times, underway.join_next().await);
        }
        let (caller, terms) = (Arc::clone(&caller), Arc::clone(&terms));
        summary.sent += 1;
        underway.spawn(async move { ask(&caller, &terms, turn, request).await });
    }
    while let Some(said) = underway.join_next().await {
        take(&mut summary, &mut times, Some(said));
    }
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    let in_ms = |time: &Duration| time.as_secs_f64() * 1000.0;
    (summary.median_ms, summary.p99_ms) = (at(50).map(in_ms), at(99).map(in_ms));
    summary.took_s = begun.elapsed().as_secs_f64();
    Ok(summary)
}

fn take(
    summary: &mut Summary,
    times: &mut Vec<Duration>,
    said: Option<Result<Said, tokio::task::JoinError>>,
) {
    match said {
        Some(Ok(Ok((status, time)))) => {
            *summary.statuses.entry(status).or_default() += 1;
            times.push(time);
        }
        Some(Ok(Err(why))) => *summary.failed.entry(why).or_default() += 1,
        Some(Err(_)) => *summary.failed.entry("failed").or_default() += 1,
        None => {}
    }
}

async fn ask(caller: &Caller, terms: &Terms, turn: usize, mut call: Call) -> Said {
    let Some(address) = turn
        .checked_rem(terms.targets.len())
        .map(|at| terms.targets[at])
    else {
        return Err("unreachable");
    };
    let callee = Callee {
        structure: &terms.structure,
        pool: &terms.pool,
        address,
    };
    call.headers.insert(MARK, HeaderValue::from_static("1"));
    call.headers
        .insert("kanaria-pool", terms.pool.value.clone());
    let mut left = LONGEST_ANSWER;
    let mut take = |part: bytes::Bytes| {
        let fits = part.len() <= left;
        left = left.saturating_sub(part.len());
        fits
    };
    let said = timeout(terms.timeout, caller.call(call, callee, &mut take)).await;
    match said {
        Err(_) => Err("timeout"),
        Ok(Err(CallError::Broken)) => Err("failed"),
        Ok(Err(CallError::Unreachable)) => Err("unreachable"),
        Ok(Ok(answer)) => Ok((answer.status.as_u16(), answer.time)),
    }
}
