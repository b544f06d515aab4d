//! One route's shadow while it runs: which requests it copies, and the bounds of all of its copies together.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use config::ids::PoolId;
use config::shadow::Shadow;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;
use tokio::sync::mpsc::Sender;

use super::backoff::Backoff;
use super::copy::Copy;
use super::fate::Fate;
use super::worker::Job;
use crate::caller::Call;
use crate::cap::Bucket;
use crate::capture::Capture;
use crate::diff::{Ledger, RecordedView};
use crate::metrics::Counter;

/// A route's shadow, as one file has it.
pub struct Mirror {
    pub(super) shadow: Arc<Shadow>,
    pub(super) used: Arc<Used>,
    /// By `Fate`.
    pub(super) counters: Box<[Arc<Counter>]>,
    pub(super) jobs: Sender<Job>,
    pub(super) compared: Arc<Compared>,
    capture: Option<Arc<Mutex<Capture>>>,
    pub(super) backoff: Backoff,
    on: AtomicBool,
}

/// What a route's copies have of their bounds, whichever file they are by.
pub(super) struct Used {
    origin: Instant,
    bucket: Bucket,
    in_flight: AtomicU32,
    bytes: AtomicU64,
    /// Requests without a bucket so far.
    turn: AtomicU32,
    /// Copies sent so far, for going round the targets.
    sent: AtomicU32,
}

/// What was compared, and since when.
pub(super) struct Compared {
    pub(super) since: Timestamp,
    ledger: Mutex<Ledger>,
}

/// A request as its client sent it, and who was to serve it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its path as sent, without the query.
    pub path: &'a str,
    /// The bucket of its client, when that has one.
    pub bucket: Option<u16>,
    /// The pool that serves it.
    pub serving: PoolId,
    /// Whether it has no body.
    pub bodiless: bool,
}

/// The place of a copy among those underway; dropping it gives it back.
pub(super) struct Slot(Arc<Used>);

impl Mirror {
    pub(super) fn new(
        shadow: Arc<Shadow>,
        used: Arc<Used>,
        counters: Box<[Arc<Counter>]>,
        jobs: Sender<Job>,
        compared: Arc<Compared>,
        capture: Option<Arc<Mutex<Capture>>>,
    ) -> Self {
        Self {
            shadow,
            used,
            counters,
            jobs,
            compared,
            capture,
            backoff: Backoff::default(),
            on: AtomicBool::new(true),
        }
    }

    /// What was compared so far.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        let ledger = self.compared.ledger.lock();
        ledger.unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what goes out, if that was asked for.
    pub(super) fn record(&self, request: &Call) {
        if let Some(capture) = &self.capture {
            let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
            capture.write(
                request,
                Timestamp::now().to_string(),
                &self.shadow.redaction,
            );
        }
    }

    /// How many copies were written down, and why no more are.
    pub(super) fn recorded(&self) -> Option<RecordedView> {
        let capture = self.capture.as_ref()?;
        let capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
        let (requests, ended) = capture.standing();
        Some(RecordedView {
            requests,
            ended: ended.map(str::to_owned),
        })
    }

    /// Where copies are written down.
    pub(super) fn capture(&self) -> Option<&Arc<Mutex<Capture>>> {
        self.capture.as_ref()
    }

    /// The pool that gets the copies.
    pub fn pool(&self) -> PoolId {
        self.shadow.pool
    }

    /// A copy of the request whose head for its target has these fields; `None` when it has none.
    pub fn copy(
        self: &Arc<Self>,
        seen: Seen<'_>,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
    ) -> Option<Box<Copy>> {
        if !self.wants(method, uri.path(), seen) {
            return None;
        }
        if seen.serving == self.shadow.pool {
            self.count(Fate::DroppedSamePool);
            return None;
        }
        // What is to be recorded is, whether or not it is sent.
        if self.backoff.is_paused() && self.capture.is_none() {
            self.count(Fate::DroppedBackoff);
            return None;
        }
        let copy = Copy::new(self, (method, uri, headers), seen.bodiless);
        if copy.is_none() {
            self.count(Fate::DroppedBytes);
        }
        copy.map(Box::new)
    }

    /// Copies that are underway, and bytes of all that there are.
    pub fn used(&self) -> (u32, u64) {
        (
            self.used.in_flight.load(Relaxed),
            self.used.bytes.load(Relaxed),
        )
    }

    /// The bucket is asked first: it costs nothing, and leaves most requests out where few are copied.
    fn wants(&self, method: &Method, target: &str, seen: Seen<'_>) -> bool {
        let shadow = &self.shadow;
        if !seen.bucket.is_none_or(|bucket| shadow.samples(bucket)) {
            return false;
        }
        let takes = shadow.takes(method.as_str(), seen.path, target);
        takes && (seen.bucket.is_some() || shadow.takes_turn(self.used.turn.fetch_add(1, Relaxed)))
    }

    pub(super) fn count(&self, fate: Fate) {
        self.counters[fate as usize].inc();
    }

    /// From here on its copies are dropped, also those that wait.
    pub(super) fn switch_off(&self) {
        self.on.store(false, Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// A place for a copy that is to be sent at `now`.
    pub(super) fn enter(&self, now: Instant) -> Result<Slot, Fate> {
        if !self.is_on() {
            return Err(Fate::DroppedOff);
        }
        let before = self.used.in_flight.fetch_add(1, Relaxed);
        // From here on the place goes back by itself.
        let slot = Slot(Arc::clone(&self.used));
        if before >= self.shadow.settings.max_in_flight {
            return Err(Fate::DroppedFull);
        }
        let rate = self.shadow.settings.max_rps;
        if rate > 0 && !self.used.bucket.take(self.used.at(now), rate) {
            return Err(Fate::DroppedRate);
        }
        Ok(slot)
    }

    /// Takes `n` bytes of those that all copies may have together.
    pub(super) fn take_bytes(&self, n: u64) -> bool {
        let before = self.used.bytes.fetch_add(n, Relaxed);
        let fits = before + n <= self.shadow.settings.max_bytes.0;
        if !fits {
            self.give_bytes(n);
        }
        fits
    }

    pub(super) fn give_bytes(&self, n: u64) {
        self.used.bytes.fetch_sub(n, Relaxed);
    }

    /// The turn of the next copy among the targets.
    pub(super) fn next_turn(&self) -> u32 {
        self.used.sent.fetch_add(1, Relaxed)
    }
}

impl Compared {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            ledger: Mutex::default(),
        }
    }
}

impl Used {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            bucket: Bucket::default(),
            in_flight: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            sent: AtomicU32::new(0),
        }
    }

    fn at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_nanos() as u64
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
