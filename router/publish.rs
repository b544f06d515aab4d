//! Where control and traffic meet: control writes a snapshot, each request reads one and keeps it to its end.
//!
//! A change is in force when no request decided by an older snapshot is still to be sent; that is counted here, not assumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::ids::{PoolId, RouteId};
use config::snapshot::Snapshot;
use tokio::time::Instant;

use crate::cap::{Board, Cap, Caps};
use crate::crumbs::{self, Crumbs, Registry};
use crate::pool::{Pool, Pools};
use crate::shadow::{self, Mirror, Shadows};
use crate::trace::{Tracer, Traces};
use crate::witness::{self, Witness, Witnesses};

/// The snapshot in force.
pub struct Publisher {
    current: ArcSwap<Published>,
    pools: Arc<Pools>,
    caps: Arc<Caps>,
    witnesses: Arc<Witnesses>,
    shadows: Arc<Shadows>,
    crumbs: Arc<Registry>,
    traces: Arc<Traces>,
}

/// One snapshot in force, and how many requests still have to be sent by it.
pub struct Published {
    /// What decides.
    pub snapshot: Snapshot,
    /// The live state of its pools, by `PoolId`.
    pub pools: Arc<[Arc<Pool>]>,
    /// The caps of its routes.
    pub caps: Arc<Board>,
    /// What its guarded routes see of their requests.
    pub witnesses: Arc<witness::Board>,
    /// What copies requests of its routes.
    pub shadows: Arc<shadow::Board>,
    /// What is seen of cookies.
    pub crumbs: Arc<crumbs::Board>,
    /// What its requests are traced by.
    pub tracer: Option<Arc<Tracer>>,
    undecided: AtomicUsize,
}

/// What belongs to the routes of one file.
struct Boards {
    caps: Arc<Board>,
    witnesses: Arc<witness::Board>,
    crumbs: Arc<crumbs::Board>,
    shadows: Arc<shadow::Board>,
    tracer: Option<Arc<Tracer>>,
}

/// A request's hold on its snapshot. `sent` (or dropping it) says that the decision has been carried out.
pub struct Hold {
    published: Arc<Published>,
    counted: bool,
}

/// Snapshots no longer in force that still had requests to send when last asked.
#[derive(Default)]
pub struct Older(Vec<Arc<Published>>);

impl Publisher {
    /// Puts the first snapshot in force, with what was last aligned with its structure.
    pub fn new(
        snapshot: Snapshot,
        pools: Arc<Pools>,
        caps: Arc<Caps>,
        witnesses: Arc<Witnesses>,
        crumbs: Arc<Registry>,
        shadows: Arc<Shadows>,
        traces: Arc<Traces>,
    ) -> Self {
        let boards = Boards {
            caps: caps.current(),
            witnesses: witnesses.current(),
            crumbs: crumbs.current(),
            shadows: shadows.current(),
            tracer: traces.current(),
        };
        let published = Published::new(snapshot, pools.current(), boards);
        Self {
            current: ArcSwap::from_pointee(published),
            pools,
            caps,
            witnesses,
            shadows,
            crumbs,
            traces,
        }
    }

    /// The snapshot in force, for one request.
    pub fn hold(&self) -> Hold {
        loop {
            let published = self.current.load_full();
            let hold = Hold::new(published);
            // Between the load and the count another snapshot may have been published, and its publisher have seen no
            // count: look again. The fences pair with the one in `publish`, so one of the two sees the other.
            fence(Ordering::SeqCst);
            if Arc::ptr_eq(&hold.published, &self.current.load()) {
                return hold;
            }
        }
    }

    /// The snapshot in force, for a look.
    pub fn current(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Puts `snapshot` in force for every request whose header is read from now on; returns the one before.
    ///
    /// Its structure is the one that everything else was last aligned with.
    pub fn publish(&self, snapshot: Snapshot) -> Arc<Published> {
        let boards = Boards {
            caps: self.caps.current(),
            witnesses: self.witnesses.current(),
            crumbs: self.crumbs.current(),
            shadows: self.shadows.current(),
            tracer: self.traces.current(),
        };
        let published = Published::new(snapshot, self.pools.current(), boards);
        let before = self.current.swap(Arc::new(published));
        fence(Ordering::SeqCst);
        before
    }
}

impl Published {
    fn new(snapshot: Snapshot, pools: Arc<[Arc<Pool>]>, boards: Boards) -> Self {
        let Boards {
            caps,
            witnesses,
            crumbs,
            shadows,
            tracer,
        } = boards;
        Self {
            snapshot,
            pools,
            caps,
            witnesses,
            crumbs,
            shadows,
            tracer,
            undecided: AtomicUsize::new(0),
        }
    }

