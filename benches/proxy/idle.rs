//! Memory per idle connection: one that was never used, and one kept after a request.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::cpu::send;
use crate::load::answer;
use crate::peer::{Backends, Peer, Running};
use crate::process::many_descriptors;
use crate::say;

const CONNECTIONS: usize = 3_000;

/// Measures bare pingora and kanaria and prints a table.
pub(crate) fn run() -> Result<()> {
    if many_descriptors()? < 2 * CONNECTIONS as u64 {
        bail!("too few file descriptors: raise `ulimit -n`");
    }
    let backends = Backends::start()?;
    say("| proxy | bytes per never-used connection | bytes per kept connection |");
    say("| --- | --: | --: |");
    for peer in [Peer::Bare, Peer::Kanaria] {
        let unused = cost(peer, &backends, false)?;
        let kept = cost(peer, &backends, true)?;
        say(format!("| {} | {unused} | {kept} |", peer.name()));
    }
    Ok(())
}

fn cost(peer: Peer, backends: &Backends, used: bool) -> Result<u64> {
    let running = peer.start(backends, &[])?;
    // Whatever grows once must have grown before.
    send(&running, 20_000, "known")?;
    let before = settled(&running)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let held = runtime.block_on(open(&running, used))?;
    let after = settled(&running)?;
    drop(held);
    Ok(after.saturating_sub(before) / CONNECTIONS as u64)
}

async fn open(running: &Running, used: bool) -> Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(CONNECTIONS);
    let mut buffer = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(running.address).await?;
        if used {
            stream
                .write_all(b"GET /1k HTTP/1.1\r\nHost: bench.example\r\n\r\n")
                .await?;
            buffer.clear();
            answer(&mut stream, &mut buffer).await?;
        }
        held.push(stream);
    }
    Ok(held)
}

/// The memory once it no longer moves.
fn settled(running: &Running) -> Result<u64> {
    let mut last = running.process.memory()?;
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(200));
        let now = running.process.memory()?;
        if now.abs_diff(last) < 64 * 1024 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}
