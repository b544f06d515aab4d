//! Ids for clients of whom a log tells the bucket alone, or not even that.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use config::bucket::BucketKey;
use config::facts::Fresh;
use config::ids::RouteId;
use config::split::{BUCKETS, Split};

use super::line::Asked;

/// An id in each bucket, by the key that places them.
#[derive(Default)]
pub(super) struct Ids(HashMap<[u8; 16], Vec<[u8; 16]>>);

/// The id of one client, settled when it is first asked for.
pub(super) struct Placed<'a> {
    ids: RefCell<&'a mut Ids>,
    bucket: Option<u16>,
    id: Cell<[u8; 16]>,
}

impl Ids {
    fn in_bucket(&mut self, key: &BucketKey, bucket: u16) -> [u8; 16] {
        let ids = self.0.entry(*key.bytes()).or_insert_with(|| filled(key));
        ids[usize::from(bucket)]
    }
}

/// Tries ids until each bucket has one, which takes about 100,000.
fn filled(key: &BucketKey) -> Vec<[u8; 16]> {
    let mut ids: Vec<Option<[u8; 16]>> = vec![None; usize::from(BUCKETS)];
    let mut n_missing = ids.len();
    for number in 0_u128.. {
        let id = number.to_le_bytes();
        let found = &mut ids[usize::from(key.place(&id).bucket())];
        if found.replace(id).is_none() {
            n_missing -= 1;
        }
        if n_missing == 0 {
            break;
        }
    }
    ids.into_iter().flatten().collect()
}

impl<'a> Placed<'a> {
    /// The client in `bucket`; without one the client with the id `own`.
    pub(super) fn new(ids: &'a mut Ids, bucket: Option<u16>, own: [u8; 16]) -> Self {
        Self {
            ids: RefCell::new(ids),
            bucket: bucket.filter(|bucket| *bucket < BUCKETS),
            id: Cell::new(own),
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> [u8; 16] {
        self.id.get()
    }
}

impl Fresh for Placed<'_> {
    fn id(&self, _route: RouteId, _split: &Split, key: &BucketKey) -> [u8; 16] {
        if let Some(bucket) = self.bucket {
            self.id.set(self.ids.borrow_mut().in_bucket(key, bucket));
        }
        self.id.get()
    }
}

/// An id for whoever has the same address and browser: the nearest to a client that a line without a bucket tells.
pub(super) fn own(asked: &Asked<'_>) -> [u8; 16] {
    let mut hasher = DefaultHasher::new();
    (asked.client, &asked.user_agent).hash(&mut hasher);
    let low = hasher.finish();
    low.hash(&mut hasher);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&low.to_le_bytes());
    id[8..].copy_from_slice(&hasher.finish().to_le_bytes());
    id
}

/// A place for an id where no route asks for one.
pub(super) fn place(id: &[u8; 16]) -> u16 {
    (u128::from_le_bytes(*id) % u128::from(BUCKETS)) as u16
}
