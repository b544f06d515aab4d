//! One request while it is served: the snapshot it keeps to its end, what is known of it, and its record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::decision::{Choice, Decision};
use config::flag::Flag;
use config::rewrite::{NoAddress, Rewritten};
use config::snapshot::Route;

use super::tunnel::Gate;
use crate::accept::Wire;
use crate::forward::Journey;
use crate::pool::Lease;
use crate::publish::Hold;
use crate::record::{Cause, Head, Record, Recorder, Text, Upstream};
use crate::request_id::Names;
use crate::shadow::Copy;
use crate::trace::Context;
use crate::witness::Observation;

/// One request while it is served.
pub struct Exchange {
    pub(super) hold: Hold,
    recorder: Arc<Recorder>,
    pub(super) arrival: Option<Arrival>,
    pub(super) decision: Option<Decision>,
    pub(super) journey: Option<Journey>,
    /// The address for the target, when the route makes another one.
    pub(super) rewritten: Option<Result<Rewritten, NoAddress>>,
    /// The client asks for its favicon, and its flag has one.
    pub(super) shows_flag: bool,
    pub(super) lease: Option<Lease>,
    /// What goes to the route's shadow pool when the request is over.
    pub(super) copy: Option<Box<Copy>>,
    /// Whether there was one; unknown in a route without a shadow.
    pub(super) sampled: Option<bool>,
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) upstream: Option<Upstream>,
    pub(super) connecting: Option<Instant>,
    pub(super) sent: Option<Instant>,
    pub(super) body_received: u64,
    pub(super) begun: Option<u16>,
    pub(super) cause: Option<Cause>,
    /// A cookie that the client sends more than once.
    pub(super) cookie_dup: Option<Box<str>>,
    /// Where it is in its trace; `None` when nothing is traced.
    pub(super) context: Option<Context>,
    finished: bool,
}

/// What is known of a request once its head was read.
pub(super) struct Arrival {
    pub(super) wire: Arc<Wire>,
    pub(super) head: Head,
    pub(super) names: Names,
    /// Seconds since 1970.
    pub(super) now: u64,
    pub(super) protocol: &'static str,
    pub(super) client: IpAddr,
    pub(super) trusted: bool,
    pub(super) secure: bool,
    pub(super) upgrade: bool,
    /// The client can take trailers.
    pub(super) trailers: bool,
    /// It is a call of gRPC.
    pub(super) grpc: bool,
}

impl Arrival {
    /// The host that the request names, as sent: looking for it among the fields once more costs more than this.
    pub(super) fn host(&self) -> &str {
        let host = self.head.get(Text::Host).unwrap_or_default();
        std::str::from_utf8(host).unwrap_or_default()
    }
}

impl Exchange {
    pub(super) fn new(hold: Hold, recorder: Arc<Recorder>) -> Self {
        Self {
            hold,
            recorder,
            arrival: None,
            decision: None,
            journey: None,
            rewritten: None,
            shows_flag: false,
            lease: None,
            copy: None,
            sampled: None,
            gate: None,
            upstream: None,
            connecting: None,
            sent: None,
            body_received: 0,
            begun: None,
            cause: None,
            cookie_dup: None,
            context: None,
            finished: false,
        }
    }

    /// The route that takes the request, once that is decided.
    pub(super) fn route(&self) -> Option<&Route> {
        let id = self.decision.as_ref()?.route?;
        Some(self.hold.snapshot().route(id))
    }

    /// Whether the request goes to a target.
    pub(super) fn forwards(&self) -> bool {
        self.journey.is_some() && !matches!(self.rewritten, Some(Err(_))) && !self.shows_flag
    }

    /// The flag that decided.
    pub(super) fn flag(&self) -> Option<&Flag> {
        let id = self.choice()?.flag?;
        self.route()?.forward()?.flags.get(usize::from(id.0))
    }

    pub(super) fn choice(&self) -> Option<&Choice> {
        self.decision.as_ref()?.choice.as_ref()
    }

