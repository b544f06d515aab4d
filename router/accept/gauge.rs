//! How many client connections are open, against how many may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire};

use crate::clients::Counted;

/// Counts open connections of all listeners.
#[derive(Debug, Default)]
pub struct Gauge {
    open: AtomicU32,
}

/// One open connection; dropping it closes it in the count.
#[derive(Debug)]
pub(super) struct Open {
    gauge: Arc<Gauge>,
    /// The same in the count of its client, where one is kept.
    client: Option<Counted>,
}

impl Gauge {
    /// Counts one more, unless `most` are open.
    pub(super) fn enter(self: &Arc<Self>, most: u32) -> Option<Open> {
        let enter = |open: u32| (open < most).then_some(open + 1);
        self.open.fetch_update(AcqRel, Acquire, enter).ok()?;
        Some(Open {
            gauge: Arc::clone(self),
            client: None,
        })
    }

    /// Open connections now.
    pub fn open(&self) -> u32 {
        self.open.load(Acquire)
    }
}

impl Open {
    /// It counts for its client, too, as long as it is open.
    pub(super) fn count(&mut self, client: Counted) {
        self.client = Some(client);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.open.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_above_the_limit_is_refused_until_one_closes() {
        let gauge = Arc::new(Gauge::default());
        let first = gauge.enter(1).unwrap();
        assert!(gauge.enter(1).is_none());
        drop(first);
        assert_eq!(gauge.open(), 0);
        assert!(gauge.enter(1).is_some());
    }
}
