//! A fixed number of requests over kept connections, in a process of its own so that its CPU is not the proxy's.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::head_end;

/// Connections at the same time, as in the scenarios of `docs/benchmarks.md`.
const CONNECTIONS: usize = 64;

/// The role `load ADDRESS REQUESTS known|new`: clients that hold a cookie, or that come for the first time.
pub(crate) fn role(address: &str, requests: usize, client: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut lanes = tokio::task::JoinSet::new();
        for number in 0..CONNECTIONS {
            let part = requests / CONNECTIONS + usize::from(number < requests % CONNECTIONS);
            lanes.spawn(lane(address.to_owned(), part, message(client, number)));
        }
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        Ok(())
    })
}

/// One request of the client of this number.
pub(crate) fn message(client: &str, number: usize) -> Vec<u8> {
    let cookie = match client {
        "known" => format!("Cookie: side=ec2; kanaria={number:A<22}\r\n"),
        _ => String::new(),
    };
    format!("GET /1k HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n{cookie}\r\n")
        .into_bytes()
}

async fn lane(address: String, requests: usize, message: Vec<u8>) -> Result<()> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut held = Vec::with_capacity(8192);
    for _ in 0..requests {
        stream.write_all(&message).await?;
        held.clear();
        answer(&mut stream, &mut held).await?;
    }
    Ok(())
}

/// Reads one whole answer, which must be a 200.
pub(crate) async fn answer(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> Result<()> {
    loop {
        if stream.read_buf(held).await? == 0 {
            bail!("closed inside an answer");
        }
        let Some(end) = head_end(held) else { continue };
        let length = content_length(&held[..end]).context("an answer without a length")?;
        while held.len() < end + length {
            if stream.read_buf(held).await? == 0 {
                bail!("closed inside a body");
            }
        }
        if !held.starts_with(b"HTTP/1.1 200") {
            bail!("{}", String::from_utf8_lossy(&held[..end]));
        }
        return Ok(());
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let name = b"content-length: ";
    let at = head
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name))?;
    let digits = head[at + name.len()..]
        .split(|byte| *byte == b'\r')
        .next()?;
    str::from_utf8(digits).ok()?.trim().parse().ok()
}
