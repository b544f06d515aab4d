//! Who asks when: clients that come and go, some of them ask much, and more by day than by night.

use config::bucket::BucketKey;
use config::ids::RouteId;
use config::model::StickyMode;
use config::problem::{Fault, Path};
use config::scenario::{Bot, Place, Scenario, Traffic};
use config::snapshot::Snapshot;
use config::split::BUCKETS;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, Exp, Pareto, Poisson};

use super::clients::Client;

/// Ids tried for a bot that shall have a certain place: it is found after 10,000 on average.
const TRIES: u32 = 1_000_000;

/// Where a client is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Bot(usize),
    Cookieless,
    Place(usize),
}

/// All clients.
pub(super) struct Crowd {
    chance: StdRng,
    traffic: Traffic,
    cookieless_part: f64,
    flagged: f64,
    /// What flagged clients send.
    flag: Vec<u8>,
    /// Seconds that a client stays; `None`: for ever.
    stay: Option<Exp<f64>>,
    pick: WeightedAliasIndex<f64>,
    places: Vec<Client>,
    cookieless: Client,
    bots: Vec<(f64, Client)>,
    n_clients: u64,
    arrivals: Vec<At>,
}

impl Crowd {
    pub(super) fn new(
        scenario: &Scenario,
        snapshot: &Snapshot,
        route: RouteId,
        begin: u64,
        seed: u64,
    ) -> Result<Self, Fault> {
        let clients = &scenario.clients;
        let mut chance = StdRng::seed_from_u64(seed ^ 0x6372_6f77_6400);
        let wrong = |key: &str, why: &dyn std::fmt::Display| {
            let path = Path::default().key("clients").key(key);
            path.fault(why.to_string())
        };
        let pareto = Pareto::new(1.0, clients.tail).map_err(|error| wrong("tail", &error))?;
        let activity: Vec<f64> = (0..clients.count)
            .map(|_| pareto.sample(&mut chance))
            .collect();
        let pick = WeightedAliasIndex::new(activity).map_err(|error| wrong("count", &error))?;
        let flag = flag(snapshot, route);
        if flag.is_none() && clients.flagged > 0.0 {
            let route = &snapshot.route(route).name;
            let why = format!("route `{route}` has no flag with a plain value in a cookie");
            return Err(wrong("flagged", &why));
        }
        let stay = clients.stay.0.as_secs_f64();
        let mut crowd = Self {
            chance,
            traffic: scenario.traffic.clone(),
            cookieless_part: clients.cookieless,
            flagged: clients.flagged,
            flag: flag.unwrap_or_default(),
            stay: Exp::new(1.0 / stay).ok().filter(|_| stay > 0.0),
            pick,
            places: Vec::with_capacity(clients.count as usize),
            cookieless: Client::new(u64::MAX, u64::MAX, 0.0, Vec::new()),
            bots: Vec::new(),
            n_clients: 0,
            arrivals: Vec::new(),
        };
        crowd.cookieless.has_jar = false;
        for _ in 0..clients.count {
            let client = crowd.newcomer(begin);
            crowd.places.push(client);
        }
        for bot in &scenario.bots {
            let client = crowd.bot(bot, snapshot, route);
            crowd.bots.push((bot.rps, client));
        }
        Ok(crowd)
    }

    /// Who asks in the second that begins at `now`.
    pub(super) fn arrivals(&mut self, now: u64) -> Vec<At> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.clear();
        for _ in 0..poisson(&mut self.chance, rate(&self.traffic, now)) {
            let is_cookieless = self.chance.random::<f64>() < self.cookieless_part;
            arrivals.push(match is_cookieless {
                true => At::Cookieless,
                false => At::Place(self.pick.sample(&mut self.chance)),
            });
        }
        for (position, (rps, _)) in self.bots.iter().enumerate() {
            let n = poisson(&mut self.chance, *rps);
            arrivals.extend((0..n).map(|_| At::Bot(position)));
        }
        arrivals
    }

    /// Takes the list of `arrivals` back, for the next second.
    pub(super) fn reuse(&mut self, arrivals: Vec<At>) {
        self.arrivals = arrivals;
    }

    /// The client at `at`; one whose time is over has gone, and another one is there.
    pub(super) fn client(&mut self, at: At, now: u64) -> &mut Client {
        match at {
            At::Bot(position) => &mut self.bots[position].1,
            At::Cookieless => {
                self.cookieless.lot = self.chance.random();
                &mut self.cookieless
            }
            At::Place(position) => {
                if now >= self.places[position].until {
                    self.places[position] = self.newcomer(now);
                }
                &mut self.places[position]
            }
        }
    }

    fn newcomer(&mut self, now: u64) -> Client {
        let stay = self.stay.map(|stay| stay.sample(&mut self.chance));
        let until = stay.map_or(u64::MAX, |stay| now + 1 + stay as u64);
        let own = match self.chance.random::<f64>() < self.flagged {
            true => self.flag.clone(),
            false => Vec::new(),
        };
        let number = self.n_clients;
        self.n_clients += 1;
        Client::new(number, until, self.chance.random(), own)
    }

    fn bot(&mut self, bot: &Bot, snapshot: &Snapshot, route: RouteId) -> Client {
        let number = self.n_clients;
        self.n_clients += 1;
        let mut client = Client::new(number, u64::MAX, self.chance.random(), Vec::new());
        client.fate = Some((bot.errors, bot.client_errors));
        let route = snapshot.route(route);
        let sticky = &route.settings.sticky;
        let wanted = match bot.place {
            Place::Any => None,
            Place::Canary => Some(0),
            Place::Stable => Some(BUCKETS - 1),
        };
        match (wanted, route.forward()) {
            (Some(bucket), Some(forward)) if sticky.mode != StickyMode::Off => {
                let id = self.id_in(snapshot.bucket_key(forward.cohort), bucket);
                client.with_id(id, &sticky.cookie)
            }
            _ => client,
        }
    }

    fn id_in(&mut self, key: &BucketKey, bucket: u16) -> [u8; 16] {
        let mut id = [0; 16];
        for _ in 0..TRIES {
            self.chance.fill_bytes(&mut id);
            if key.place(&id).bucket() == bucket {
                break;
            }
        }
        id
    }
}

/// The cookie of the route's first flag with a plain value.
fn flag(snapshot: &Snapshot, route: RouteId) -> Option<Vec<u8>> {
    let flags = &snapshot.route(route).settings.flags;
    flags.iter().find_map(|flag| {
        let (cookie, value) = (flag.cookie.as_ref()?, flag.value.as_ref()?);
        Some(format!("{cookie}={value}").into_bytes())
    })
}

/// Requests a second at `now`.
fn rate(traffic: &Traffic, now: u64) -> f64 {
    let moment = Timestamp::from_second(now as i64).unwrap_or_default();
    if traffic
        .quiet
        .as_ref()
        .is_some_and(|quiet| quiet.contain(moment))
    {
        return 0.0;
    }
    let hour = (now % 86_400) as f64 / 3_600.0;
    let day = std::f64::consts::TAU * (hour - traffic.peak) / 24.0;
    traffic.rps * (1.0 + traffic.swing * day.cos())
}

fn poisson(chance: &mut StdRng, rate: f64) -> usize {
    // A rate of 0 is none to the distribution, and nobody to us.
    Poisson::new(rate).map_or(0, |poisson| poisson.sample(chance) as usize)
}
