//! When a request must end although neither its client nor its target has ended it, and why it did.
//!
//! The task that carries a request asks here whenever it has nothing to do; whoever orders an end from outside wakes it.
//! Nothing is locked, and a request that nobody ends pays for a few loads.

use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU8, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::task::Waker;

/// Why a request was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No byte passed in either direction for as long as may be.
    Quiet = 1,
    /// The time for the whole request was over.
    Deadline = 2,
    /// It had become a connection of another protocol, and its pool lost its weight.
    Evicted = 3,
    /// Its target left the pool, and the time to finish was over.
    Drained = 4,
    /// Its client did not take what was sent to it.
    Stalled = 5,
}

/// What may end a request from outside, and what did.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The target it is with; 0 when there is none.
    serving: AtomicU64,
    /// A target and what is to end what runs on it, as one number; 0 when nothing is ordered.
    order: AtomicU64,
    ended: AtomicU8,
    task: OnceLock<Waker>,
}

const REASON_BITS: u32 = 3;

impl Ending {
    const fn of(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Quiet),
            2 => Some(Self::Deadline),
            3 => Some(Self::Evicted),
            4 => Some(Self::Drained),
            5 => Some(Self::Stalled),
            _ => None,
        }
    }
}

impl Ends {
    /// The next request begins. An order stays: it is of a target, and none comes twice.
    pub(super) fn begin(&self) {
        self.serving.store(0, Relaxed);
        self.ended.store(0, Relaxed);
    }

    /// The task that carries all requests from now on.
    pub(super) fn belong_to(&self, task: &Waker) {
        // One connection is one task, so a second call brings the same.
        let _ = self.task.set(task.clone());
    }

    /// The request is with `target`.
    pub(super) fn serve(&self, target: u64) {
        self.serving.store(target, Relaxed);
    }

    /// The target that the request is with; 0 when there is none.
    pub(super) fn serving(&self) -> u64 {
        self.serving.load(Relaxed)
    }

    /// Ends what runs on `target`, if it still does, for `ending`.
    pub(super) fn order(&self, target: u64, ending: Ending) {
        self.order
            .store(target << REASON_BITS | ending as u64, Release);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Whether the request is to end now. Only its own task asks, so the target cannot change meanwhile.
    pub(super) fn ordered(&self) -> Option<Ending> {
        let order = self.order.load(Acquire);
        let is_meant = order != 0 && order >> REASON_BITS == self.serving();
        Ending::of(order & ((1 << REASON_BITS) - 1)).filter(|_| is_meant)
    }

    /// It ends for `ending`.
    pub(super) fn end(&self, ending: Ending) {
        self.ended.store(ending as u8, Relaxed);
    }

    /// What ended it.
    pub(super) fn ended(&self) -> Option<Ending> {
        Ending::of(self.ended.load(Relaxed).into())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_ends_what_runs_on_its_target_and_nothing_else() {
        let ends = Ends::default();
        ends.serve(7);
        ends.order(8, Ending::Drained);
        assert_eq!(ends.ordered(), None);
        ends.order(7, Ending::Evicted);
        assert_eq!(ends.ordered(), Some(Ending::Evicted));
        ends.begin();
        assert_eq!(ends.ordered(), None);
        ends.serve(9);
        assert_eq!(ends.ordered(), None);
    }

    #[test]
    fn what_ended_a_request_is_forgotten_with_it() {
        let ends = Ends::default();
        for ending in [
            Ending::Quiet,
            Ending::Deadline,
            Ending::Evicted,
            Ending::Drained,
        ] {
            ends.end(ending);
            assert_eq!(ends.ended(), Some(ending));
        }
        ends.begin();
        assert_eq!(ends.ended(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_wakes_the_task_that_waits() {
        let ends = Arc::new(Ends::default());
        let waiting = Arc::clone(&ends);
        waiting.serve(7);
        let task = tokio::spawn(poll_fn(move |context| {
            waiting.belong_to(context.waker());
            waiting.ordered().map_or(Poll::Pending, Poll::Ready)
        }));
        tokio::time::sleep(Duration::from_secs(1)).await;
        ends.order(7, Ending::Drained);
        assert_eq!(task.await.unwrap(), Ending::Drained);
    }
}
