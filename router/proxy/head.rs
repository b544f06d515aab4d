//! The head for a target: every field as the client sent it, but for the documented ones. Nothing here picks a target.
//!
//! Names of fields leave in lower case (docs/decisions/0006): a head that keeps the case of names is two maps, and
//! every field of ours costs a parse and two entries.

use std::time::{Duration, Instant};

use bytes::Bytes;
use config::model::HostHeader;
use config::shadow::MARK;
use http::header::{self, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora_error::{ErrorType, OrErr, Result};
use pingora_http::RequestHeader;

use super::exchange::{Arrival, Exchange};
use crate::forwarded::{self, Change};
use crate::stamp;
use crate::tls::told;

pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const POOL: HeaderName = HeaderName::from_static("kanaria-pool");
const REASON: HeaderName = HeaderName::from_static("kanaria-reason");

/// Fields that a target believes, because they are ours.
static OURS: [HeaderName; 9] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_PORT,
    FORWARDED_HOST,
    REQUEST_ID,
    TRACE_ID,
    POOL,
    REASON,
    MARK,
];

/// Fields that may come on top of the client's.
const MARKS: usize = 10;

impl Exchange {
    /// Makes the head for the target out of `request`, of which pingora has removed what belongs to the client's hop.
    pub(super) fn stamp_request(&mut self, request: &mut RequestHeader) -> Result<()> {
        let now = self.moment_of_sending();
        if let Some(arrival) = &self.arrival {
            let mut parts = into_parts(request);
            parts.headers.reserve(MARKS);
            // First of all: it looks at every name, and here are the fewest.
            self.tell_tls(arrival, &mut parts.headers);
            if arrival.wire.has_invalid_header() {
                self.drop_twins(&mut parts.headers);
            }
            self.set_forwarded(arrival, &mut parts.headers)?;
            self.edit_request_fields(&mut parts.headers);
            self.set_marks(arrival, &mut parts.headers);
            self.tell_trace(&mut parts.headers);
            self.strip_cookie(&mut parts.headers)?;
            self.edit_request(&mut parts)?;
            if let Some(gate) = &self.gate {
                gate.close();
            }
            let http2 = parts.version == Version::HTTP_2;
            if http2 && arrival.trailers {
                // Ours to say anew for this hop; servers of gRPC insist on it.
                let trailers = HeaderValue::from_static("trailers");
                parts.headers.insert(header::TE, trailers);
            }
            *request = RequestHeader::from(parts);
            if http2 || self.wire_times() {
                let silence = self.response_timeout().unwrap_or(Duration::ZERO);
                arrival.wire.limit_quiet(now, silence);
            }
        }
        self.sent = Some(now);
        self.mirror(request);
        self.hold.sent();
        Ok(())
    }

    /// A server that makes variables of names takes `X_Real_Ip` for `X-Real-Ip`: what could be taken for ours goes.
    fn drop_twins(&self, headers: &mut HeaderMap) {
        let partition = self.hold.snapshot().partition_header();
        let is_twin = |name: &HeaderName| {
            let mut ours = OURS.iter().chain([partition]);
            ours.any(|ours| stamp::is_twin(name.as_str(), ours.as_str()))
        };
        let twins: Vec<HeaderName> = headers
            .keys()
            .filter(|name| is_twin(name))
            .cloned()
            .collect();
        for name in twins {
            headers.remove(name);
        }
    }

    /// A kept connection is found in no time, so the moment of the pick will do: a look at the clock costs more than that.
    fn moment_of_sending(&self) -> Instant {
        let is_kept = self.upstream.is_some_and(|it| it.connect.is_none());
        let picked = self.connecting.filter(|_| is_kept);
        picked.unwrap_or_else(Instant::now)
    }

    fn set_forwarded(&self, arrival: &Arrival, headers: &mut HeaderMap) -> Result<()> {
        let modes = &self.hold.snapshot().structure.server.forwarded;
        let Arrival { wire, trusted, .. } = arrival;
        let proto = HeaderValue::from_static(if arrival.secure { "https" } else { "http" });
        let host = headers.get(header::HOST).cloned();
        let host = host.unwrap_or(HeaderValue::from_static(""));
        forward(headers, FORWARDED_FOR, &wire.peer_value, |given, own| {
            forwarded::client(modes.client, *trusted, given, own)
        })?;
        for (name, own, mode) in [
            (FORWARDED_PROTO, &proto, modes.proto),
            (FORWARDED_PORT, &wire.port_value, modes.port),
            (FORWARDED_HOST, &host, modes.host),
        ] {
            forward(headers, name, own, |given, own| {
                forwarded::told(mode, *trusted, given, own)
            })?;
        }
        let rule = self.hold.snapshot().structure.server.host_header;
        let made = match rule {
            HostHeader::Alb => forwarded::alb_host(host.as_bytes(), wire.port_value.as_bytes()),
            HostHeader::Preserve => None,
        };
        if let Some(made) = made {
            headers.insert(header::HOST, value(made)?);
        }
        Ok(())
    }

