//! What went wrong, whose fault it is, and whether it may be tried again.

use pingora_error::{Error, ErrorSource, ErrorType, RetryType};
use pingora_proxy::{FailToProxy, Session};

use super::exchange::Exchange;
use super::fallback;
use crate::accept::Ending;
use crate::pool::Failure;
use crate::record::{Blame, Cause};

impl Exchange {
    /// Why a request failed that was ended by its wire. An upload that is late is the client's.
    fn cause_of_end(&self, session: &mut Session, ending: Ending) -> Cause {
        match ending {
            Ending::Quiet if self.switched() => Cause::UpgradedIdle,
            Ending::Quiet => target_cause(&ErrorType::ReadTimedout, is_body_done(session)),
            Ending::Deadline if is_body_done(session) => Cause::RequestTimeout,
            Ending::Deadline => Cause::BodyTimeout,
            Ending::Evicted => Cause::Evicted,
            Ending::Drained => Cause::Deregistered,
            Ending::Stalled => Cause::ClientClosed,
        }
    }

    /// A connection broke while the request was on it: an idempotent one may try again when nothing came back.
    pub(super) fn broke(
        &mut self,
        session: &mut Session,
        mut error: Box<Error>,
        reused: bool,
    ) -> Box<Error> {
        if fallback::is_one(&error) {
            error.set_retry(true);
            return error;
        }
        let cause = self.cause.unwrap_or_else(|| self.cause_of(session, &error));
        let lease = self.lease.take();
        // A tunnel that breaks is no failed request: the target had answered that one.
        if let (Blame::Target, Some(lease), Some(journey), false) =
            (cause.blame(), &lease, &self.journey, self.switched())
        {
            let pool = self.hold.pool(journey.serving());
            pool.failed(lease, failure(cause));
        }
        let again = self.may_repeat(session) && died_unheard(&error, reused);
        error.set_retry(again);
        match (self.journey.as_mut(), lease) {
            (Some(journey), Some(lease)) if again => journey.broke(lease.address(), cause),
            _ => self.cause = Some(cause),
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
    ///
    /// How often is the journey's to say.
    fn may_repeat(&self, session: &Session) -> bool {
        let answered = self
            .upstream
            .is_some_and(|upstream| upstream.status.is_some());
        session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none()
            && !answered
            && self.ended().is_none()
    }

    fn ended(&self) -> Option<Ending> {
        self.arrival.as_ref()?.wire.ended()
    }

    fn cause_of(&self, session: &mut Session, error: &Error) -> Cause {
        if let Some(ending) = self.ended() {
            return self.cause_of_end(session, ending);
        }
        let timed_out = matches!(
            error.etype(),
            ErrorType::ReadTimedout | ErrorType::WriteTimedout
        );
        if timed_out && *error.esource() == ErrorSource::Upstream && self.is_overdue() {
            return self.cause_of_end(session, Ending::Deadline);
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

/// Whether the connection to the target died, or was given back unused, before a byte of an answer came: what was sent on
/// a fresh one may have been heard, what was sent on a kept one has met its end.
fn died_unheard(error: &Error, reused: bool) -> bool {
    // HTTP/2 says itself when a stream was not begun (RFC 9113 section 8.7).
    if error.retry == RetryType::Decided(true) {
        return true;
    }
    let died = match error.etype() {
        // The connection was reset before its end was noticed here.
        ErrorType::WriteError => *error.esource() == ErrorSource::Upstream,
        // Set by pingora where the connection ended, not where TLS failed.
        ErrorType::ReadError | ErrorType::ConnectionClosed => error.retry == RetryType::ReusedOnly,
        _ => false,
    };
    reused && died && !began_an_answer(error)
}

/// pingora 0.9.1 would also repeat what broke inside the answer's head, and says only in words how far it had read.
fn began_an_answer(error: &Error) -> bool {
    let context = error
        .context
        .as_ref()
        .map_or("", |context| context.as_str());
    let read = context.rsplit_once("bytes already read: ");
    read.is_some_and(|(_, bytes)| bytes != "0")
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
        Cause::ResponseTimeout | Cause::RequestTimeout | Cause::ConnectTimeout => Failure::Timeout,
        Cause::ConnectFailed => Failure::Connect,
        _ => Failure::Closed,
    }
}
