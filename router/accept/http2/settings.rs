//! What we grant a client of HTTP/2: streams, windows, head sizes, and how much nonsense before it is sent away.

use config::model::Limits;
use h2::server::Builder;

use crate::hygiene::MAX_FIELDS;

/// Streams of one connection at the same time, as an ALB grants.
const MAX_STREAMS: u32 = 128;
/// Requests of one connection that may run at the same time, with those whose stream is already gone.
pub(super) const MOST_RUNNING: usize = 2 * MAX_STREAMS as usize;
/// Body bytes that a stream may send ahead.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Body bytes that all streams of a connection together may send ahead.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an answer that wait for the client, for each stream.
const SEND_BUFFER: usize = 64 * 1024;
/// What HPACK counts for a field besides its name and value (RFC 7541 section 4.1).
const OVERHEAD: u64 = 32;
/// Streams refused for what they say, in all; a client that goes on is sent away.
const MOST_MALFORMED: usize = 64;

/// The settings under `limits`.
///
/// Heads somewhat larger than the limits still come through, to be refused by hygiene with a line in the log; what is far
/// larger is answered 431 by `h2`, which does not keep what it reads beyond this size.
pub(super) fn of(limits: &Limits) -> Builder {
    let line_and_fields = limits.request_line.0 + limits.headers.0;
    let head = line_and_fields + OVERHEAD * (MAX_FIELDS as u64 + 4);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(Some(MOST_MALFORMED));
    builder
}
