//! The kinds of cookies that one pool sets, each with its first one as an example.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use config::model;
use jar::{Crumb, Place, SetCookie, key};

/// Kinds that are told apart; more are only counted.
const KINDS: usize = 128;
/// Slots that are looked at for one kind.
const TRIES: usize = 16;
/// A kind that was not seen for so long is no longer set: the application was mended.
const DAY: u64 = 24 * 60 * 60;

/// What one pool sets.
#[derive(Debug)]
pub struct Table {
    /// The pool.
    pub pool: Arc<str>,
    /// Answers for shared caches that were one client's.
    pub cacheable: AtomicU64,
    settings: Arc<model::Pool>,
    /// Made for the first cookie: most routes of a large file set none.
    slots: OnceLock<Box<[Slot]>>,
    beyond: AtomicU64,
    fresh: AtomicBool,
    page: OnceLock<Box<str>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The kind; 0 while the slot is free.
    key: AtomicU64,
    count: AtomicU64,
    /// Seconds since 1970.
    last: AtomicU64,
    crumb: OnceLock<Box<Crumb>>,
}

/// A kind of cookie that a pool sets.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// Its first one.
    pub crumb: &'a Crumb,
    /// Answers that set it.
    pub count: u64,
}

impl Table {
    pub(super) fn new(pool: Arc<str>, settings: Arc<model::Pool>) -> Self {
        Self {
            pool,
            settings,
            cacheable: AtomicU64::new(0),
            slots: OnceLock::new(),
            beyond: AtomicU64::new(0),
            fresh: AtomicBool::new(true),
            page: OnceLock::new(),
        }
    }

    /// Whether what was seen of the pool says what it does under `settings`, whose rules may change cookies.
    pub(super) fn holds_for(&self, pool: &str, settings: &model::Pool) -> bool {
        let own = &self.settings;
        *self.pool == *pool && own.cookies == settings.cookies && own.headers == settings.headers
    }

    /// An answer sets `cookie`.
    pub(super) fn count(&self, cookie: &SetCookie<'_>, beside: bool, place: &Place<'_>) {
        let key = key(cookie, beside, place).max(1);
        let slots = self
            .slots
            .get_or_init(|| (0..KINDS).map(|_| Slot::default()).collect());
        let Some(slot) = claim(slots, key) else {
            self.beyond.fetch_add(1, Relaxed);
            return;
        };
        slot.count.fetch_add(1, Relaxed);
        slot.last.store(place.now.unsigned_abs(), Relaxed);
        if slot.crumb.get().is_none() {
            // Of two threads at once the first one's example stays.
            drop(slot.crumb.set(Box::new(Crumb::of(cookie, beside, place))));
            self.fresh.store(true, Relaxed);
        }
    }

    /// An answer for shared caches, to a request for `path`, went to a client that was placed by itself.
    pub fn public(&self, path: &str) {
        self.cacheable.fetch_add(1, Relaxed);
        self.page.get_or_init(|| path.chars().take(128).collect());
    }

    /// The path of the first answer for shared caches.
    pub fn page(&self) -> Option<&str> {
        self.page.get().map(|path| &**path)
    }

    /// The kinds seen within a day before `now`.
    pub fn sightings(&self, now: u64) -> impl Iterator<Item = Sighting<'_>> {
        let slots = self.slots.get().into_iter().flatten();
        let recent = slots.filter(move |slot| slot.last.load(Relaxed) + DAY > now);
        recent.filter_map(|slot| {
            Some(Sighting {
                crumb: slot.crumb.get()?,
                count: slot.count.load(Relaxed),
            })
        })
    }

    /// Cookies that were set and not looked at, because there are too many kinds.
    pub fn beyond(&self) -> u64 {
        self.beyond.load(Relaxed)
    }

    /// Whether a kind was seen for the first time since this was last asked.
    pub fn take_fresh(&self) -> bool {
        self.fresh.load(Relaxed) && self.fresh.swap(false, Relaxed)
    }
}

/// The slot of `key`; `None` when those it may have are others'.
fn claim(slots: &[Slot], key: u64) -> Option<&Slot> {
    let start = key as usize % KINDS;
    (0..TRIES).find_map(|step| {
        let slot = &slots[(start + step) % KINDS];
        let known = slot.key.load(Relaxed);
        if known == key {
            return Some(slot);
        }
        let free = known == 0;
        let taken = free.then(|| slot.key.compare_exchange(0, key, Relaxed, Relaxed));
        match taken? {
            Ok(_) => Some(slot),
            Err(other) => (other == key).then_some(slot),
        }
    })
}
