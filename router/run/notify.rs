//! What systemd is told (sd_notify(3), `Type=notify-reload`). Where nobody asked for it, nobody is told.

use std::process;

use sd_notify::NotifyState;

use crate::handover::Successor;

/// Traffic is accepted, by this process.
pub(super) fn ready(status: &str) {
    tell(&[
        NotifyState::MainPid(process::id()),
        NotifyState::Status(status),
        NotifyState::Ready,
    ]);
}

/// The file is being read again; `ready` ends that.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("systemd cannot be told the time: {error}"),
    }
}

/// No more for long.
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Another process is this service now.
pub(super) fn handed_over(successor: &Successor) {
    let pid = successor.pid.and_then(|pid| u32::try_from(pid).ok());
    if let Some(pid) = pid {
        tell(&[NotifyState::MainPid(pid)]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!("systemd cannot be told: {error}");
    }
}
