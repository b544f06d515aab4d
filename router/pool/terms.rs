//! What a request asks of a target, as a plain question.

use std::net::SocketAddr;

use super::handle::Handle;
use super::target::Use;

/// What a request asks of a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// Targets that it does not want again.
    pub(super) tried: &'a [SocketAddr],
    /// The condition that a target must have.
    pub(super) least: Use,
    /// Requests that a target may have, this one included; 0 means no limit.
    pub(super) most: u32,
    pub(super) now: u64,
}

impl Terms<'_> {
    /// The same, content with a target in this condition.
    pub(super) fn at_least(self, least: Use) -> Self {
        Self { least, ..self }
    }

    /// Whether `target` will do.
    pub(super) fn admit(&self, target: &Handle) -> bool {
        target.usable(self.now) >= self.least
            && target.has_room(self.most)
            && !self.tried.contains(&target.address)
    }
}