    /// Writes the request down, once; `status` is what the client was sent.
    pub(super) fn finish(&mut self, status: Option<u16>) {
        self.hold.sent();
        let Some(arrival) = self.arrival.as_mut().filter(|_| !self.finished) else {
            return;
        };
        self.finished = true;
        let shadow = self.sampled;
        let cause = self.cause;
        let (started, duration) = arrival.wire.times();
        let record = Record {
            started,
            duration,
            listener: arrival.wire.listener,
            local: arrival.wire.local,
            client_ip: arrival.client,
            client_port: (arrival.client == arrival.wire.peer.ip())
                .then(|| arrival.wire.peer.port()),
            protocol: Some(arrival.protocol),
            grpc: arrival.grpc,
            tls: arrival.wire.tls(),
            secure: arrival.secure,
            head: std::mem::take(&mut arrival.head),
            status: status.or_else(|| cause.map(Cause::status)).unwrap_or(0),
            error: cause,
            traits: arrival.wire.traits(),
            bytes_in: arrival.wire.received(),
            bytes_out: arrival.wire.sent(),
            dispatched: self
                .sent
                .map(|sent| sent.saturating_duration_since(arrival.wire.begun())),
            rewritten: self.rewritten.take().and_then(Result::ok),
            upstream: self.upstream,
            attempts: self.journey.as_ref().map_or(0, Journey::attempts),
            decision: served(self.decision, self.journey.as_ref()),
            switched_from: self.journey.as_ref().and_then(Journey::switched_from),
            fail_open: self.journey.as_ref().is_some_and(Journey::fails_open),
            cookie_dup: self.cookie_dup.take(),
            retries: self
                .journey
                .as_mut()
                .map_or_else(Vec::new, Journey::take_retries),
            shadow,
        };
        self.recorder.finish(&record, self.hold.snapshot());
        testify(&self.hold, &record);
        self.give_copy_away();
        self.note_skew(&record);
        self.give_span_away(record);
    }

    /// Whether the target switched protocols, so that what passes is no answer any more.
    pub(super) fn switched(&self) -> bool {
        let arrival = self.arrival.as_ref();
        arrival.is_some_and(|arrival| arrival.wire.switched())
    }

    /// Whether the wire bounds how long the target may be silent, instead of pingora.
    ///
    /// pingora makes a timer for each wait, which the wire does not: a tenth of all that is ours in a request without a
    /// body (`--counts` of `benches/proxy`). While a body comes the wire cannot tell whose silence it hears.
    pub(super) fn wire_times(&self) -> bool {
        let arrival = self.arrival.as_ref();
        self.gate.is_some() || arrival.is_some_and(|arrival| arrival.wire.bodiless())
    }

    pub(super) fn response_timeout(&self) -> Option<Duration> {
        let pool = self.journey.as_ref()?.serving();
        Some(self.hold.snapshot().pool(pool).settings.response_timeout.0)
    }
}

/// Lets the guard of the route see the request, when there is one.
fn testify(hold: &Hold, record: &Record) {
    let route = record.decision.and_then(|decision| decision.route);
    let guarded =
        route.and_then(|id| Some((hold.witness(id)?, hold.snapshot().route(id).forward()?)));
    let Some((witness, forward)) = guarded else {
        return;
    };
    if let Some(seen) = Observation::of(record, forward.stable) {
        witness.observe(&seen);
    }
}

/// The decision as it was carried out: a pool that stood in has the reason for it.
fn served(decision: Option<Decision>, journey: Option<&Journey>) -> Option<Decision> {
    let mut decision = decision?;
    if let (Some(choice), Some(journey)) = (decision.choice.as_mut(), journey)
        && let Some(reason) = journey.stood_in()
    {
        choice.pool = journey.serving();
        choice.reason = reason;
    }
    Some(decision)
}

/// A request that ends without `logging` (a panic, or cut at the end of a drain) is written down all the same.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            let cut = if std::thread::panicking() {
                Cause::Internal
            } else {
                Cause::Shutdown
            };
            self.cause.get_or_insert(cut);
            self.finish(self.begun);
        }
    }
}
