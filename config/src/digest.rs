//! The digest of what a file means, for comparing routers of a fleet with each other and with the file in review.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::model::{
    AccessLog, Admin, Config, Listener, Match, Partitions, Pool, Resolver, Route, Server,
    Telemetry, Webhook,
};

/// A file without what does not change its meaning: a third of what reading 1,000 routes costs went into a copy of them
/// and a tree of values (`compile/file` of `benches/decide`).
#[derive(Serialize)]
struct Meaning<'a> {
    version: u32,
    include: [(); 0],
    server: Server,
    admin: &'a Admin,
    listeners: &'a [Listener],
    resolver: &'a Resolver,
    pools: BTreeMap<&'a str, &'a Pool>,
    partitions: &'a Partitions,
    routes: Vec<RouteMeaning<'a>>,
    access_log: &'a [AccessLog],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry: Option<Telemetry>,
}

/// First 12 hex digits of SHA-256 of the file's meaning.
///
/// Comments, formatting, order of tables, defaults written out and how the text is spread over files do not change it;
/// the order of routes and of weights does, because it means something. Secrets have no part in it:
/// a digest is shown to everybody.
pub fn digest(config: &Config) -> String {
    let meaning = serde_json::to_vec(&Meaning::of(config)).unwrap_or_default();
    short(Sha256::digest(meaning).as_slice())
}

/// The digest of what `digest` is of, and a further text that belongs to it.
pub fn with(digest: &str, text: &[u8]) -> String {
    let hash = Sha256::new().chain_update(digest).chain_update(text);
    short(hash.finalize().as_slice())
}

fn short(hash: &[u8]) -> String {
    hash.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl<'a> Meaning<'a> {
    fn of(config: &'a Config) -> Self {
        // Taken apart by name, so that a new table cannot be forgotten here.
        let Config {
            version,
            include: _,
            server,
            admin,
            listeners,
            resolver,
            pools,
            partitions,
            routes,
            access_log,
            webhooks,
            telemetry,
        } = config;
        Self {
            version: *version,
            include: [],
            server: Server {
                secret: None,
                ..server.clone()
            },
            admin,
            listeners,
            resolver,
            pools: pools.iter().collect(),
            partitions,
            routes: routes.iter().map(|route| RouteMeaning(route)).collect(),
            access_log,
            webhooks: webhooks.iter().map(without_secret).collect(),
            telemetry: telemetry.as_ref().map(without_headers),
        }
    }
}

fn without_secret(webhook: &Webhook) -> Webhook {
    Webhook {
        secret: None,
        ..webhook.clone()
    }
}

/// Headers for a collector are how it knows its customers.
fn without_headers(telemetry: &Telemetry) -> Telemetry {
    Telemetry {
        headers: BTreeMap::new(),
        ..telemetry.clone()
    }
}

/// A route without the keys that say what they would say if they were absent. There are a thousand of them, and most of
/// what was written of each for its digest were defaults.
struct RouteMeaning<'a>(&'a Route);

impl Serialize for RouteMeaning<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Taken apart by name, so that a new key cannot be forgotten here.
        let Route {
            name,
            matches,
            stable,
            weights,
            cohort,
            failover,
            max_step,
            sticky,
            flags,
            cap,
            guard,
            ramp,
            shadow,
            rewrite,
            headers,
            redirect,
            respond,
            fallback,
        } = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        map.serialize_entry("match", &MatchMeaning(matches))?;
        map.serialize_entry("cohort", cohort)?;
        entry(&mut map, "stable", stable)?;
        entry(&mut map, "weights", weights)?;
        entry(&mut map, "failover", failover)?;
        entry(&mut map, "max_step", max_step)?;
        entry(&mut map, "sticky", sticky)?;
        entry(&mut map, "flags", flags)?;
        entry(&mut map, "cap", cap)?;
        entry(&mut map, "guard", guard)?;
        entry(&mut map, "ramp", ramp)?;
        entry(&mut map, "shadow", shadow)?;
        entry(&mut map, "rewrite", rewrite)?;
        entry(&mut map, "headers", headers)?;
        entry(&mut map, "redirect", redirect)?;
        entry(&mut map, "respond", respond)?;
        entry(&mut map, "fallback", fallback)?;
        map.end()
    }
}

struct MatchMeaning<'a>(&'a Match);

impl Serialize for MatchMeaning<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Match {
            partition,
            listener,
            host,
            path,
            method,
            header,
            query,
            cookie,
            source_ip,
        } = self.0;
        let mut map = to.serialize_map(None)?;
        entry(&mut map, "partition", partition)?;
        entry(&mut map, "listener", listener)?;
        entry(&mut map, "host", host)?;
        entry(&mut map, "path", path)?;
        entry(&mut map, "method", method)?;
        entry(&mut map, "header", header)?;
        entry(&mut map, "query", query)?;
        entry(&mut map, "cookie", cookie)?;
        entry(&mut map, "source_ip", source_ip)?;
        map.end()
    }
}

/// An entry, unless it says what its absence says.
fn entry<M: SerializeMap, T: Serialize + Default + PartialEq>(
    map: &mut M,
    key: &'static str,
    value: &T,
) -> Result<(), M::Error> {
    if *value == T::default() {
        return Ok(());
    }
    map.serialize_entry(key, value)
}
