//! Randomness for the request path: one generator and one set of minters a thread, seeded by the system; no lock.
//!
//! What an id means and how ids are spread is `config::mint`'s business.

use std::cell::RefCell;
use std::sync::OnceLock;

use config::bucket::BucketKey;
use config::facts::Fresh;
use config::ids::RouteId;
use config::mint::Minter;
use config::split::Split;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// The thread's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entropy;

struct Source {
    generator: StdRng,
    /// By `RouteId`. Ids mean other routes after a reload; a minter is as good for the one as for the other.
    minters: Vec<Option<Box<Minter>>>,
}

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source {
        generator: StdRng::from_os_rng(),
        minters: Vec::new(),
    });
}

impl Entropy {
    /// 16 random bytes that nobody can foresee.
    pub fn draw(self) -> [u8; 16] {
        SOURCE.with_borrow_mut(|source| bytes(&mut source.generator))
    }
}

impl Fresh for Entropy {
    fn id(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        SOURCE.with_borrow_mut(|source| source.id(route, split, key))
    }
}

/// Randomness for clients that come over one connection: the first of them gets an id, the others the same one.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a>(pub &'a OnceLock<[u8; 16]>);

impl Fresh for Shared<'_> {
    fn id(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        match self.0.get() {
            Some(id) => *id,
            // Two that are first at once draw both, and agree on one.
            None => {
                let id = Entropy.id(route, split, key);
                *self.0.get_or_init(|| id)
            }
        }
    }

    fn once(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        Entropy.id(route, split, key)
    }
}

/// Ids for clients that are made up: from the same seed the same ones.
pub struct Seeded(RefCell<Source>);

impl Seeded {
    /// As `seed` says.
    pub fn new(seed: u64) -> Self {
        Self(RefCell::new(Source {
            generator: StdRng::seed_from_u64(seed),
            minters: Vec::new(),
        }))
    }
}

impl Fresh for Seeded {
    fn id(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        self.0.borrow_mut().id(route, split, key)
    }
}

impl Source {
    fn id(&mut self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        let position = route.0 as usize;
        if self.minters.len() <= position {
            self.minters.resize_with(position + 1, || None);
        }
        let minter =
            self.minters[position].get_or_insert_with(|| Box::new(Minter::new(*key, split)));
        minter.align(key, split);
        minter.next(|| bytes(&mut self.generator))
    }
}

fn bytes(generator: &mut StdRng) -> [u8; 16] {
    let mut bytes = [0; 16];
    generator.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use config::bucket::Master;
    use config::ids::PoolId;

    use super::*;

    #[test]
    fn each_route_gets_even_shares_of_its_own() {
        let key = Master::new([1; 16]).key("default", 0);
        let (ec2, ecs) = (PoolId(0), PoolId(1));
        let split = Split::new(vec![(ec2, 95), (ecs, 5)], ec2).unwrap();
        let mut ids = HashSet::new();
        let mut on_ecs = [0; 3];
        for _ in 0..1_000 {
            for (route, n) in (0..).map(RouteId).zip(&mut on_ecs) {
                let id = Entropy.id(route, &split, &key);
                *n += u32::from(split.pool_of(key.place(&id).bucket()) == ecs);
                assert!(ids.insert(id));
            }
        }
        assert_eq!(on_ecs, [50; 3]);
    }

    #[test]
    fn a_connection_has_one_id_and_as_many_draws_for_one_request_as_asked() {
        let key = Master::new([1; 16]).key("default", 0);
        let split = Split::new(vec![(PoolId(0), 1), (PoolId(1), 1)], PoolId(0)).unwrap();
        let cell = OnceLock::new();
        let first = Shared(&cell).id(RouteId(0), &split, &key);
        assert_eq!(Shared(&cell).id(RouteId(1), &split, &key), first);
        let once = || Shared(&cell).once(RouteId(0), &split, &key);
        assert_eq!(HashSet::from([first, once(), once()]).len(), 3);
    }

    #[test]
    fn threads_draw_different_bytes() {
        let draw = || std::thread::spawn(|| Entropy.draw()).join().unwrap();
        assert_eq!(
            HashSet::from([draw(), draw(), Entropy.draw(), Entropy.draw()]).len(),
            4
        );
    }
}
