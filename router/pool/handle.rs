//! A target as everybody but its requests holds it, so that the count of references to it is the count of its requests.
//!
//! A count of its own beside that of the references would be a second locked instruction for each request, which is a
//! fourth of a pick (`benches/pick`).

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use super::target::{Health, Target};

/// A target and the number of its requests. It is shared, never cloned: one more reference to the target than requests
/// is this one.
#[derive(Debug)]
pub(super) struct Handle(Arc<Target>);

impl Handle {
    pub(super) fn new(address: SocketAddr, health: Health, now: u64) -> Self {
        Self(Arc::new(Target::new(address, health, now)))
    }

    /// Requests that it has now.
    pub(super) fn in_flight(&self) -> u32 {
        u32::try_from(Arc::strong_count(&self.0) - 1).unwrap_or(u32::MAX)
    }

    /// The target for one more request, which is in flight until it drops it.
    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.0)
    }
}

impl Deref for Handle {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.0
    }
}
