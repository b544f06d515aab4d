//! One copy, from the head of its request to its place in the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config::ids::PoolId;
use config::snapshot::Structure;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::fate::Fate;
use super::kept::Kept;
use super::mirror::Mirror;
use super::worker::Job;
use crate::diff::LONGEST_BODY;
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
    pub(super) body: Kept,
    bodiless: bool,
    whole: bool,
    /// Bytes of its head.
    held: u64,
    /// What the client got, when that is to be compared.
    pub(super) served: Option<Served>,
}

/// The serving pool's answer.
pub(super) struct Served {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) time: Duration,
    pub(super) body: Kept,
    pub(super) whole: bool,
}

/// A pool that is asked, as its file has it and as it is.
#[derive(Clone)]
pub struct Asked {
    /// Its position in the file.
    pub id: PoolId,
    /// Its targets.
    pub pool: Arc<Pool>,
}

impl Copy {
    pub(super) fn new(
        mirror: &Arc<Mirror>,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        bodiless: bool,
    ) -> Option<Self> {
        let fields = headers.iter();
        let size =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + FIELD;
        let held = (FIXED + fields.map(size).sum::<usize>()) as u64;
        mirror.take_bytes(held).then(|| Self {
            mirror: Arc::clone(mirror),
            method: method.clone(),
            uri: uri.clone(),
            headers: headers.clone(),
            body: Kept::new(mirror, mirror.shadow.settings.max_body.0),
            bodiless,
            whole: bodiless,
            held,
            served: None,
        })
    }

    /// The pool it goes to.
    pub fn pool(&self) -> PoolId {
        self.mirror.pool()
    }

    /// The request is sent once more, and its body comes from the start.
    pub fn begin_again(&mut self) {
        self.body.clear();
        self.whole = self.bodiless;
        self.served = None;
    }

    /// A part of the body, and whether it is the last one. Bytes are shared, not copied.
    pub fn body(&mut self, part: Option<&Bytes>, last: bool) {
        if let Some(part) = part {
            self.body.push(part);
        }
        self.whole |= last;
    }

    /// The head of the serving target's answer, which took `time`.
    pub fn answer(&mut self, status: StatusCode, headers: &HeaderMap, time: Duration) {
        if self.mirror.shadow.compares() {
            let length = headers.get(CONTENT_LENGTH);
            let is_empty = self.method == Method::HEAD
                || status == StatusCode::NO_CONTENT
                || length.is_some_and(|length| length == "0");
            self.served = Some(Served {
                status,
                headers: headers.clone(),
                time,
                body: Kept::new(&self.mirror, LONGEST_BODY as u64),
                whole: is_empty,
            });
        }
    }

    /// A part of that answer's body, and whether it is the last one.
    pub fn answer_body(&mut self, part: Option<&Bytes>, last: bool) {
        if let Some(served) = &mut self.served {
            if let Some(part) = part {
                served.body.push(part);
            }
            served.whole |= last;
        }
    }

    /// Its request is over, and `serving` has answered it: the copy goes to a target of `shadow`, or is dropped and counted.
    pub fn offer(
        self: Box<Self>,
        structure: &Arc<Structure>,
        shadow: Asked,
        serving: Asked,
        now: Instant,
    ) {
        let mirror = Arc::clone(&self.mirror);
        if let Err(fate) = self.send_off(structure, shadow, serving, now) {
            mirror.count(fate);
        }
    }

    fn send_off(
        self: Box<Self>,
        structure: &Arc<Structure>,
        shadow: Asked,
        serving: Asked,
        now: Instant,
    ) -> Result<(), Fate> {
        if serving.id == shadow.id {
            // It stood in for the pool that was to serve.
            return Err(Fate::DroppedSamePool);
        }
        self.body.parts()?;
        if !self.whole {
            return Err(Fate::DroppedBody);
        }
        let slot = self.mirror.enter(now)?;
        let jobs = self.mirror.jobs.clone();
        let asks_twice =
            self.served.is_some() && self.mirror.shadow.has_control(self.method.as_str());
        let job = Job {
            deadline: now + self.mirror.shadow.settings.timeout.0,
            copy: self,
            structure: Arc::clone(structure),
            shadow,
            serving,
            asks_twice,
            slot,
        };
        jobs.try_send(job).map_err(|_| Fate::DroppedFull)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.mirror.give_bytes(self.held);
    }
}