    /// Requests that hold this snapshot and whose head has not been sent yet.
    pub fn undecided(&self) -> usize {
        self.undecided.load(Ordering::Acquire)
    }
}

impl Hold {
    fn new(published: Arc<Published>) -> Self {
        published.undecided.fetch_add(1, Ordering::AcqRel);
        Self {
            published,
            counted: true,
        }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.published.snapshot
    }

    /// The live state of one of its pools.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.published.pools[usize::from(id.0)]
    }

    /// The live state of its pools, by `PoolId`.
    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.published.pools
    }

    /// What `route` lets `pool` have; `None` when it is not bounded.
    pub fn cap(&self, route: RouteId, pool: PoolId) -> Option<&Arc<Cap>> {
        self.published.caps.cap(route, pool)
    }

    /// What sees the requests of `route` for its guard; `None` without one.
    pub fn witness(&self, route: RouteId) -> Option<&Witness> {
        self.published.witnesses.of(route).map(|witness| &**witness)
    }

    /// What copies requests of `route`; `None` without a shadow.
    pub fn mirror(&self, route: RouteId) -> Option<&Arc<Mirror>> {
        self.published.shadows.of(route)
    }

    /// What is seen of the cookies of `route`; `None` when it has no two pools.
    pub fn crumbs(&self, route: RouteId) -> Option<&Crumbs> {
        self.published.crumbs.of(route)
    }

    /// What its requests are traced by; `None` when nothing is.
    pub fn tracer(&self) -> Option<&Tracer> {
        self.published.tracer.as_deref()
    }

    /// The decision has been carried out: the head is on its way, or an answer of ours is.
    pub fn sent(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.published.undecided.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.sent();
    }
}

impl Older {
    /// One more that is no longer in force.
    pub fn add(&mut self, published: Arc<Published>) {
        self.0.push(published);
    }

    /// Waits until everything they decided has been sent, at most `patience`. Returns how many requests have not.
    pub async fn settle(&mut self, patience: Duration) -> usize {
        const STEP: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + patience;
        loop {
            self.0.retain(|published| published.undecided() > 0);
            if self.0.is_empty() || Instant::now() >= deadline {
                return self.0.iter().map(|published| published.undecided()).sum();
            }
            tokio::time::sleep(STEP).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use config::live::Live;

    use super::*;
    use crate::control::fixture;

    fn publisher() -> Publisher {
        Publisher::new(
            fixture::snapshot(&Live::default()),
            Arc::default(),
            Arc::default(),
            Arc::default(),
            Arc::default(),
            Arc::default(),
            Arc::default(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_in_force_when_the_last_older_request_was_sent() {
        let publisher = Arc::new(publisher());
        let mut held = publisher.hold();
        let mut older = Older::default();
        older.add(publisher.publish(fixture::snapshot(&Live::default())));
        let waiting = tokio::spawn(async move {
            let begin = Instant::now();
            (older.settle(Duration::from_secs(1)).await, begin.elapsed())
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        held.sent();
        let (n_left, waited) = waiting.await.unwrap();
        assert_eq!(n_left, 0);
        assert!((10..=12).contains(&waited.as_millis()), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_older_requests_ends_with_their_number() {
        let publisher = publisher();
        let _held = [publisher.hold(), publisher.hold()];
        let mut older = Older::default();
        older.add(publisher.publish(fixture::snapshot(&Live::default())));
        assert_eq!(older.settle(Duration::from_millis(25)).await, 2);
    }

    #[test]
    fn nothing_is_answered_while_an_older_snapshot_is_held() {
        let publisher = publisher();
        let answered = AtomicU64::new(0);
        const LAST: u64 = 3000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for revision in 1..=LAST {
                    let live = Live {
                        revision,
                        ..Live::default()
                    };
                    let before = publisher.publish(fixture::snapshot(&live));
                    while before.undecided() > 0 {
                        std::thread::yield_now();
                    }
                    answered.store(revision, Ordering::SeqCst);
                }
            });
            while answered.load(Ordering::SeqCst) < LAST {
                let hold = publisher.hold();
                let revision = hold.snapshot().revision;
                std::thread::yield_now();
                assert!(answered.load(Ordering::SeqCst) <= revision);
            }
        });
    }
}
