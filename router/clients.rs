//! What one client may have: connections at a time, and requests a second.
//!
//! A client is an IPv4 address, or the /64 of an IPv6 address, which is what one subscriber gets. Memory is bounded: at most
//! 65,536 clients are known, about 4 MiB, and who has nothing open and used nothing within a second is forgotten for who
//! comes. When all are busy a new one is let in uncounted: a limit that fails must not close the site.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts of the table, each with a lock of its own: two workers seldom ask for the same.
const PARTS: usize = 64;
/// Most clients of a part.
const MOST: usize = 1024;
/// A client may use a second's worth of requests at once.
const BURST: u64 = 1_000_000_000;

/// Who counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    V4([u8; 4]),
    /// The first half of an address.
    V6([u8; 8]),
}

impl Client {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut half = [0; 8];
                half.copy_from_slice(&address.octets()[..8]);
                Self::V6(half)
            }
        }
    }
}

/// What a client has and used.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    open: u32,
    /// When all that it may use at once is there again, in nanoseconds since the table was made.
    rested: u64,
}

impl Usage {
    const fn is_nothing(self, now: u64) -> bool {
        self.open == 0 && self.rested <= now
    }
}

/// What the clients have and used.
#[derive(Debug)]
pub struct Clients {
    parts: [Mutex<HashMap<Client, Usage>>; PARTS],
    /// Random: nobody can choose addresses that share a part.
    hasher: RandomState,
    began: Instant,
    uncounted: AtomicU64,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            began: Instant::now(),
            uncounted: AtomicU64::new(0),
        }
    }
}

/// One open connection of a client; dropping it closes it in the count.
#[derive(Debug)]
pub struct Counted {
    clients: Arc<Clients>,
    client: Client,
    known: bool,
}

impl Clients {
    /// Counts one more connection of `address`, unless it has `most`.
    pub fn enter(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Counted> {
        let client = Client::of(address);
        let now = self.now();
        let known = self.with(client, now, |usage| {
            let free = usage.open < most;
            usage.open += u32::from(free);
            free
        });
        (known != Some(false)).then(|| Counted {
            clients: Arc::clone(self),
            client,
            known: known.is_some(),
        })
    }

    /// Whether `address` may have one more request, of `most` a second; if so it is used.
    pub fn admits(&self, address: IpAddr, most: u32) -> bool {
        self.admits_at(address, most, self.now())
    }

    /// How often a client was let in uncounted.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Relaxed)
    }

    fn admits_at(&self, address: IpAddr, most: u32, now: u64) -> bool {
        let each = BURST / u64::from(most.max(1));
        let admitted = self.with(Client::of(address), now, |usage| {
            let rested = usage.rested.max(now) + each;
            let admitted = rested - now <= BURST;
            if admitted {
                usage.rested = rested;
            }
            admitted
        });
        admitted.unwrap_or(true)
    }

    /// Does `act` with the usage of `client`; nothing when there is no room for it.
    fn with<T>(&self, client: Client, now: u64, act: impl FnOnce(&mut Usage) -> T) -> Option<T> {
        let mut part = self.part(client);
        if let Some(usage) = part.get_mut(&client) {
            return Some(act(usage));
        }
        if part.len() >= MOST {
            part.retain(|_, usage| !usage.is_nothing(now));
        }
        if part.len() >= MOST {
            self.uncounted.fetch_add(1, Relaxed);
            return None;
        }
        Some(act(part.entry(client).or_default()))
    }

    fn part(&self, client: Client) -> MutexGuard<'_, HashMap<Client, Usage>> {
        let position = self.hasher.hash_one(client) as usize % PARTS;
        self.parts[position]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        let elapsed: Duration = self.began.elapsed();
        elapsed.as_nanos() as u64
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.known {
            return;
        }
        let now = self.clients.now();
        let mut part = self.clients.part(self.client);
        if let Some(usage) = part.get_mut(&self.client) {
            usage.open = usage.open.saturating_sub(1);
            if usage.is_nothing(now) {
                part.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    fn known(clients: &Clients) -> usize {
        clients
            .parts
            .iter()
            .map(|part| part.lock().unwrap().len())
            .sum()
    }

    #[test]
    fn a_client_has_so_many_connections_and_no_more_until_one_closes() {
        let clients = Arc::new(Clients::default());
        let first = clients.enter(v4(1), 2);
        let second = clients.enter(v4(1), 2);
        assert!(first.is_some() && second.is_some());
        assert!(clients.enter(v4(1), 2).is_none());
        assert!(
            clients.enter(v4(2), 2).is_some(),
            "another client has its own"
        );
        drop(first);
        assert!(clients.enter(v4(1), 2).is_some());
        drop(second);
        assert_eq!(known(&clients), 0, "who has nothing is forgotten");
    }

    #[test]
    fn a_client_of_ipv6_is_its_first_half() {
        let clients = Arc::new(Clients::default());
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().into();
        let _first = clients.enter(address("2001:db8::1"), 1).unwrap();
        assert!(clients.enter(address("2001:db8::ffff:1"), 1).is_none());
        assert!(clients.enter(address("2001:db8:0:1::1"), 1).is_some());
        let _mapped = clients.enter(address("::ffff:1.2.3.4"), 1).unwrap();
        assert!(clients.enter("1.2.3.4".parse().unwrap(), 1).is_none());
    }

    #[test]
    fn requests_come_back_with_time_and_a_second_of_them_may_be_used_at_once() {
        let clients = Clients::default();
        let count = |now| {
            (0..100)
                .filter(|_| clients.admits_at(v4(1), 10, now))
                .count()
        };
        assert_eq!(count(0), 10);
        assert_eq!(count(BURST / 2), 5);
        assert_eq!(
            count(BURST * 10),
            10,
            "no more than a second's worth is saved"
        );
        assert!(clients.admits_at(v4(2), 10, BURST * 10));
    }

    #[test]
    fn one_request_a_second_is_one_a_second() {
        let clients = Clients::default();
        let admitted = (0..100).filter(|n| clients.admits_at(v4(1), 1, n * BURST / 10));
        assert_eq!(admitted.count(), 10);
    }

    #[test]
    fn however_many_come_memory_is_bounded_and_nobody_is_shut_out() {
        let clients = Arc::new(Clients::default());
        let n = 2 * (PARTS * MOST) as u32;
        assert!((0..n).all(|client| clients.admits_at(v4(client), 1, 0)));
        assert!(known(&clients) <= PARTS * MOST);
        assert!(clients.uncounted() > 0);
        // A second later all of them are forgotten for who comes.
        let before = clients.uncounted();
        assert!((n..n + 1000).all(|client| clients.admits_at(v4(client), 1, 2 * BURST)));
        assert_eq!(clients.uncounted(), before);
    }

    #[test]
    fn who_is_busy_is_not_forgotten_for_who_comes() {
        let clients = Arc::new(Clients::default());
        let kept: Vec<_> = (0..100)
            .map(|client| clients.enter(v4(client), 1).unwrap())
            .collect();
        (1000..200_000).for_each(|client| {
            clients.admits_at(v4(client), 1, u64::from(client));
        });
        assert!((0..100).all(|client| clients.enter(v4(client), 1).is_none()));
        drop(kept);
    }
}
