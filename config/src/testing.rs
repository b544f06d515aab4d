//! What tests of meaning share: a small site, and requests written as text.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::bucket::Secret;
use crate::facts::Facts;
use crate::id;
use crate::ids::{CohortId, ListenerId};
use crate::live::{Latch, Live, LiveRoute, Owner, Weights};
use crate::model::Config;
use crate::problem::Fault;
use crate::snapshot::{Snapshot, Structure};

const SITE: &str = r#"
version = 1
listeners = [
    { name = "public", bind = "127.0.0.1:0" },
    { name = "inner", bind = "127.0.0.1:0" },
]
pools.ec2.targets = ["127.0.0.1:3001"]
pools.ecs.targets = ["127.0.0.1:3002"]
pools.eks.targets = ["127.0.0.1:3003"]
[partitions.hosts]
"*.blogs.example" = "blogs"
"*.pro.blogs.example" = "pro"
"www.blogs.example" = "main"
"cdn.images.example" = "images"
"#;

/// The site with `routes`.
pub(crate) fn config(routes: &str) -> Config {
    toml::from_str(&format!("{SITE}{routes}")).unwrap()
}

pub(crate) fn structure(routes: &str) -> Result<Structure, Vec<Fault>> {
    Structure::compile(&config(routes))
}

pub(crate) fn secret() -> Secret {
    Secret::new([9; 32])
}

pub(crate) fn snapshot(routes: &str) -> Snapshot {
    let structure = structure(routes).unwrap();
    Snapshot::compile(Arc::new(structure), &Live::default(), &secret()).unwrap()
}

/// A live state with weights for one route.
pub(crate) fn live(route: &str, weights: &[(&str, u32)]) -> Live {
    let weights: Weights = weights
        .iter()
        .map(|(name, w)| ((*name).to_owned(), *w))
        .collect();
    let state = LiveRoute {
        block: weights.clone(),
        weights,
        owner: Owner::Live,
        state: Latch::Normal,
        draining: Default::default(),
        ramp: None,
    };
    Live {
        revision: 7,
        routes: [(route.to_owned(), Arc::new(state))].into(),
        ..Live::default()
    }
}

/// An id, as a cookie carries it, whose bucket in the first cohort `wanted` accepts.
pub(crate) fn cookie_in(snapshot: &Snapshot, wanted: impl Fn(u16) -> bool) -> String {
    let key = snapshot.bucket_key(CohortId(0));
    let ids = (0u128..).map(u128::to_be_bytes);
    let mut ids = ids.filter(|id| wanted(key.place(id).bucket()));
    let text = id::encode(&ids.next().unwrap());
    String::from_utf8(text.to_vec()).unwrap()
}

/// A request as a test writes it: `GET host/path?query`, then lines of `name: value`. Lines that begin with `@` say
/// what is not in the head: `@peer IP`, `@client IP`, `@trusted`, `@inner` (the other listener), `@id N` (the next new id).
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) source_ip: IpAddr,
    pub(crate) client_ip: IpAddr,
    pub(crate) trusted: bool,
    pub(crate) listener: ListenerId,
    pub(crate) fresh: [u8; 16],
}

impl Sent {
    pub(crate) fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let (method, url) = lines.next().unwrap().split_once(' ').unwrap();
        let slash = url.find('/').unwrap_or(url.len());
        let (host, target) = url.split_at(slash);
        let (path, query) = target.split_once('?').unzip();
        let ip = IpAddr::from([192, 0, 2, 1]);
        let mut sent = Self {
            method: method.into(),
            host: host.into(),
            path: path.unwrap_or(target).into(),
            query: query.map(String::from),
            headers: HeaderMap::new(),
            source_ip: ip,
            client_ip: ip,
            trusted: false,
            listener: ListenerId(0),
            fresh: [0; 16],
        };
        lines.for_each(|line| sent.line(line.trim_start()));
        sent
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            listener: self.listener,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            fields: &self.headers,
            source_ip: self.source_ip,
            client_ip: self.client_ip,
            trusted: self.trusted,
            now: 0,
            fresh: &self.fresh,
        }
    }

    fn line(&mut self, line: &str) {
        let Some(word) = line.strip_prefix('@') else {
            let (name, value) = line.split_once(": ").unwrap();
            let name: http::HeaderName = name.parse().unwrap();
            self.headers.append(name, value.parse().unwrap());
            return;
        };
        match word.split_once(' ').unwrap_or((word, "")) {
            ("peer", ip) => self.source_ip = ip.parse().unwrap(),
            ("client", ip) => self.client_ip = ip.parse().unwrap(),
            ("trusted", _) => self.trusted = true,
            ("inner", _) => self.listener = ListenerId(1),
            ("id", n) => self.fresh = n.parse::<u128>().unwrap().to_be_bytes(),
            other => panic!("unknown line {other:?}"),
        }
    }
}
