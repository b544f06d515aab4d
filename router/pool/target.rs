//! State of one target, as atomics: what its checks say, what its requests say, and how busy it is.
//!
//! It decides nothing about other targets; limits that concern the whole pool are the pool's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::ejection::{EjectionCause, Outcomes, Rule};
use super::status::TargetState;

/// Start of the time that targets count in, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    date: SystemTime,
}

/// What the active checks say of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// The pool has no check: nothing speaks against the target.
    Unchecked,
    /// No result yet.
    Initial,
    /// Checks succeed.
    Healthy,
    /// The last check got a wrong status.
    WrongStatus,
    /// The last check got no answer in time.
    Timeout,
    /// The last check got no connection or no HTTP.
    Failed,
    /// The last check got a right status and a wrong body.
    WrongBody,
}

/// Whether a target may be picked; the greater, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Unhealthy or ejected.
    Out,
    /// Not checked yet.
    Unproven,
    /// Healthy.
    Ready,
}

/// What a pick looks at comes first: among a thousand targets it is a cache line that has to be fetched, and so it is
/// the one with the counts of the `Arc`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Target {
    /// Requests in flight, where their number is limited.
    seats: AtomicU32,
    /// References to it that are no requests.
    pub(super) handles: AtomicU32,
    health: AtomicU8,
    slow_from: AtomicU64,
    ejected_until: AtomicU64,
    /// Of no other target of this process, not even of a later one with the same address.
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    registered: u64,
    health_before: AtomicU8,
    health_since: AtomicU64,
    /// Thousandths of turns that it was offered during slow start; a whole one is taken.
    offered: AtomicU32,
    failures: AtomicU32,
    ejected_at: AtomicU64,
    ejected_for: AtomicU8,
    ejections: AtomicU32,
    left_at: AtomicU64,
    /// Requests and those of them that failed, since the targets were compared last.
    requests: AtomicU32,
    failed: AtomicU32,
    announced: AtomicU8,
    /// What the last failed check saw, while the checks speak against the target. No request looks at it.
    description: Mutex<Option<Arc<str>>>,
}

/// Stands for "never" in `slow_from`, `ejected_at`, `ejected_until` and `left_at`: `Clock` never gives it.
const NEVER: u64 = 0;

/// A whole turn, or a whole part, in thousandths.
const WHOLE: u32 = 1000;

impl Clock {
    /// An hour passes before the first moment, so that looking back never runs out of time.
    const HEAD_START: Duration = Duration::from_secs(3600);

    pub(super) fn new(origin: Instant, date: SystemTime) -> Self {
        Self { origin, date }
    }

    pub(super) fn at(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.origin);
        // Each request asks; as `Duration`s these would be summed in 128 bits.
        let micros = elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros());
        micros + Self::HEAD_START.as_micros() as u64
    }

    pub(super) fn before(&self, now: Instant, ago: Duration) -> u64 {
        self.at(now).saturating_sub(ago.as_micros() as u64)
    }

    pub(super) fn date(&self, moment: u64) -> SystemTime {
        self.date + Duration::from_micros(moment).saturating_sub(Self::HEAD_START)
    }
}

impl Health {
    const ALL: [Self; 7] = [
        Self::Unchecked,
        Self::Initial,
        Self::Healthy,
        Self::WrongStatus,
        Self::Timeout,
        Self::Failed,
        Self::WrongBody,
    ];

    fn load(from: &AtomicU8) -> Self {
        Self::ALL[usize::from(from.load(Ordering::Acquire))]
    }

    pub(super) fn up(self) -> bool {
        matches!(self, Self::Unchecked | Self::Healthy)
    }
}

