//! Signals, as what they ask for (contract section 4).

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
pub(super) enum Signal {
    /// HUP: read the file again.
    Reload,
    /// USR1: open the logs again.
    Reopen,
    /// QUIT: hand over to a process started with `--upgrade`.
    HandOver,
    /// TERM: let what is in flight finish, then end.
    Drain,
    /// INT: end.
    Stop,
}

/// The signals received by the process.
pub(super) struct Signals {
    hangup: unix::Signal,
    user: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    /// Ends a process by default; caught, what was too large is an error of the write that meant it.
    _file_too_large: unix::Signal,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: unix::signal(SignalKind::hangup())?,
            user: unix::signal(SignalKind::user_defined1())?,
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            _file_too_large: unix::signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Drain,
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.quit.recv() => Signal::HandOver,
            _ = self.user.recv() => Signal::Reopen,
        }
    }

    /// Waits for one that ends a drain.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
