//! CPU time per request of the whole proxy process, over interleaved rounds.

use anyhow::Result;

use crate::peer::{Backends, Peer, Running};
use crate::process::{Core, Process, own};
use crate::{median, say};

/// Requests of one measurement; above a second of CPU, because the kernel counts in hundredths of one.
const REQUESTS: usize = 60_000;

/// Measures every peer `rounds` times and prints a table.
pub(crate) fn run(rounds: usize) -> Result<()> {
    let backends = Backends::start()?;
    let peers = Peer::here();
    let mut costs = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        for turn in 0..peers.len() {
            // Another order each round, so that no peer always runs after the same one.
            let number = (turn + round) % peers.len();
            costs[number].push(cost(peers[number], &backends)?);
        }
    }
    table(&peers, &costs);
    Ok(())
}

/// Microseconds of CPU per request.
fn cost(peer: Peer, backends: &Backends) -> Result<f64> {
    let running = peer.start(backends, &[])?;
    send(&running, REQUESTS / 10, "known")?;
    let before = running.process.cpu()?;
    send(&running, REQUESTS, "known")?;
    let spent = running.process.cpu()? - before;
    Ok(spent.as_secs_f64() * 1e6 / REQUESTS as f64)
}

/// Sends `requests` and waits until all are answered.
pub(crate) fn send(running: &Running, requests: usize, client: &str) -> Result<()> {
    let address = running.address.to_string();
    let role = own(&["load", &address, &requests.to_string(), client])?;
    Process::start(Core::Second, &role, true)?.done()
}

fn table(peers: &[Peer], costs: &[Vec<f64>]) {
    say("| proxy | CPU us per request, median | to bare pingora | rounds |");
    say("| --- | --: | --: | --- |");
    for (peer, own) in peers.iter().zip(costs) {
        // The ratio of each round first, then the median: what the machine did in a round hits both.
        let ratios = own.iter().zip(&costs[0]).map(|(own, bare)| own / bare);
        let rounds: Vec<_> = own.iter().map(|cost| format!("{cost:.1}")).collect();
        say(format!(
            "| {} | {:.1} | {:.2} | {} |",
            peer.name(),
            median(own.clone()),
            median(ratios.collect()),
            rounds.join(" ")
        ));
    }
}
