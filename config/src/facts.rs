//! All of a request that may change its way, as plain values.

use std::net::IpAddr;

use http::HeaderName;

use crate::bucket::BucketKey;
use crate::ids::{ListenerId, RouteId};
use crate::split::Split;

/// What the decision may look at. Two equal facts get the same decision from one snapshot.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The listener that accepted the connection.
    pub listener: ListenerId,
    /// Method, as sent; case matters (RFC 9110 section 9.1).
    pub method: &'a str,
    /// Host as sent, with port and in any case; empty when the request names none.
    pub host: &'a str,
    /// Path, as sent, without the query.
    pub path: &'a str,
    /// The text after the first `?`.
    pub query: Option<&'a str>,
    /// All header fields.
    pub fields: &'a dyn Fields,
    /// Address of the TCP peer (or of the PROXY header of a trusted peer).
    pub source_ip: IpAddr,
    /// Address of the client: the peer, or what trusted proxies say of it.
    pub client_ip: IpAddr,
    /// The peer is a trusted proxy: its partition header is believed.
    pub trusted: bool,
    /// Seconds since 1970-01-01T00:00:00Z; for whatever expires.
    pub now: u64,
    /// Where a client without an id gets one.
    pub fresh: &'a dyn Fresh,
}

/// Header fields of a request, whichever parser read them.
pub trait Fields {
    /// Shows `visit` each value of `name`, in order, until it answers true; says whether it did.
    fn any(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

impl Fields for http::HeaderMap {
    fn any(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.get_all(name)
            .iter()
            .any(|value| visit(value.as_bytes()))
    }
}

/// A source of ids for clients that have none.
///
/// It is a fact, not a side effect: which id a new client gets is settled outside, and asked for only
/// when the matched route is known, because ids are spread evenly for each route on its own.
pub trait Fresh {
    /// The next id for a new client of `route`, whose buckets `split` divides and whose clients `key` places.
    fn id(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16];

    /// As `id`, for one request of a route that gives no ids: whoever hands out an id twice must not do so here.
    fn once(&self, route: RouteId, split: &Split, key: &BucketKey) -> [u8; 16] {
        self.id(route, split, key)
    }
}

/// Always the same id: for tests and for explanations.
impl Fresh for [u8; 16] {
    fn id(&self, _route: RouteId, _split: &Split, _key: &BucketKey) -> [u8; 16] {
        *self
    }
}
