//! Reload of 1,000 routes under load: what is lost, and how long until every answer follows the new file.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::load::answer;
use crate::peer::{Backends, Peer, Running, kanaria_head};
use crate::{median, say};

const ROUTES: usize = 1_000;
const RELOADS: usize = 20;
const LANES: usize = 8;

/// One request of the load.
struct Seen {
    sent: Instant,
    took: Duration,
    /// The pool that answered; `None` when the request was lost.
    ecs: Option<bool>,
}

/// Reloads under load and prints what was seen.
pub(crate) fn run() -> Result<()> {
    let backends = Backends::start()?;
    let running = Peer::Kanaria.start(&backends, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&running, &backends))
}

async fn measure(running: &Running, backends: &Backends) -> Result<()> {
    switch(running, backends, false)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let quiet = load(running, async { pause(40).await }).await?;
    let mut signals = Vec::new();
    let busy = load(running, async {
        for number in 0..RELOADS {
            pause(2).await;
            let ecs = number % 2 == 0;
            if switch(running, backends, ecs).is_ok() {
                signals.push((Instant::now(), ecs));
            }
        }
        pause(2).await;
    })
    .await?;
    report(&quiet, &busy, &signals);
    Ok(())
}

async fn pause(tenths: u64) {
    tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
}

/// Writes the file with every route at one pool and signals.
fn switch(running: &Running, backends: &Backends, ecs: bool) -> Result<()> {
    let mut text = kanaria_head(backends, running.address, running.admin);
    let stable = if ecs { "ecs" } else { "ec2" };
    for number in 0..ROUTES {
        writeln!(
            text,
            "[[routes]]\nname = \"r{number}\"\nmatch = {{ host = [\"r{number:04}.example\"] }}\nstable = \"{stable}\""
        )?;
    }
    let path = running.folder.path().join("kanaria.toml");
    let new = running.folder.path().join("kanaria.toml.new");
    fs::write(&new, text)?;
    fs::rename(&new, &path)?;
    running.process.signal(Signal::HUP)
}

/// Runs the load until `during` is over.
async fn load(running: &Running, during: impl Future<Output = ()>) -> Result<Vec<Seen>> {
    let (stop, stopped) = watch::channel(false);
    let mut lanes = tokio::task::JoinSet::new();
    for number in 0..LANES {
        lanes.spawn(lane(running.address.to_string(), number, stopped.clone()));
    }
    during.await;
    stop.send(true)?;
    let mut seen = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        seen.extend(lane??);
    }
    Ok(seen)
}

/// About 125 requests a second on one kept connection, to a host in the middle of the table.
async fn lane(address: String, number: usize, stopped: watch::Receiver<bool>) -> Result<Vec<Seen>> {
    let mut stream = TcpStream::connect(&address).await?;
    let host = 500 + number;
    let message = format!("GET /1k HTTP/1.1\r\nHost: r{host:04}.example\r\n\r\n");
    let mut seen = Vec::new();
    while !*stopped.borrow() {
        let sent = Instant::now();
        let ecs = ask(&mut stream, message.as_bytes()).await.ok();
        seen.push(Seen {
            sent,
            took: sent.elapsed(),
            ecs,
        });
        if ecs.is_none() {
            stream = TcpStream::connect(&address).await?;
        }
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    Ok(seen)
}

/// Whether `ecs` answered.
async fn ask(stream: &mut TcpStream, message: &[u8]) -> Result<bool> {
    let mut held = Vec::with_capacity(4096);
    stream.write_all(message).await?;
    answer(stream, &mut held).await?;
    Ok(held.windows(9).any(|window| window == b"stub: ecs"))
}

fn report(quiet: &[Seen], busy: &[Seen], signals: &[(Instant, bool)]) {
    let mut lags = Vec::new();
    for (number, (at, ecs)) in signals.iter().enumerate() {
        let next = signals.get(number + 1).map(|(at, _)| *at);
        let own = |seen: &&Seen| seen.sent >= *at && next.is_none_or(|next| seen.sent < next);
        let late = busy
            .iter()
            .filter(own)
            .filter(|seen| seen.ecs == Some(!*ecs));
        let last = late.map(|seen| (seen.sent - *at).as_secs_f64() * 1e3);
        lags.push(last.fold(0.0, f64::max));
    }
    let each: Vec<_> = lags.iter().map(|lag| format!("{lag:.1}")).collect();
    say(format!(
        "last old answer, ms, in their order: {}",
        each.join(" ")
    ));
    let slowest = lags.iter().copied().fold(0.0, f64::max);
    say(
        "| reloads | requests | lost | last old answer, ms: median | slowest | p99 ms, quiet | p99 ms, reloading |",
    );
    say("| --: | --: | --: | --: | --: | --: | --: |");
    say(format!(
        "| {} of {ROUTES} routes | {} | {} | {:.1} | {slowest:.1} | {:.2} | {:.2} |",
        signals.len(),
        busy.len(),
        busy.iter().filter(|seen| seen.ecs.is_none()).count(),
        median(lags),
        p99(quiet),
        p99(busy),
    ));
}

/// Milliseconds.
fn p99(seen: &[Seen]) -> f64 {
    let mut took: Vec<_> = seen
        .iter()
        .map(|seen| seen.took.as_secs_f64() * 1e3)
        .collect();
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}
