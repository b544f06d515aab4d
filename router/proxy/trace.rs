//! The trace of a request: read from its head, told to its target, given away as a span in the end.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::exchange::Exchange;
use crate::record::Record;
use crate::request_id;
use crate::trace::{Parent, Span, Told};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

impl Exchange {
    /// Finds the trace that the request belongs to, when the file has a collector.
    pub(super) fn find_trace(&mut self, headers: &HeaderMap) {
        let (Some(tracer), Some(arrival)) = (self.hold.tracer(), &self.arrival) else {
            return;
        };
        let lines = headers.get_all(TRACEPARENT).iter();
        let told = Told {
            parent: Parent::read(lines.map(HeaderValue::as_bytes)),
            root: request_id::root(arrival.names.trace.as_bytes()),
            is_root_ours: arrival.names.is_root_ours(),
            trusted: arrival.trusted,
        };
        self.context = Some(tracer.context(told));
    }

    /// Makes our span the parent of what the target does. A trace that is not recorded here, but goes on, passes as it came:
    /// there is no span of ours to be a part of.
    pub(super) fn tell_trace(&self, headers: &mut HeaderMap) {
        let Some(context) = &self.context else {
            return;
        };
        let is_new = context.parent.is_none();
        if context.sampled || is_new {
            headers.insert(TRACEPARENT, context.value());
        }
        if is_new {
            // It belongs to a trace that is not followed (W3C Trace Context section 3.3.1).
            headers.remove(TRACESTATE);
        }
    }

    /// Gives the span of the request of `record` away, when it gets one.
    pub(super) fn give_span_away(&self, record: Record) {
        let context = self.context.filter(|context| context.sampled);
        if let (Some(context), Some(tracer)) = (context, self.hold.tracer()) {
            let span = Span::new(context, record, self.hold.snapshot());
            tracer.give(Box::new(span));
        }
    }
}
