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

const REQUESTS: usize = 4_000;

/// Counts bare pingora and kanaria, with clients that hold a cookie and with new ones, and prints a table.
pub(crate) fn run() -> Result<()> {
    if !installed("valgrind") {
        bail!("counting needs valgrind");
    }
    let backends = Backends::start()?;
    say("| proxy | clients | user instructions per request | to bare pingora |");
    say("| --- | --- | --: | --: |");
    for client in ["known", "new"] {
        let mut bare = None;
        for peer in [Peer::Bare, Peer::Kanaria, Peer::KanariaLogging] {
            let (twice, took) = total(peer, &backends, (2 * REQUESTS, client), Duration::ZERO)?;
            let (once, _) = total(peer, &backends, (REQUESTS, client), took)?;
            let each = (twice.saturating_sub(once)) as f64 / REQUESTS as f64;
            let floor = *bare.get_or_insert(each);
            say(format!(
                "| {} | {client} | {each:.0} | {:.3} |",
                peer.name(),
                each / floor
            ));
        }
    }
    Ok(())
}

/// Instructions of a whole run, and the time that it took, which is `least` or more.
fn total(
    peer: Peer,
    backends: &Backends,
    (requests, client): (usize, &str),
    least: Duration,
) -> Result<(u64, Duration)> {
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let start = Instant::now();
    let mut running = peer.start(backends, &wrapper.map(str::to_owned))?;
    send(&running, requests, client)?;
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
