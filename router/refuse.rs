//! Requests that end before pingora sees them: answered in one write, written down like any other.

use std::sync::Arc;

use http::StatusCode;

use crate::accept::Wire;
use crate::publish::Publisher;
use crate::record::{Cause, Head, Record, Recorder};
use crate::request_id;
use crate::respond;

/// Answers and writes down requests whose head was refused.
pub struct Refuser {
    publisher: Arc<Publisher>,
    recorder: Arc<Recorder>,
}

/// One refused request.
pub struct Refusal {
    /// What the client is sent; nothing when it is gone.
    pub answer: Vec<u8>,
    wire: Arc<Wire>,
    head: Head,
    cause: Cause,
}

impl Refuser {
    /// A refuser that writes to `recorder`.
    pub const fn new(publisher: Arc<Publisher>, recorder: Arc<Recorder>) -> Self {
        Self {
            publisher,
            recorder,
        }
    }

    /// The snapshots in force.
    pub const fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    /// Where finished requests are written down.
    pub const fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// What to answer to the head, or start of one, in `bytes`.
    pub fn refusal(&self, wire: &Arc<Wire>, bytes: &[u8], cause: Cause) -> Refusal {
        let id = request_id::fresh();
        let answer = match cause {
            Cause::ClientClosed => Vec::new(),
            _ => respond::raw(status(cause), &id),
        };
        let [method, path, query] = first_line(bytes);
        let head = Head::copy([
            Some(id.as_bytes()),
            None,
            method,
            None,
            path,
            query,
            None,
            None,
        ]);
        Refusal {
            answer,
            wire: Arc::clone(wire),
            head,
            cause,
        }
    }

    /// Writes `refusal` down, once its answer was sent.
    pub fn record(&self, refusal: Refusal) {
        let wire = &refusal.wire;
        let (started, duration) = wire.times();
        let record = Record {
            started,
            duration,
            listener: wire.listener,
            client_ip: wire.peer.ip(),
            client_port: Some(wire.peer.port()),
            protocol: None,
            head: refusal.head,
            status: refusal.cause.status(),
            error: Some(refusal.cause),
            bytes_in: wire.received(),
            bytes_out: wire.sent(),
            upstream: None,
            attempts: 0,
            decision: None,
            switched_from: None,
        };
        self.recorder
            .finish(&record, &self.publisher.current().snapshot);
    }
}

fn status(cause: Cause) -> StatusCode {
    StatusCode::from_u16(cause.status()).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Method, path and query of a request line, as far as there is one; for the log only.
fn first_line(bytes: &[u8]) -> [Option<&[u8]>; 3] {
    let line = bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return [None; 3];
    };
    let mut target = target.splitn(2, |byte| *byte == b'?');
    [Some(method), target.next(), target.next()]
}
