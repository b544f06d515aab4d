//! Toward the client: our marks on a target's answer, and answers of our own.

use std::time::SystemTime;

use config::decision::Choice;
use config::flag::Flag;
use config::redirect::Asked;
use config::snapshot::Route;
use http::{HeaderValue, Method, StatusCode, header};
use pingora_error::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::arrive::host;
use super::exchange::Exchange;
use super::head::FORWARDED_PORT;
use crate::action::{self, Reader, Reply};
use crate::record::Cause;
use crate::stamp::{self, Freshness};

impl Exchange {
    /// Marks a target's answer. Other 1xx than a switch of protocols pass as they are.
    pub(super) fn stamp_response(
        &mut self,
        session: &mut Session,
        response: &mut ResponseHeader,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            self.switch(session);
        } else if response.status.is_informational() {
            return Ok(());
        }
        if session.is_process_shutting_down() {
            session.set_keepalive(None);
        }
        self.begun = Some(response.status.as_u16());
        self.edit_answer(session, response)?;
        self.note_answer(response);
        self.stamp(response)
    }

    /// Answers a request that no pool was chosen for: as its route says, or that there is none.
    pub(super) async fn answer(&mut self, session: &mut Session) -> Result<()> {
        match self.own_reply(session.req_header()) {
            Ok(reply) => self.send(session, reply).await,
            Err(cause) => self.refuse(session, cause).await,
        }
    }

    /// Answers in place of a target.
    pub(super) async fn refuse(&mut self, session: &mut Session, cause: Cause) -> Result<()> {
        self.cause = Some(cause);
        let status =
            StatusCode::from_u16(cause.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = action::page(status, self.reader(session.req_header()));
        if cause == Cause::TooManyRequests {
            let second = HeaderValue::from_static("1");
            reply.fields.push((header::RETRY_AFTER, second));
        }
        self.send(session, reply).await
    }

    fn own_reply(&self, head: &RequestHeader) -> std::result::Result<Reply, Cause> {
        if self.decision.is_some_and(|decision| decision.ambiguous) {
            return Err(Cause::AmbiguousPath);
        }
        let (route, arrival) = self
            .route()
            .zip(self.arrival.as_ref())
            .ok_or(Cause::NoRoute)?;
        let told = head.headers.get(FORWARDED_PORT);
        let told = told.filter(|_| arrival.trusted);
        let asked = Asked {
            secure: arrival.secure,
            authority: host(head),
            port: told.and_then(|port| port.to_str().ok()?.parse().ok()),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
        };
        let reply = action::reply(&route.action, &asked, self.reader(head))?;
        let favicon = self.flag().filter(|_| self.shows_flag);
        if let Some(favicon) = favicon.and_then(|flag| flag.favicon.as_ref()) {
            return Ok(action::picture(favicon));
        }
        // A route with pools is here only when its request cannot be sent to one.
        reply.ok_or(Cause::RewriteFailed)
    }

    fn reader<'a>(&'a self, head: &'a RequestHeader) -> Reader<'a> {
        let accept = head.headers.get(header::ACCEPT);
        Reader {
            request_id: self.request_id(),
            accept: accept.map(HeaderValue::as_bytes),
        }
    }

    fn request_id(&self) -> &str {
        let arrival = self.arrival.as_ref();
        arrival
            .and_then(|arrival| arrival.names.request_id.to_str().ok())
            .unwrap_or_default()
    }

    async fn send(&mut self, session: &mut Session, reply: Reply) -> Result<()> {
        self.hold.sent();
        let mut response = ResponseHeader::build(reply.status, Some(8))?;
        response.insert_header("Server", "kanaria")?;
        for (name, value) in reply.fields {
            response.insert_header(name, value)?;
        }
        if reply.status != StatusCode::NO_CONTENT {
            response.insert_header("Content-Length", reply.body.len())?;
        }
        response.insert_header("X-Request-Id", self.request_id())?;
        self.edit_own(&mut response)?;
        self.stamp(&mut response)?;
        let bodiless = session.req_header().method == Method::HEAD || reply.body.is_empty();
        session
            .write_response_header(Box::new(response), bodiless)
            .await?;
        if bodiless {
            // On HTTP/2 only this says that it is whole.
            return session.as_downstream_mut().finish_body().await;
        }
        session.write_response_body(Some(reply.body), true).await
    }

    /// The cookie of a client that has none, and where the request went for a flagged one that may know.
    fn stamp(&self, response: &mut ResponseHeader) -> Result<()> {
        let (Some(choice), Some(journey)) = (self.choice(), &self.journey) else {
            return Ok(());
        };
        let Some(route) = self.route() else {
            return Ok(());
        };
        let snapshot = self.hold.snapshot();
        if (choice.new_id.is_some() || choice.new_pin)
            && (route.settings.sticky.on_cacheable || !is_shared(response))
        {
            // Appended: the application's own Set-Cookie lines stay.
            for line in self.cookies(route, choice) {
                response.append_header("Set-Cookie", line)?;
            }
        }
        let expired = choice.expired.zip(route.forward());
        let expired = expired.and_then(|(id, forward)| forward.flags.get(usize::from(id.0)));
        if let Some(name) = expired.and_then(Flag::cookie) {
            response.append_header("Set-Cookie", stamp::clear_cookie(name))?;
        }
        if self.flag().is_some_and(|flag| flag.reveal) {
            let pool = &snapshot.pool(journey.serving()).name;
            let reason = journey.stood_in().unwrap_or(choice.reason);
            let value = format!(
                "route={}; pool={pool}; reason={}",
                route.name,
                reason.as_str()
            );
            response.insert_header("kanaria-decision", value)?;
        }
        Ok(())
    }

    /// Our cookies for the client: its id, its pin.
    fn cookies(&self, route: &Route, choice: &Choice) -> impl Iterator<Item = String> {
        let arrival = self.arrival.as_ref();
        let secure = arrival.is_some_and(|arrival| arrival.secure);
        let sticky = &route.settings.sticky;
        let id = choice
            .new_id
            .map(|id| stamp::set_cookie(sticky, id, secure));
        let forward = route.forward().filter(|_| choice.new_pin);
        let pin = forward.zip(arrival).and_then(|(forward, arrival)| {
            let snapshot = self.hold.snapshot();
            let value = snapshot.pin_value(forward, choice.pool, arrival.now);
            let pinning = forward.pinning.as_ref()?;
            Some(stamp::set_pin(sticky, pinning, &value, secure))
        });
        id.into_iter().chain(pin)
    }

    /// From here on the connection is the client's and the target's; only silence in both directions ends it.
    fn switch(&self, session: &mut Session) {
        if let (Some(arrival), Some(journey)) = (&self.arrival, &self.journey) {
            let pool = self.hold.snapshot().pool(journey.serving());
            let idle = pool.settings.upgraded_idle.0;
            arrival.wire.switch(idle);
            session.set_read_timeout(None);
            session.set_write_timeout(Some(idle));
        }
    }
}

fn is_shared(response: &ResponseHeader) -> bool {
    let headers = &response.headers;
    let freshness = Freshness {
        cache_control: headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect(),
        expires: headers.get(header::EXPIRES).map(HeaderValue::as_bytes),
        surrogate: headers.contains_key("surrogate-control")
            || headers.contains_key("cdn-cache-control"),
    };
    stamp::is_shared(&freshness, SystemTime::now())
}