impl Target {
    pub(super) fn new(address: SocketAddr, health: Health, now: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            address,
            registered: now,
            seats: AtomicU32::new(0),
            handles: AtomicU32::new(1),
            health: AtomicU8::new(health as u8),
            health_before: AtomicU8::new(Health::Initial as u8),
            health_since: AtomicU64::new(now),
            slow_from: AtomicU64::new(NEVER),
            offered: AtomicU32::new(WHOLE / 2),
            failures: AtomicU32::new(0),
            ejected_at: AtomicU64::new(NEVER),
            ejected_until: AtomicU64::new(NEVER),
            ejected_for: AtomicU8::new(EjectionCause::Failures as u8),
            ejections: AtomicU32::new(0),
            left_at: AtomicU64::new(NEVER),
            requests: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            announced: AtomicU8::new(TargetState::of(health, false) as u8),
            description: Mutex::default(),
        }
    }

    /// Whether fewer than `most` requests have taken a seat; 0 means no limit.
    pub(super) fn has_room(&self, most: u32) -> bool {
        most == 0 || self.seats.load(Ordering::Relaxed) < most
    }

    /// Takes a seat for one more request, unless `most` are taken; 0 means no limit, and no seats.
    pub(super) fn take_seat(&self, most: u32) -> bool {
        let has_room = most == 0 || self.seats.fetch_add(1, Ordering::Relaxed) < most;
        if !has_room {
            self.leave_seat();
        }
        has_room
    }

    pub(super) fn leave_seat(&self) {
        self.seats.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn health(&self) -> Health {
        Health::load(&self.health)
    }

    pub(super) fn registered(&self) -> u64 {
        self.registered
    }

    /// Since when the checks say what they say.
    pub(super) fn health_since(&self) -> u64 {
        self.health_since.load(Ordering::Acquire)
    }

    /// Only the check of the target and a reload call this, never two at once.
    pub(super) fn set_health(&self, health: Health, now: u64) {
        let before = self.health();
        if before.up() != health.up() || before == Health::Initial {
            self.health_before.store(before as u8, Ordering::Release);
            self.health_since.store(now, Ordering::Release);
        }
        if !health.up() {
            self.slow_from.store(NEVER, Ordering::Release);
        }
        self.health.store(health as u8, Ordering::Release);
    }

    /// What its last check saw, in words for people.
    pub(super) fn description(&self) -> Option<Arc<str>> {
        self.described().clone()
    }

    /// Only the check of the target calls this; most often with what it said before.
    pub(super) fn describe(&self, seen: Option<String>) {
        let mut described = self.described();
        if described.as_deref() != seen.as_deref() {
            *described = seen.map(Arc::from);
        }
    }

    fn described(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.description
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn usable(&self, now: u64) -> Use {
        match self.health() {
            _ if self.ejected(now) => Use::Out,
            Health::Unchecked | Health::Healthy => Use::Ready,
            Health::Initial => Use::Unproven,
            Health::WrongStatus | Health::WrongBody | Health::Timeout | Health::Failed => Use::Out,
        }
    }

    pub(super) fn up(&self, now: u64) -> bool {
        self.usable(now) == Use::Ready
    }

    /// Whether it was up at `then`, as far as its last change tells.
    pub(super) fn was_up(&self, then: u64) -> bool {
        let health = if self.health_since() <= then {
            self.health()
        } else {
            Health::load(&self.health_before)
        };
        let ejected = self.ejected_at() <= then && then < self.ejected_until();
        self.registered <= then && health.up() && !ejected
    }

    pub(super) fn slow_from(&self, moment: u64) {
        self.slow_from.store(moment, Ordering::Release);
    }

    /// Whether it is within `window` of its slow start.
    pub(super) fn ramping(&self, now: u64, window: u64) -> bool {
        let from = self.slow_from.load(Ordering::Acquire);
        from != NEVER && now < from + window
    }

    /// Its present part in thousandths: 1,000 but for slow start, where it grows evenly from 10.
    pub(super) fn permille(&self, now: u64, window: u64) -> u32 {
        let from = self.slow_from.load(Ordering::Acquire);
        if from == NEVER || from + window <= now {
            return WHOLE;
        }
        let elapsed = now.saturating_sub(from);
        (elapsed * u64::from(WHOLE) / window).max(10) as u32
    }

    /// Whether it takes the turn that is offered to it: every one, but in slow start only as many as its part says, at
    /// even distances.
    pub(super) fn takes_turn(&self, now: u64, window: u64) -> bool {
        let part = self.permille(now, window);
        if part == WHOLE {
            return true;
        }
        let before = self.offered.fetch_add(part, Ordering::Relaxed);
        before % WHOLE + part >= WHOLE
    }

    pub(super) fn ejected(&self, now: u64) -> bool {
        now < self.ejected_until()
    }

    pub(super) fn ejected_at(&self) -> u64 {
        self.ejected_at.load(Ordering::Acquire)
    }

    pub(super) fn ejected_until(&self) -> u64 {
        self.ejected_until.load(Ordering::Acquire)
    }

    pub(super) fn ejected_for(&self) -> EjectionCause {
        EjectionCause::ALL[usize::from(self.ejected_for.load(Ordering::Relaxed))]
    }

    /// A request ended; `count_failed` is for those that failed, too.
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since the last time.
    pub(super) fn take_outcomes(&self) -> Outcomes {
        Outcomes {
            requests: self.requests.swap(0, Ordering::Relaxed),
            failures: self.failed.swap(0, Ordering::Relaxed),
        }
    }

    pub(super) fn count_failure(&self) -> u32 {
        self.failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// It did since `began` what it is taken out for at `now`: only until then it was calm.
    pub(super) fn eject(&self, (began, now): (u64, u64), rule: &Rule, cause: EjectionCause) {
        let last = self.ejected_until().saturating_sub(self.ejected_at());
        let calm = began.saturating_sub(self.ejected_until());
        let repetition = rule.repetition(self.ejections.load(Ordering::Relaxed), last, calm);
        self.ejections.store(repetition, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.ejected_for.store(cause as u8, Ordering::Relaxed);
        self.ejected_at.store(now, Ordering::Release);
        self.ejected_until
            .store(now + rule.time(repetition), Ordering::Release);
    }

    /// A request that began at `started` went well. Says whether that ended an ejection: it does when the request was
    /// sent in spite of it, not when it was merely still in flight, nor when the target is out for its success rate, of
    /// which one request tells nothing.
    pub(super) fn succeeded(&self, started: u64) -> bool {
        // Reading first keeps the cache line shared in the usual case.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        let until = self.ejected_until();
        let lifted = started < until && started >= self.ejected_at();
        lifted && self.ejected_for() != EjectionCause::SuccessRate && self.lift(until, started)
    }

    /// A check succeeded: if nobody listened before, now somebody does. Says whether that ended an ejection.
    pub(super) fn answers_again(&self, now: u64) -> bool {
        let until = self.ejected_until();
        now < until && self.ejected_for() == EjectionCause::Refused && self.lift(until, now)
    }

    /// Ends the ejection until `until`, and begins now the slow start that was to follow it.
    fn lift(&self, until: u64, now: u64) -> bool {
        let move_up = |moment: &AtomicU64| {
            let moved = moment.compare_exchange(until, now, Ordering::AcqRel, Ordering::Acquire);
            moved.is_ok()
        };
        move_up(&self.slow_from);
        move_up(&self.ejected_until)
    }

    /// It is no member any more, and drains.
    pub(super) fn leave(&self, now: u64) {
        self.left_at.store(now, Ordering::Release);
    }

    /// It is a member again, as if it had never left.
    pub(super) fn come_back(&self) {
        self.left_at.store(NEVER, Ordering::Release);
    }

    /// Since when it drains.
    pub(super) fn left_at(&self) -> Option<u64> {
        let moment = self.left_at.load(Ordering::Acquire);
        (moment != NEVER).then_some(moment)
    }

    /// Whether `state` differs from the one told last; it is the one told last from now on.
    pub(super) fn announces(&self, state: TargetState) -> bool {
        // Reading first, because a sweep asks ten thousand targets of which none has news.
        self.announced.load(Ordering::Acquire) != state as u8
            && self.announced.swap(state as u8, Ordering::AcqRel) != state as u8
    }
}
