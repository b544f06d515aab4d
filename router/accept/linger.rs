//! Closing a connection whose client is still sending, so that it can read the answer it already has.
//!
//! RFC 9112 section 9.6: close the write side, read what comes for a short while, then close.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::socket::Socket;

const MOST_TIME: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 256 * 1024;

/// Ends `socket` gently; bounded in time and bytes.
pub(super) async fn linger(mut socket: Socket) {
    // Whatever goes wrong here, the connection is over.
    let _ = timeout(MOST_TIME, read_away(&mut socket)).await;
}

async fn read_away(socket: &mut Socket) -> std::io::Result<()> {
    socket.shutdown().await?;
    let mut space = [0; 2048];
    let mut left = MOST_BYTES;
    while left > 0 {
        match socket.read(&mut space).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}
