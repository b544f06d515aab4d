//! The copy of a request for its route's shadow pool: made of its head, of its body, and given away at its end.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pingora_http::{RequestHeader, ResponseHeader};

use super::exchange::Exchange;
use crate::forward::Journey;
use crate::record::Text;
use crate::shadow::{Asked, Seen};

impl Exchange {
    /// Copies `head`, which is the target's, if the route has a shadow that wants it.
    pub(super) fn mirror(&mut self, head: &RequestHeader) {
        let route = self.decision.and_then(|decision| decision.route);
        let Some(mirror) = route.and_then(|id| self.hold.mirror(id)) else {
            return;
        };
        if self.sampled.is_some() {
            // A further try, or another pool that may have it: what becomes of a request's copy is told once.
            if let Some(copy) = &mut self.copy {
                copy.begin_again();
            }
            return;
        }
        let (Some(arrival), Some(serving)) =
            (&self.arrival, self.journey.as_ref().map(Journey::serving))
        else {
            return;
        };
        let path = arrival.head.get(Text::Path).unwrap_or_default();
        let seen = Seen {
            path: std::str::from_utf8(path).unwrap_or_default(),
            bucket: self.choice().and_then(|choice| choice.bucket),
            serving,
            bodiless: arrival.wire.bodiless(),
        };
        // A tunnel cannot be asked for twice, and a call of gRPC may go on for hours.
        let is_one = !arrival.upgrade && !arrival.grpc;
        let copy = is_one.then(|| mirror.copy(seen, (&head.method, &head.uri, &head.headers)));
        self.copy = copy.flatten();
        self.sampled = Some(self.copy.is_some());
    }

    /// A part of the request's body, on its way to the target.
    pub(super) fn mirror_body(&mut self, part: Option<&Bytes>, last: bool) {
        if let Some(copy) = &mut self.copy {
            copy.body(part, last);
        }
    }

    /// The head of the target's answer, before anything of ours is in it.
    pub(super) fn mirror_answer(&mut self, head: &ResponseHeader) {
        if let Some(copy) = &mut self.copy {
            let time = self.upstream.and_then(|upstream| upstream.ttfb);
            copy.answer(head.status, &head.headers, time.unwrap_or_default());
        }
    }

    /// A part of that answer's body, on its way to the client.
    pub(super) fn mirror_answer_body(&mut self, part: Option<&Bytes>, last: bool) {
        if let Some(copy) = &mut self.copy {
            copy.answer_body(part, last);
        }
    }

    /// The request is over, and its copy goes its own way.
    pub(super) fn give_copy_away(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        let Some(serving) = self.journey.as_ref().map(Journey::serving) else {
            return;
        };
        let [shadow, serving] = [copy.pool(), serving].map(|id| Asked {
            id,
            pool: Arc::clone(&self.hold.pools()[usize::from(id.0)]),
        });
        let structure = &self.hold.snapshot().structure;
        copy.offer(structure, shadow, serving, Instant::now());
    }
}
