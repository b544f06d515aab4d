//! One copy, from the head of its request to its place in the queue.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use config::ids::PoolId;
use config::snapshot::Structure;
use http::{HeaderMap, Method, Uri};

use super::fate::Fate;
use super::mirror::Mirror;
use super::worker::Job;
use crate::pool::Pool;

/// What a head takes beside its fields: the entries of a map, and the rest of a copy.
const FIXED: usize = 512;
/// What a field takes beside its texts.
const FIELD: usize = 96;

/// The copy of one request. Dropping it gives back what it took of its route's bounds.
pub struct Copy {
    pub(super) mirror: Arc<Mirror>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<Bytes>,
    bodiless: bool,
    whole: bool,
    /// Why it will not be sent.
    spoiled: Option<Fate>,
    /// Bytes it holds, of head and body.
    held: u64,
    in_body: u64,
}

impl Copy {
    pub(super) fn new(
        mirror: &Arc<Mirror>,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        bodiless: bool,
    ) -> Option<Self> {
        let fields = headers.iter();
        let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + FIELD
        };
        let held = (FIXED + fields.map(size).sum::<usize>()) as u64;
        mirror.take_bytes(held).then(|| Self {
            mirror: Arc::clone(mirror),
            method: method.clone(),
            uri: uri.clone(),
            headers: headers.clone(),
            body: Vec::new(),
            bodiless,
            whole: bodiless,
            spoiled: None,
            held,
            in_body: 0,
        })
    }

    /// The pool it goes to.
    pub fn pool(&self) -> PoolId {
        self.mirror.pool()
    }

    /// The request is sent once more, and its body comes from the start.
    pub fn begin_again(&mut self) {
        self.forget_body();
        self.whole = self.bodiless;
        self.spoiled = None;
    }

    /// A part of the body, and whether it is the last one. Bytes are shared, not copied.
    pub fn body(&mut self, part: Option<&Bytes>, last: bool) {
        if let Some(part) = part.filter(|part| !part.is_empty() && self.spoiled.is_none()) {
            let n = part.len() as u64;
            if self.in_body + n > self.mirror.shadow.settings.max_body.0 {
                self.spoil(Fate::DroppedBody);
            } else if !self.mirror.take_bytes(n) {
                self.spoil(Fate::DroppedBytes);
            } else {
                self.held += n;
                self.in_body += n;
                self.body.push(part.clone());
            }
        }
        self.whole |= last;
    }

    /// Its request is over: it goes to a target of `pool`, or is dropped and counted.
    pub fn offer(self: Box<Self>, structure: &Arc<Structure>, pool: &Arc<Pool>, now: Instant) {
        let mirror = Arc::clone(&self.mirror);
        if let Err(fate) = self.send_off(structure, pool, now) {
            mirror.count(fate);
        }
    }

    fn send_off(
        self: Box<Self>,
        structure: &Arc<Structure>,
        pool: &Arc<Pool>,
        now: Instant,
    ) -> Result<(), Fate> {
        if let Some(fate) = self.spoiled {
            return Err(fate);
        }
        if !self.whole {
            return Err(Fate::DroppedBody);
        }
        let slot = self.mirror.enter(now)?;
        let jobs = self.mirror.jobs.clone();
        let job = Job {
            deadline: now + self.mirror.shadow.settings.timeout.0,
            copy: self,
            structure: Arc::clone(structure),
            pool: Arc::clone(pool),
            slot,
        };
        jobs.try_send(job).map_err(|_| Fate::DroppedFull)
    }

    fn spoil(&mut self, fate: Fate) {
        self.forget_body();
        self.spoiled = Some(fate);
    }

    fn forget_body(&mut self) {
        self.body.clear();
        self.mirror.give_bytes(self.in_body);
        self.held -= self.in_body;
        self.in_body = 0;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.mirror.give_bytes(self.held);
    }
}
