//! What came of one check, and how it is told to people.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::pool::target::Health;

/// What came of one check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The target answered as it should.
    Healthy,
    /// It did not: the kind of failure, and what was seen.
    Ill(Health, String),
    /// The router could not ask, for a reason of its own: this says nothing about the target.
    Unasked(String),
}

/// Why there is no answer that could be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The connection ended before the answer did.
    #[error("the connection was closed before the answer was complete")]
    Closed,
    /// HTTP/2 and what is above it.
    #[error("{0}")]
    Http2(#[from] hyper::Error),
    /// The connection could not be made, or broke.
    #[error("{}", words(.0))]
    Io(#[from] io::Error),
    /// Something else than what was asked for.
    #[error("{0}")]
    NotAnAnswer(&'static str),
    /// No connection because of the router itself.
    #[error("{0}")]
    OfOurs(io::Error),
    /// TLS could not be set up, or not with this peer.
    #[error("TLS: {0}")]
    Tls(io::Error),
}

/// How far a check has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Connecting,
    Handshaking,
    Asking,
}

impl Outcome {
    /// What it says of the target, if anything.
    pub(super) fn health(&self) -> Option<Health> {
        match self {
            Self::Healthy => Some(Health::Healthy),
            Self::Ill(health, _) => Some(*health),
            Self::Unasked(_) => None,
        }
    }

    pub(super) fn of_failure(failed: &Failed) -> Self {
        match failed {
            Failed::OfOurs(error) => Self::Unasked(error.to_string()),
            _ => Self::Ill(Health::Failed, failed.to_string()),
        }
    }

    pub(super) fn of_timeout(phase: Phase, timeout: Duration) -> Self {
        let missing = match phase {
            Phase::Connecting => "connection",
            Phase::Handshaking => "end of the TLS handshake",
            Phase::Asking => "whole answer",
        };
        Self::Ill(Health::Timeout, format!("no {missing} in {timeout:?}"))
    }

    pub(super) fn wrong_status(seen: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::Ill(Health::WrongStatus, format!("{seen}, expected {expected}"))
    }
}

impl Failed {
    /// Why a connection could not be made. What the router lacks (descriptors, ports, memory) is no target's fault.
    pub(super) fn to_connect(error: io::Error) -> Self {
        use rustix::io::Errno;
        let ours = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
        ];
        match error.raw_os_error() {
            Some(code) if ours.iter().any(|errno| errno.raw_os_error() == code) => {
                Self::OfOurs(error)
            }
            _ => Self::Io(error),
        }
    }
}

/// Without the number that only a kernel knows by heart.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_router_lacks_is_no_targets_fault() {
        let outcome =
            |errno: Errno| Outcome::of_failure(&Failed::to_connect(io::Error::from(errno)));
        assert!(matches!(outcome(Errno::MFILE), Outcome::Unasked(_)));
        assert!(matches!(outcome(Errno::ADDRNOTAVAIL), Outcome::Unasked(_)));
        assert_eq!(
            outcome(Errno::CONNREFUSED),
            Outcome::Ill(Health::Failed, "connection refused".into())
        );
        assert_eq!(
            outcome(Errno::HOSTUNREACH),
            Outcome::Ill(Health::Failed, "host unreachable".into())
        );
    }

    #[test]
    fn a_timeout_says_what_it_waited_for() {
        let told = |phase| match Outcome::of_timeout(phase, Duration::from_millis(2500)) {
            Outcome::Ill(Health::Timeout, told) => told,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(Phase::Connecting), "no connection in 2.5s");
        assert_eq!(told(Phase::Asking), "no whole answer in 2.5s");
    }
}
