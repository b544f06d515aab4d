//! The head is read: who sent it, what does it say, where does it go.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use config::facts::{Facts, Fresh};
use config::shadow::MARK;
use config::units::Cidr;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::exchange::{Arrival, Exchange};
use super::head;
use crate::accept::{Connection, Wire};
use crate::clients::Clients;
use crate::entropy::{Entropy, Shared};
use crate::forward::Journey;
use crate::identify;
use crate::record::{Cause, Head};
use crate::request_id::{self, Names};

/// What browsers ask for without being told to.
const FAVICON: &str = "/favicon.ico";

impl Exchange {
    /// Takes in the head. Whatever goes wrong from here on has a line in the log.
    pub(super) fn arrive(&mut self, session: &mut Session) -> Result<()> {
        let wire = wire(session).ok_or_else(|| {
            Error::explain(ErrorType::InternalError, "a connection of another layer")
        })?;
        wire.meet();
        if wire.closes() {
            session.set_keepalive(None);
        }
        let server = &self.hold.snapshot().structure.server;
        session.set_read_timeout(Some(server.timeouts.body.0));
        if session.as_downstream().as_http1().is_some() {
            wire.limit_stall(server.timeouts.body.0);
        } else {
            session.set_write_timeout(Some(server.timeouts.body.0));
        }
        let head = session.req_header_mut();
        make_origin_form(head)?;
        let parts = head::into_parts(head);
        *head = RequestHeader::from(parts);
        let told = Told::of(&head.headers);
        let (asks, expects, marked) = (told.upgrade, told.expect, told.marked);
        let upgrade = asks && asks_to_switch(head);
        let trusted = identify::is_trusted(wire.peer.ip(), &server.trusted_proxies);
        let proxies = &server.trusted_proxies;
        self.arrival = Some(arrival(head, &told, wire, trusted, upgrade, proxies));
        self.find_trace(&head.headers);
        if asks && !upgrade {
            // What we do not carry is not asked for; a server may always ignore it.
            head.remove_header(&header::UPGRADE);
        }
        if marked {
            // Only a copy of ours is one.
            head.remove_header(&MARK);
        }
        if expects && expects_more_than_continue(&head.headers) {
            self.cause = Some(Cause::ExpectationFailed);
            return Err(Error::explain(ErrorType::HTTPStatus(417), "expectation"));
        }
        self.check_host()
    }

    /// A client that shares a connection among hosts may share it too widely; told so, it opens another one (RFC 9110
    /// section 7.4). A trusted proxy's connection carries requests for all hosts.
    fn check_host(&mut self) -> Result<()> {
        let misdirected = self.arrival.as_ref().is_some_and(|arrival| {
            let secured = arrival.wire.secured().filter(|_| !arrival.trusted);
            secured.is_some_and(|secured| secured.misdirects(arrival.host()))
        });
        if misdirected {
            return Err(self.end(Cause::Misdirected));
        }
        Ok(())
    }

    /// Whether its client has used what it may have a second; if not, this is one more.
    pub(super) fn is_over_limit(&self, clients: &Clients) -> bool {
        let server = &self.hold.snapshot().structure.server;
        let most = server.max_rps_per_client;
        let Some(arrival) = self.arrival.as_ref().filter(|_| most > 0) else {
            return false;
        };
        !identify::is_trusted(arrival.client, &server.trusted_proxies)
            && !clients.admits(arrival.client, most)
    }

    /// Decides where the request goes, by the one snapshot it keeps.
    pub(super) fn decide(&mut self, session: &Session) {
        let Some(arrival) = &self.arrival else { return };
        let head = session.req_header();
        let snapshot = self.hold.snapshot();
        let shared = arrival.wire.shared_id().map(|id| Shared(id));
        // A trusted proxy's connection carries many clients.
        let shared = shared.as_ref().filter(|_| !arrival.trusted);
        let facts = Facts {
            listener: arrival.wire.listener,
            method: head.method.as_str(),
            host: arrival.host(),
            path: head.uri.path(),
            query: head.uri.query(),
            fields: &head.headers,
            source_ip: arrival.wire.peer.ip(),
            client_ip: arrival.client,
            trusted: arrival.trusted,
            now: arrival.now,
            fresh: shared.map_or(&Entropy as &dyn Fresh, |shared| shared),
        };
        let decision = snapshot.decide(&facts);
        let route = decision.route.map(|id| snapshot.route(id));
        let forward = route.and_then(|route| Some((route, route.forward()?)));
        self.journey = forward
            .zip(decision.choice)
            .map(|((route, forward), choice)| {
                let cap = self.hold.cap(route.id, choice.pool).cloned();
                Journey::new(choice.pool, forward.stable, route.settings.failover, cap)
            });
        self.decision = Some(decision);
        self.rewrite(head);
        self.note_request(&head.headers);
        self.shows_flag = head.uri.path() == FAVICON
            && matches!(head.method, Method::GET | Method::HEAD)
            && self.flag().is_some_and(|flag| flag.favicon.is_some());
    }
}

/// What a head says of itself, found in one go: to look for each of these costs five times as much (`--counts` of
/// `benches/proxy`). Of a field with several values it is the first.
#[derive(Default)]
struct Told<'a> {
    host: Option<&'a HeaderValue>,
    user_agent: Option<&'a HeaderValue>,
    referer: Option<&'a HeaderValue>,
    request_id: Option<&'a HeaderValue>,
    trace_id: Option<&'a HeaderValue>,
    upgrade: bool,
    expect: bool,
    marked: bool,
}

