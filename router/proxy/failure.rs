//! What went wrong, whose fault it is, and whether it may be tried again.

use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};

use super::exchange::Exchange;
use crate::pool::Failure;
use crate::record::{Blame, Cause};

impl Exchange {
    /// A connection broke while the request was on it: an idempotent one may try again when nothing came back.
    pub(super) fn broke(
        &mut self,
        session: &mut Session,
        mut error: Box<Error>,
        reused: bool,
    ) -> Box<Error> {
        let cause = self.cause.unwrap_or_else(|| self.cause_of(session, &error));
        // A tunnel that breaks is no failed request: the target had answered that one.
        if let (Blame::Target, Some(lease), false) =
            (cause.blame(), self.lease.take(), self.switched())
        {
            lease.failed(failure(cause));
        }
        if self.may_repeat(session) {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        if !error.retry() {
            self.cause = Some(cause);
        }
        error
    }

    /// Answers a request that failed for good, if its client can still be answered.
    pub(super) async fn fail(&mut self, session: &mut Session, error: &Error) -> FailToProxy {
        let cause = self.cause.unwrap_or_else(|| self.cause_of(session, error));
        self.cause = Some(cause);
        let begun = session
            .response_written()
            .is_some_and(|response| !response.status.is_informational() || self.switched());
        let gone = cause == Cause::ClientClosed;
        // pingora closes after an error; the answer must not promise otherwise.
        session.set_keepalive(None);
        let refused = !begun && !gone && self.refuse(session, cause).await.is_err();
        // A stream that `h2` has reset takes no answer; its client is there all the same.
        if refused && cause != Cause::BadRequest {
            self.cause = Some(Cause::ClientClosed);
        }
        FailToProxy {
            error_code: if gone { 0 } else { cause.status() },
            can_reuse_downstream: false,
        }
    }

    /// Only what can be sent twice without harm, has all of its body at hand, and has no answer yet.
    fn may_repeat(&self, session: &Session) -> bool {
        let tries = self
            .journey
            .as_ref()
            .map_or(u8::MAX, |journey| journey.attempts());
        let retries = self.journey.as_ref().map_or(0, |journey| {
            self.hold
                .snapshot()
                .pool(journey.serving())
                .settings
                .retries
        });
        session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none()
            && tries <= retries
    }

    fn cause_of(&self, session: &mut Session, error: &Error) -> Cause {
        if self
            .arrival
            .as_ref()
            .is_some_and(|arrival| arrival.wire.expired())
        {
            return if self.switched() {
                Cause::UpgradedIdle
            } else {
                target_cause(&ErrorType::ReadTimedout, is_body_done(session))
            };
        }
        if self.switched() && *error.etype() == ErrorType::WriteTimedout {
            return Cause::UpgradedIdle;
        }
        match error.esource() {
            ErrorSource::Downstream => client_cause(error.etype()),
            ErrorSource::Upstream => target_cause(error.etype(), is_body_done(session)),
            ErrorSource::Internal | ErrorSource::Unset => Cause::Internal,
        }
    }
}

fn is_body_done(session: &mut Session) -> bool {
    session.as_downstream_mut().is_body_done()
}

const fn client_cause(kind: &ErrorType) -> Cause {
    match kind {
        ErrorType::ReadTimedout => Cause::BodyTimeout,
        ErrorType::InvalidHTTPHeader | ErrorType::HTTPStatus(_) | ErrorType::Custom(_) => {
            Cause::BadRequest
        }
        _ => Cause::ClientClosed,
    }
}

/// A target that waits for a body the client does not send is not to blame for its silence.
const fn target_cause(kind: &ErrorType, body_done: bool) -> Cause {
    match kind {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout if !body_done => Cause::BodyTimeout,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Cause::ResponseTimeout,
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Cause::ConnectTimeout,
        ErrorType::ConnectRefused | ErrorType::ConnectNoRoute | ErrorType::ConnectError => {
            Cause::ConnectFailed
        }
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            Cause::TargetClosed
        }
        _ => Cause::BadResponse,
    }
}

const fn failure(cause: Cause) -> Failure {
    match cause {
        Cause::ResponseTimeout | Cause::ConnectTimeout => Failure::Timeout,
        Cause::ConnectFailed => Failure::Connect,
        _ => Failure::Closed,
    }
}
