//! Requests that end before pingora sees them: answered in one write, written down like any other.

use std::sync::Arc;

use http::StatusCode;

use crate::accept::Wire;
use crate::publish::Publisher;
use crate::record::{Cause, Head, Record, Recorder};
use crate::request_id;
use crate::respond::{self, Accept, Page};

/// Answers and writes down requests whose head was refused.
pub struct Refuser {
    publisher: Arc<Publisher>,
    recorder: Arc<Recorder>,
}

/// One refused request.
pub struct Refusal {
    id: String,
    wire: Arc<Wire>,
    protocol: Option<&'static str>,
    head: Head,
    accept: Accept,
    cause: Cause,
}

/// What a refused head said, as far as it could be read; for the log only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// As in the log; `None` when not even that could be read.
    pub protocol: Option<&'static str>,
    /// Method.
    pub method: Option<&'a [u8]>,
    /// Host, as sent.
    pub host: Option<&'a [u8]>,
    /// Path, and the query behind its `?`.
    pub target: Option<&'a [u8]>,
    /// `Accept`, for the page.
    pub accept: Option<&'a [u8]>,
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

    /// The refusal of a head that said `said`.
    pub fn refusal(&self, wire: &Arc<Wire>, said: Said<'_>, cause: Cause) -> Refusal {
        let id = request_id::fresh();
        let mut target = said
            .target
            .map(|target| target.splitn(2, |byte| *byte == b'?'));
        let mut part = || target.as_mut().and_then(Iterator::next);
        let head = Head::copy([
            Some(id.as_bytes()),
            None,
            said.method,
            said.host,
            part(),
            part(),
            None,
            None,
            wire.server_name(),
        ]);
        Refusal {
            id,
            wire: Arc::clone(wire),
            protocol: said.protocol,
            head,
            accept: Accept::of(said.accept),
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
            local: wire.local,
            client_ip: wire.peer.ip(),
            client_port: Some(wire.peer.port()),
            protocol: refusal.protocol,
            grpc: false,
            tls: wire.tls(),
            secure: wire.secured().is_some(),
            head: refusal.head,
            status: refusal.cause.status(),
            error: Some(refusal.cause),
            traits: wire.traits(),
            bytes_in: wire.received(),
            bytes_out: wire.sent(),
            dispatched: None,
            rewritten: None,
            upstream: None,
            attempts: 0,
            decision: None,
            switched_from: None,
            retries: Vec::new(),
            fail_open: false,
            shadow: None,
            cookie_dup: None,
        };
        self.recorder
            .finish(&record, &self.publisher.current().snapshot);
    }
}

impl Refusal {
    /// The status the client gets, if it still can get one.
    pub fn status(&self) -> Option<StatusCode> {
        let gone = self.cause == Cause::ClientClosed;
        (!gone)
            .then(|| StatusCode::from_u16(self.cause.status()).unwrap_or(StatusCode::BAD_REQUEST))
    }

    /// The name of the request, for its page.
    pub fn request_id(&self) -> &str {
        &self.id
    }

    /// The page of its answer.
    pub fn page(&self, status: StatusCode) -> Page {
        respond::page(status, &self.id, self.accept)
    }

    /// The answer as HTTP/1.1; nothing when the client is gone.
    pub fn answer(&self) -> Vec<u8> {
        let answer = self.status();
        let answer = answer.map(|status| respond::raw(status, &self.id, self.accept));
        answer.unwrap_or_default()
    }
}

impl<'a> Said<'a> {
    /// What `bytes`, a head or the start of one that may be anything, seem to say.
    pub fn by_head(bytes: &'a [u8]) -> Self {
        Self {
            accept: field(bytes, b"accept"),
            ..Self::by_line(bytes)
        }
    }

    /// What the request line says that `bytes`, a head or the start of one, begin with.
    fn by_line(bytes: &'a [u8]) -> Self {
        let line = bytes
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        let mut parts = line.split(|byte| *byte == b' ');
        match (parts.next(), parts.next(), parts.next()) {
            (method, target @ Some(_), Some(_)) => Self {
                method,
                target,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

/// The first value of the field `name` in what may be a head; for a page, never for a decision.
fn field<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').skip(1);
    let lines = lines.map(<[u8]>::trim_ascii_end);
    lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (given, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        given
            .eq_ignore_ascii_case(name)
            .then_some(value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expect: Option<&str>) {
        let said = Said::by_head(bytes.as_bytes());
        assert_eq!(said.accept, expect.map(str::as_bytes), "{bytes:?}");
    }

    #[test]
    fn what_a_client_accepts_is_read_from_whatever_it_sent() {
        check("GET / HTTP/1.1\r\nAccept: a/b\r\n\r\n", Some("a/b"));
        check("GET / HTTP/1.1\nACCEPT:a/b", Some("a/b"));
        check("GET / HTTP/1.1\r\nAccepts: a/b\r\n\r\nAccept: c\r\n", None);
        check("Accept: a/b\r\n", None);
        check("", None);
    }
}
