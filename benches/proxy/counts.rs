//! User instructions per request, which do not move with the noise of a machine.
//!
//! Callgrind counts a run of 2 N requests, and one of N that is idle until as much time has passed; their difference leaves
//! out start, end, and what a clock drives whether requests come or not.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::cpu::send;
use crate::peer::{Backends, Peer};
use crate::process::installed;
use crate::say;
use crate::tls::{self, Certificate};

const REQUESTS: usize = 4_000;

/// What is counted.
#[derive(Clone, Copy)]
struct Job<'a> {
    client: &'a str,
    tls: Option<&'a Certificate>,
}

/// Counts bare pingora and kanaria, with clients that hold a cookie and with new ones, and prints a table.
pub(crate) fn run() -> Result<()> {
    let jobs = ["known", "new"].map(|client| Job { client, tls: None });
    table(&jobs)
}

/// As `run`, over kept connections of TLS 1.3, with clients that hold a cookie.
pub(crate) fn run_over_tls() -> Result<()> {
    let certificate = Certificate::make()?;
    table(&[Job {
        client: "known",
        tls: Some(&certificate),
    }])
}

fn table(jobs: &[Job<'_>]) -> Result<()> {
    if !installed("valgrind") {
        bail!("counting needs valgrind");
    }
    let backends = Backends::start()?;
    say("| proxy | clients | user instructions per request | to bare pingora |");
    say("| --- | --- | --: | --: |");
    for &job in jobs {
        let mut bare = None;
        for peer in [Peer::Bare, Peer::Kanaria, Peer::KanariaLogging] {
            let each = each(peer, &backends, job)?;
            let floor = *bare.get_or_insert(each);
            say(format!(
                "| {} | {} | {each:.0} | {:.3} |",
                peer.name(),
                job.client,
                each / floor
            ));
        }
    }
    Ok(())
}

/// Instructions of one request.
fn each(peer: Peer, backends: &Backends, job: Job<'_>) -> Result<f64> {
    let (twice, took) = total(peer, backends, (2 * REQUESTS, job), Duration::ZERO)?;
    let (once, _) = total(peer, backends, (REQUESTS, job), took)?;
    Ok((twice.saturating_sub(once)) as f64 / REQUESTS as f64)
}

/// Instructions of a whole run, and the time that it took, which is `least` or more.
fn total(
    peer: Peer,
    backends: &Backends,
    (requests, job): (usize, Job<'_>),
    least: Duration,
) -> Result<(u64, Duration)> {
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let start = Instant::now();
    let mut running = peer.start_over(backends, &wrapper.map(str::to_owned), job.tls)?;
    match job.tls {
        Some(_) => tls::send(&running, "tls-1", requests)?,
        None => send(&running, requests, job.client)?,
    }
    thread::sleep(least.saturating_sub(start.elapsed()));
    let took = start.elapsed();
    // pingora ends at once on SIGINT; so does kanaria.
    running.process.signal(Signal::INT)?;
    if !running.process.ended_within(Duration::from_secs(60))? {
        bail!("{} did not end", peer.name());
    }
    let log = fs::read_to_string(running.folder.path().join("stderr.log"))?;
    let line = log
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .context("callgrind said nothing")?;
    Ok((line.1.trim().parse()?, took))
}
