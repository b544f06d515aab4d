//! A target that costs little: answers every head with 1 KiB and its name.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The role `backend NAME`: prints its address, then serves until it is killed.
pub(crate) fn run(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nstub: {name}\r\n\r\n{}",
        "x".repeat(1024)
    );
    let answer: &'static [u8] = answer.into_bytes().leak();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        crate::say(listener.local_addr()?.to_string());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream, answer));
        }
    })
}

async fn serve(mut stream: TcpStream, answer: &'static [u8]) {
    let mut held = Vec::with_capacity(4096);
    loop {
        match stream.read_buf(&mut held).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while let Some(end) = head_end(&held) {
            held.drain(..end);
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// Where the first head ends, when it has arrived whole.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}
