//! Reading the next head of a connection: within the idle time until its first byte, within the header time to its last.

use std::time::Duration;

use config::model::{Limits, Timeouts};
use pingora_core::server::ShutdownWatch;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::Connection;
use crate::hygiene::{self, Framing};
use crate::record::Cause;

/// Bytes read in one go; a usual head fits.
const ROOM: usize = 4096;

/// What came next on a connection.
pub(super) enum Next {
    /// Nothing: the client closed, was idle for too long, or we are shutting down.
    Nothing,
    /// A head that passed, of so many bytes.
    Head(usize, Framing),
    /// A head, or the start of one, that will not be served.
    Refused(Cause),
}

/// Waits for the next request of `connection` and checks its head.
pub(super) async fn next(
    connection: &mut Connection,
    limits: &Limits,
    timeouts: &Timeouts,
    shutdown: &mut ShutdownWatch,
) -> Next {
    if connection.waiting().is_empty() && !first_byte(connection, timeouts.idle.0, shutdown).await {
        return Next::Nothing;
    }
    connection.wire().start_request();
    let deadline = Instant::now() + timeouts.header.0;
    match timeout_at(deadline, whole(connection, limits)).await {
        Ok(next) => next,
        Err(_) => Next::Refused(Cause::HeaderTimeout),
    }
}

/// Whether a byte came in time; one that comes while we shut down is not read.
async fn first_byte(
    connection: &mut Connection,
    idle: Duration,
    shutdown: &mut ShutdownWatch,
) -> bool {
    tokio::select! {
        biased;
        _ = shutdown.wait_for(|stopping| *stopping) => false,
        filled = timeout(idle, connection.fill(ROOM)) => matches!(filled, Ok(Ok(1..))),
    }
}

async fn whole(connection: &mut Connection, limits: &Limits) -> Next {
    let mut searched = 0;
    loop {
        connection.skip_empty_lines();
        let bytes = connection.waiting();
        if let Some(end) = hygiene::end_of_head(bytes, searched) {
            return match hygiene::check(&bytes[..end], limits) {
                Ok(framing) => Next::Head(end, framing),
                Err(cause) => Next::Refused(cause),
            };
        }
        if let Some(cause) = hopeless(bytes, limits) {
            return Next::Refused(cause);
        }
        // The last two bytes may be the start of the empty line.
        searched = bytes.len().saturating_sub(2);
        if !matches!(connection.fill(ROOM).await, Ok(1..)) {
            return Next::Refused(Cause::ClientClosed);
        }
    }
}

/// Why this start can never become a head that is served; no need to wait for the rest.
fn hopeless(bytes: &[u8], limits: &Limits) -> Option<Cause> {
    let line = memchr::memchr(b'\n', bytes);
    match bytes.first() {
        Some(first) if !first.is_ascii_uppercase() && *first != b'\r' => Some(Cause::BadRequest),
        _ if line.unwrap_or(bytes.len()) as u64 > limits.request_line.0 + 2 => {
            Some(Cause::UriTooLong)
        }
        _ if bytes.len() as u64 > limits.request_line.0 + limits.headers.0 => {
            Some(Cause::HeaderTooLarge)
        }
        _ => None,
    }
}
