//! Parts of a body that are kept, of one message, within what all copies of a route may hold together.

use std::sync::Arc;

use bytes::Bytes;

use super::fate::Fate;
use super::mirror::Mirror;

/// What a part takes beside its bytes: its place in the list and what an allocator adds. Bodies may come byte by byte.
const PART: u64 = 64;

/// Parts of a body. Bytes are shared, not copied; dropping it gives back what it took of its route's bounds.
pub(super) struct Kept {
    mirror: Arc<Mirror>,
    parts: Vec<Bytes>,
    size: u64,
    most: u64,
    /// What all parts took of the route's bounds.
    held: u64,
    /// Why nothing is kept any more.
    over: Option<Fate>,
}

impl Kept {
    /// Nothing yet, and never more than `most` bytes.
    pub(super) fn new(mirror: &Arc<Mirror>, most: u64) -> Self {
        Self {
            mirror: Arc::clone(mirror),
            parts: Vec::new(),
            size: 0,
            most,
            held: 0,
            over: None,
        }
    }

    /// Keeps `part`, if it fits; from the first one that does not nothing is kept.
    pub(super) fn push(&mut self, part: &Bytes) {
        if part.is_empty() || self.over.is_some() {
            return;
        }
        let n = part.len() as u64;
        let over = if self.size + n > self.most {
            Some(Fate::DroppedBody)
        } else if self.mirror.take_bytes(n + PART) {
            None
        } else {
            Some(Fate::DroppedBytes)
        };
        match over {
            Some(_) => {
                self.clear();
                self.over = over;
            }
            None => {
                self.size += n;
                self.held += n + PART;
                self.parts.push(part.clone());
            }
        }
    }

    /// As new.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.mirror.give_bytes(self.held);
        (self.size, self.held) = (0, 0);
        self.over = None;
    }

    /// Every part there was, in order; or why some are missing.
    pub(super) fn parts(&self) -> Result<&[Bytes], Fate> {
        self.over.map_or(Ok(&*self.parts), Err)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.mirror.give_bytes(self.held);
    }
}
