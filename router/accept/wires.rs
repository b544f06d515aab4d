//! All open connections, or all streams of one, for the few who have to look at every one of them.
//!
//! A connection is entered once, by whoever accepts it, and never taken out: what is gone is left out when the list is
//! looked at, or has doubled. So closing a connection costs nothing here.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::wire::Wire;

/// The open connections.
#[derive(Debug, Default)]
pub struct Wires(Mutex<List>);

#[derive(Debug)]
struct List {
    wires: Vec<Weak<Wire>>,
    /// As long as it may grow before what is gone is left out.
    room: usize,
}

/// A list that is no longer than this is not worth a look.
const LEAST: usize = 64;

impl Default for List {
    fn default() -> Self {
        Self {
            wires: Vec::new(),
            room: LEAST,
        }
    }
}

impl Wires {
    /// One more connection.
    pub(super) fn enter(&self, wire: &Arc<Wire>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.wires.len() >= list.room {
            list.tidy();
        }
        list.wires.push(Arc::downgrade(wire));
    }

    /// Those that are open now, and their streams.
    pub fn open(&self) -> Vec<Arc<Wire>> {
        let connections = self.own();
        let streams = connections.iter().filter_map(|wire| wire.streams());
        let mut all: Vec<_> = streams.flat_map(Self::own).collect();
        all.extend(connections);
        all
    }

    fn own(&self) -> Vec<Arc<Wire>> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.tidy();
        list.wires.iter().filter_map(Weak::upgrade).collect()
    }
}

impl List {
    fn tidy(&mut self) {
        self.wires.retain(|wire| wire.strong_count() > 0);
        self.room = (2 * self.wires.len()).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use config::ids::ListenerId;

    use super::*;

    fn wire() -> Arc<Wire> {
        let address = ([127, 0, 0, 1], 1).into();
        Arc::new(Wire::new(ListenerId(0), address, address, None))
    }

    #[test]
    fn what_is_gone_is_neither_seen_nor_kept() {
        let wires = Wires::default();
        let open: Vec<_> = (0..3).map(|_| wire()).collect();
        open.iter().for_each(|wire| wires.enter(wire));
        (0..1000).for_each(|_| wires.enter(&wire()));
        assert!(wires.0.lock().unwrap().wires.len() <= LEAST + 1);
        assert_eq!(wires.open().len(), 3);
        drop(open);
        assert!(wires.open().is_empty());
    }
}
