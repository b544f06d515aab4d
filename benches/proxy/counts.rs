//! User instructions per request, which do not move with the noise of a machine.
//!
//! Callgrind counts a run of N and a run of 2 N requests; their difference leaves out start and end.

use std::fs;
use std::time::Duration;

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
            let once = total(peer, &backends, REQUESTS, client)?;
            let twice = total(peer, &backends, 2 * REQUESTS, client)?;
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

/// Instructions of a whole run.
fn total(peer: Peer, backends: &Backends, requests: usize, client: &str) -> Result<u64> {
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let mut running = peer.start(backends, &wrapper.map(str::to_owned))?;
    send(&running, requests, client)?;
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
    Ok(line.1.trim().parse()?)
}
