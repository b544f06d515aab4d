//! A made-up client: its jar of cookies, and what is known of it.

use std::net::IpAddr;

use config::decision::Decision;
use config::facts::Fields;
use config::id;
use config::ids::PoolId;
use config::snapshot::Snapshot;
use http::{HeaderMap, HeaderName, header};

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Counts from 0.
    pub(super) number: u64,
    /// Whether it keeps cookies.
    pub(super) has_jar: bool,
    /// The id it was given.
    pub(super) id: Option<[u8; 16]>,
    /// Its `Cookie` line.
    pub(super) cookies: Vec<u8>,
    /// What it has of its own, before what it was given.
    own: Vec<u8>,
    pin: Option<String>,
    pub(super) address: IpAddr,
    /// Another one comes in its place then.
    pub(super) until: u64,
    /// A number of its own, 0 to 1, by which harm hits it or not.
    pub(super) lot: f64,
    /// What it is answered, when it is a bot: parts of 500 and of 404.
    pub(super) fate: Option<(f64, f64)>,
    /// Where it was last.
    last: Option<PoolId>,
    /// The rows of the timeline in which it was last counted: at all, and on a canary; and whether it ever was on one.
    pub(super) rows: [Option<u32>; 2],
    pub(super) has_seen_canary: bool,
}

/// A client's step from one pool to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) from: PoolId,
    pub(super) to: PoolId,
}

impl Client {
    pub(super) fn new(number: u64, until: u64, lot: f64, own: Vec<u8>) -> Self {
        Self {
            number,
            has_jar: true,
            id: None,
            cookies: own.clone(),
            own,
            pin: None,
            address: address(number),
            until,
            lot,
            fate: None,
            last: None,
            rows: [None; 2],
            has_seen_canary: false,
        }
    }

    /// With this id from the begin on.
    pub(super) fn with_id(mut self, id: [u8; 16], name: &str) -> Self {
        self.id = Some(id);
        self.write(name);
        self
    }

    /// Keeps what came with an answer of the pool `at`; whether it went elsewhere than the last time. A pin is to the pool that
    /// was chosen.
    pub(super) fn keep(
        &mut self,
        decision: &Decision,
        at: PoolId,
        snapshot: &Snapshot,
        now: u64,
    ) -> Option<Moved> {
        let choice = decision.choice?;
        if !self.has_jar {
            self.id = choice.new_id;
            return None;
        }
        if let Some(route) = decision.route
            && (choice.new_id.is_some() || choice.new_pin)
        {
            self.id = choice.new_id.or(self.id);
            let route = snapshot.route(route);
            if let Some(forward) = route.forward().filter(|_| choice.new_pin)
                && let Some(pinning) = &forward.pinning
            {
                let value = snapshot.pin_value(forward, choice.pool, now);
                self.pin = Some(format!("{}={value}", pinning.cookie));
            }
            self.write(&route.settings.sticky.cookie);
        }
        let before = self.last.replace(at);
        before
            .filter(|from| *from != at)
            .map(|from| Moved { from, to: at })
    }

    /// Makes its `Cookie` line, with the id under `name`.
    fn write(&mut self, name: &str) {
        let id = self.id.map(|id| {
            let text: String = id::encode(&id).map(char::from).iter().collect();
            format!("{name}={text}").into_bytes()
        });
        let pin = self.pin.as_ref().map(|pin| pin.clone().into_bytes());
        let own = Some(self.own.clone()).filter(|own| !own.is_empty());
        let parts: Vec<_> = [own, id, pin].into_iter().flatten().collect();
        self.cookies = parts.join(&b"; "[..]);
    }
}

/// One of the addresses kept for benchmarks (RFC 2544), so that clients differ for routes that place them by address.
fn address(number: u64) -> IpAddr {
    let [.., a, b, c] = (number % (1 << 17)).to_be_bytes();
    IpAddr::from([198, 18 + a, b, c])
}

/// What a request carries.
pub(super) struct Sent<'a> {
    pub(super) cookies: &'a [u8],
    pub(super) fields: &'a HeaderMap,
}

impl Fields for Sent<'_> {
    fn any(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let sends_cookies = *name == header::COOKIE && !self.cookies.is_empty();
        (sends_cookies && visit(self.cookies)) || self.fields.any(name, visit)
    }
}