impl<'a> Told<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut told = Self::default();
        for (name, value) in headers {
            if name == header::HOST {
                told.host.get_or_insert(value);
            } else if name == header::USER_AGENT {
                told.user_agent.get_or_insert(value);
            } else if name == header::REFERER {
                told.referer.get_or_insert(value);
            } else if name == header::UPGRADE {
                told.upgrade = true;
            } else if name == header::EXPECT {
                told.expect = true;
            } else if name == head::REQUEST_ID {
                told.request_id.get_or_insert(value);
            } else if name == head::TRACE_ID {
                told.trace_id.get_or_insert(value);
            } else if name == MARK {
                told.marked = true;
            }
        }
        told
    }

    fn host(&self) -> &'a str {
        self.host
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
    }
}

/// What is known of the request's way here: by its connection, or, on HTTP/2, with its head.
fn wire(session: &Session) -> Option<Arc<Wire>> {
    let Some(session) = session.as_downstream().as_http1() else {
        return session.req_header().extensions.get().cloned();
    };
    let stream = session.stream();
    stream
        .as_any()
        .downcast_ref::<Connection>()
        .map(|connection| Arc::clone(connection.wire()))
}

fn arrival(
    head: &RequestHeader,
    told: &Told<'_>,
    wire: Arc<Wire>,
    trusted: bool,
    upgrade: bool,
    proxies: &[Cidr],
) -> Arrival {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let names = Names::new(told.request_id, told.trace_id, now);
    let texts = [
        Some(names.request_id.as_bytes()),
        request_id::root(names.trace.as_bytes()),
        Some(head.method.as_str().as_bytes()),
        Some(told.host().as_bytes()),
        Some(head.uri.path().as_bytes()),
        head.uri.query().map(str::as_bytes),
        told.user_agent.map(HeaderValue::as_bytes),
        told.referer.map(HeaderValue::as_bytes),
        wire.server_name(),
    ];
    Arrival {
        head: Head::copy(texts),
        names,
        now,
        protocol: protocol(head.version),
        client: if trusted {
            client(head, &wire, proxies)
        } else {
            wire.peer.ip()
        },
        trusted,
        secure: is_secure(head, &wire, trusted),
        upgrade,
        trailers: takes_trailers(head),
        grpc: is_grpc(head),
        wire,
    }
}

/// Whether the client's side is https: by what a trusted proxy says, else by our own connection.
fn is_secure(head: &RequestHeader, wire: &Wire, trusted: bool) -> bool {
    // Looking for a field costs more than the rest of this, and nearly nobody is trusted.
    let proto = trusted.then(|| head.headers.get(head::FORWARDED_PROTO));
    match proto.flatten() {
        Some(proto) => proto.as_bytes().eq_ignore_ascii_case(b"https"),
        None => wire.secured().is_some(),
    }
}

fn client(head: &RequestHeader, wire: &Wire, proxies: &[Cidr]) -> IpAddr {
    let forwarded = head.headers.get_all(head::FORWARDED_FOR);
    let lines = forwarded.iter().map(HeaderValue::as_bytes);
    identify::client(wire.peer.ip(), proxies, lines)
}

/// The host a request names.
pub(super) fn host(head: &RequestHeader) -> &str {
    let named = head.headers.get(header::HOST);
    named
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

/// A proxy's absolute target becomes the path a server expects (RFC 9112 section 3.2.2).
///
/// Hygiene has made sure that it is one of these, and that its authority is the host.
fn make_origin_form(head: &mut RequestHeader) -> Result<()> {
    let target = head.raw_path();
    if target.starts_with(b"/") || target == b"*" {
        return Ok(());
    }
    if !head.headers.contains_key(header::HOST) {
        let authority = authority(target).to_owned();
        head.insert_header("Host", authority)?;
    }
    head.set_uri(head.uri.clone());
    Ok(())
}

/// What stands between `http://` and the path.
fn authority(target: &[u8]) -> &str {
    let target = std::str::from_utf8(target).unwrap_or_default();
    let rest = target.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// A WebSocket, the one switch of protocols we carry: asked for by a GET without a body (RFC 6455 section 4.1).
fn asks_to_switch(head: &RequestHeader) -> bool {
    let value = |name| head.headers.get(name).map(HeaderValue::as_bytes);
    let mut connection = head.headers.get_all(header::CONNECTION).iter();
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && value(header::UPGRADE).is_some_and(|it| it.eq_ignore_ascii_case(b"websocket"))
        && connection.any(|line| names_upgrade(line.as_bytes()))
        && value(header::CONTENT_LENGTH).is_none_or(|length| length == b"0")
        && value(header::TRANSFER_ENCODING).is_none()
}

/// On HTTP/1.1 we carry no trailers, so there it does not matter who could take them.
fn takes_trailers(head: &RequestHeader) -> bool {
    head.version == Version::HTTP_2 && head.headers.contains_key(header::TE)
}

/// Whether the answer will end with trailers that say what became of the call, which HTTP/1.1 to the target would lose.
fn is_grpc(head: &RequestHeader) -> bool {
    // Asked first: looking for a field costs every request of HTTP/1.1 more than the rest of this.
    if head.version != Version::HTTP_2 {
        return false;
    }
    let kind = head.headers.get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn names_upgrade(connection: &[u8]) -> bool {
    connection
        .split(|byte| *byte == b',')
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Only `100-continue` is defined (RFC 9110 section 10.1.1).
fn expects_more_than_continue(headers: &HeaderMap) -> bool {
    let mut expected = headers.get_all(header::EXPECT).iter();
    expected.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
