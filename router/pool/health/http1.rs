//! One HTTP/1.1 request on a connection of its own.
//!
//! By hand: it is the same small exchange a thousand times a second where there are ten thousand targets.

use std::net::SocketAddr;

use config::health::Http;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::USER_AGENT;
use super::answer;
use super::http2::judge;
use super::outcome::{Failed, Outcome};

/// Enough for the request, and for the whole answer of most health pages.
const BUFFER: usize = 1024;

/// Asks and judges the answer.
pub(super) async fn ask<S>(
    stream: &mut S,
    http: &Http,
    address: SocketAddr,
) -> Result<Outcome, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::with_capacity(BUFFER);
    write_request(&mut bytes, http, address);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    bytes.clear();
    let to_head = http.method == "HEAD";
    let mut ended = false;
    loop {
        if let Some(answer) = answer::read(&bytes, ended, to_head)? {
            return Ok(judge(http, answer.status, &answer.body));
        }
        ended = stream.read_buf(&mut bytes).await? == 0;
    }
}

fn write_request(to: &mut Vec<u8>, http: &Http, address: SocketAddr) {
    use std::io::Write;
    let agent = http.user_agent.as_deref().unwrap_or(USER_AGENT);
    let (method, path) = (&http.method, &http.path);
    // Writing to memory cannot fail.
    let _ = write!(to, "{method} {path} HTTP/1.1\r\nHost: ");
    let _ = match &http.host {
        Some(host) => write!(to, "{host}"),
        None => write!(to, "{address}"),
    };
    let _ = write!(
        to,
        "\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n"
    );
    if let Some(scheme) = http.client_scheme {
        let _ = write!(to, "X-Forwarded-Proto: {scheme}\r\n");
    }
    to.extend_from_slice(b"\r\n");
}
