//! A target as everybody but its requests holds it, so that the count of references to it is the count of its requests.
//!
//! A count of its own beside that of the references would be a second locked instruction for each request, and a handle
//! behind a pointer of its own one more cache line to wait for; both are a good part of a pick (`benches/pick`).

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::target::{Health, Target};

/// A target and the number of its requests: as many as there are references to it, less those of handles.
#[derive(Debug)]
pub(super) struct Handle(Arc<Target>);

impl Handle {
    pub(super) fn new(address: SocketAddr, health: Health, now: u64) -> Self {
        Self(Arc::new(Target::new(address, health, now)))
    }

    /// Requests that it has now; while a handle is made or dropped, perhaps one more.
    pub(super) fn in_flight(&self) -> u32 {
        let references = u32::try_from(Arc::strong_count(&self.0)).unwrap_or(u32::MAX);
        references.saturating_sub(self.handles.load(Ordering::Acquire))
    }

    /// The target for one more request, which is in flight until it drops it.
    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.0)
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        let target = Arc::clone(&self.0);
        target.handles.fetch_add(1, Ordering::Release);
        Self(target)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.handles.fetch_sub(1, Ordering::Release);
    }
}

impl Deref for Handle {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.0
    }
}
