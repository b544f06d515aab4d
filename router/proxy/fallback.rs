//! An answer of 404 that is dropped, because the route names another pool that may have what is asked for.
//!
//! pingora has one way back to the choice of a target, which is an error that may be tried again; so the answer becomes one.

use std::time::Instant;

use http::Method;
use pingora_error::{Error, ErrorType};
use pingora_proxy::Session;

use super::exchange::Exchange;

const FALLBACK: ErrorType = ErrorType::Custom("fallback");

/// The error that drops an answer.
pub(super) fn error() -> Box<Error> {
    Error::explain(FALLBACK, "another pool is asked")
}

/// Whether `error` is no error, but an answer that was dropped.
pub(super) fn is_one(error: &Error) -> bool {
    *error.etype() == FALLBACK
}

impl Exchange {
    /// Whether another pool is asked in place of passing a 404 on; if so the request is on its way there.
    pub(super) fn falls_back(&mut self, session: &mut Session) -> bool {
        if !self.may_ask_again(session) {
            return false;
        }
        let route = self.decision.and_then(|decision| decision.route);
        let forward = route.and_then(|id| self.hold.snapshot().route(id).forward());
        let (Some(forward), Some(journey)) = (forward, self.journey.as_mut()) else {
            return false;
        };
        let falls = journey.fall_back(&forward.fallback, self.hold.pools(), Instant::now());
        if falls {
            self.lease = None;
            // Nothing was sent to the next pool, so a kept connection will do.
            self.sent = None;
        }
        falls
    }

    /// What asks for nothing to be done, and has been asked in whole.
    fn may_ask_again(&self, session: &mut Session) -> bool {
        matches!(session.req_header().method, Method::GET | Method::HEAD)
            && self.gate.is_none()
            && session.as_downstream_mut().is_body_done()
            && !session.as_ref().retry_buffer_truncated()
    }
}