    /// What the target is told of the client's TLS. A trusted proxy may say it of its own client; nobody else may.
    fn tell_tls(&self, arrival: &Arrival, headers: &mut HeaderMap) {
        let secured = arrival.wire.secured();
        let client = secured.and_then(|secured| secured.client());
        if !arrival.trusted || client.is_some() {
            remove_told(headers);
        }
        if let Some(client) = client {
            for (name, value) in told::CERTIFICATE.into_iter().zip(&client.values) {
                headers.insert(name, value.clone());
            }
        }
        let asked = self.hold.snapshot().structure.server.forwarded.tls;
        if let Some(secured) = secured.filter(|_| asked) {
            for (name, own) in [
                (told::VERSION, secured.version),
                (told::CIPHER, secured.cipher),
            ] {
                let own = HeaderValue::from_static(own);
                headers.entry(name).or_insert(own);
            }
        }
    }

    fn set_marks(&self, arrival: &Arrival, headers: &mut HeaderMap) {
        let snapshot = self.hold.snapshot();
        headers.insert(REQUEST_ID, arrival.names.request_id.clone());
        headers.insert(TRACE_ID, arrival.names.trace.clone());
        let (Some(decision), Some(choice), Some(journey)) =
            (&self.decision, self.choice(), &self.journey)
        else {
            return;
        };
        let partition = snapshot.partition_value(decision.partition).clone();
        headers.insert(snapshot.partition_header().clone(), partition);
        headers.insert(POOL, snapshot.pool(journey.serving()).value.clone());
        let reason = journey.stood_in().unwrap_or(choice.reason);
        headers.insert(REASON, HeaderValue::from_static(reason.as_str()));
    }

    /// Our cookie is nobody else's business; all other cookies stay byte for byte.
    fn strip_cookie(&self, headers: &mut HeaderMap) -> Result<()> {
        let Some(route) = self.route() else {
            return Ok(());
        };
        let name = route.settings.sticky.cookie.as_str();
        change_cookies(headers, |line| config::cookie::without(line, name))?;
        match route.forward().and_then(|forward| forward.pinning.as_ref()) {
            Some(pinning) => change_cookies(headers, |line| {
                config::cookie::without(line, &pinning.cookie)
            }),
            None => Ok(()),
        }
    }
}

/// Puts what `change` makes of a `Cookie` line in its place; a line of which nothing is left goes.
pub(super) fn change_cookies(
    headers: &mut HeaderMap,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<()> {
    let Entry::Occupied(mut lines) = headers.entry(header::COOKIE) else {
        return Ok(());
    };
    let mut emptied = false;
    for line in lines.iter_mut() {
        if let Some(kept) = change(line.as_bytes()) {
            emptied |= kept.is_empty();
            *line = value(kept)?;
        }
    }
    if emptied {
        let (_, all) = lines.remove_entry_mult();
        let kept: Vec<_> = all.filter(|line| !line.is_empty()).collect();
        for line in kept {
            headers.append(header::COOKIE, line);
        }
    }
    Ok(())
}

/// Takes the fields out of `head`; the case of their names is forgotten.
///
/// The target survives in the URI: hygiene and `make_origin_form` have left no form that does not.
pub(super) fn into_parts(head: &mut RequestHeader) -> Parts {
    let (empty, ()) = http::Request::new(()).into_parts();
    std::mem::replace(head, RequestHeader::from(empty)).into()
}

/// Nearly no request has one of these, so they are looked for before anything is done about them.
fn remove_told(headers: &mut HeaderMap) {
    let is_told = |name: &&HeaderName| told::is_told(name.as_str());
    if !headers.keys().any(|name| is_told(&name)) {
        return;
    }
    let names: Vec<HeaderName> = headers.keys().filter(is_told).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Does to the field `name` what `policy` says of its lines and of our `own` value.
fn forward(
    headers: &mut HeaderMap,
    name: HeaderName,
    own: &HeaderValue,
    policy: impl FnOnce(&mut dyn Iterator<Item = &[u8]>, &[u8]) -> Change,
) -> Result<()> {
    let field = headers.entry(name);
    let change = match &field {
        Entry::Occupied(lines) => {
            policy(&mut lines.iter().map(HeaderValue::as_bytes), own.as_bytes())
        }
        Entry::Vacant(_) => policy(&mut std::iter::empty(), own.as_bytes()),
    };
    let value = match change {
        Change::Keep => return Ok(()),
        Change::Own => Some(own.clone()),
        Change::List(list) => Some(value(list)?),
        Change::Remove => None,
    };
    match (field, value) {
        (Entry::Occupied(mut lines), Some(value)) => drop(lines.insert(value)),
        (Entry::Occupied(lines), None) => drop(lines.remove()),
        (Entry::Vacant(field), Some(value)) => drop(field.insert(value)),
        (Entry::Vacant(_), None) => {}
    }
    Ok(())
}

/// Parts of values that have passed as values are one.
pub(super) fn value(bytes: Vec<u8>) -> Result<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(bytes))
        .or_err(ErrorType::InternalError, "a field made of fields")
}
