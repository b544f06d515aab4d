//! The members of the moment, with a copy of where they are for each thread.
//!
//! Whether that copy is still true costs a plain load; asking an `ArcSwap` costs two locked instructions, which is a
//! third of a pick (`benches/pick`).

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::balance::Turns;
use super::members::Members;

/// The members of the moment.
#[derive(Debug)]
pub(super) struct Current {
    /// Of no other one in this process.
    id: u64,
    members: ArcSwap<Members>,
    /// How often they were swapped. It is counted after the swap, so that whoever reads it first sees at least those.
    swaps: AtomicU64,
}

/// What a thread saw last.
#[derive(Clone)]
struct Seen {
    id: u64,
    swaps: u64,
    members: Arc<Members>,
    turns: Turns,
}

/// So many of them each thread remembers; a file with more pools only asks more often.
const SEEN: usize = 64;

thread_local! {
    static LAST: RefCell<[Option<Seen>; SEEN]> = const { RefCell::new([const { None }; SEEN]) };
}

impl Current {
    pub(super) fn new(members: Arc<Members>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            members: ArcSwap::new(members),
            swaps: AtomicU64::new(0),
        }
    }

    /// What `look` makes of them, and of the turns that this thread has taken among them. It must not ask for members itself.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Arc<Members>, &mut Turns) -> T) -> T {
        let swaps = self.swaps.load(Ordering::Acquire);
        LAST.with_borrow_mut(|last| {
            let seen = &mut last[self.id as usize % SEEN];
            let Seen { members, turns, .. } = match seen {
                Some(seen) if seen.id == self.id && seen.swaps == swaps => seen,
                _ => seen.insert(self.see(swaps)),
            };
            look(members, turns)
        })
    }

    fn see(&self, swaps: u64) -> Seen {
        Seen {
            id: self.id,
            swaps,
            members: self.load_full(),
            turns: Turns::default(),
        }
    }

    pub(super) fn load(&self) -> Guard<Arc<Members>> {
        self.members.load()
    }

    pub(super) fn load_full(&self) -> Arc<Members> {
        self.members.load_full()
    }

    pub(super) fn store(&self, members: Arc<Members>) {
        self.members.store(members);
        self.swaps.fetch_add(1, Ordering::Release);
    }

    /// Puts `next` in the place of `before`, unless others are there already.
    pub(super) fn replace(&self, before: &Arc<Members>, next: Arc<Members>) {
        self.members.compare_and_swap(before, next);
        self.swaps.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Arc<Members> {
        Arc::new(Members::none())
    }

    fn has(current: &Current, members: &Arc<Members>) -> bool {
        current.read(|read, _| Arc::ptr_eq(read, members))
    }

    #[test]
    fn whoever_has_read_reads_the_next_ones_too() {
        let [first, second, third] = [members(), members(), members()];
        let current = Current::new(Arc::clone(&first));
        assert!(has(&current, &first));
        current.store(Arc::clone(&second));
        assert!(has(&current, &second));
        current.replace(&first, Arc::clone(&third));
        assert!(has(&current, &second), "they were not the first any more");
        current.replace(&second, Arc::clone(&third));
        assert!(has(&current, &third));
    }

    #[test]
    fn a_thread_sees_what_another_one_has_stored() {
        let [first, second] = [members(), members()];
        let current = Current::new(Arc::clone(&first));
        assert!(has(&current, &first));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(has(&current, &first));
                current.store(Arc::clone(&second));
            });
        });
        assert!(has(&current, &second));
    }

    #[test]
    fn more_than_a_thread_remembers_are_kept_apart() {
        let all: Vec<_> = (0..3 * SEEN)
            .map(|_| {
                let members = members();
                (Current::new(Arc::clone(&members)), members)
            })
            .collect();
        for _ in 0..2 {
            for (current, members) in &all {
                assert!(has(current, members));
            }
        }
    }
}
