//! Toward the client: our marks on a target's answer, and answers of our own.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::exchange::Exchange;
use crate::record::Cause;
use crate::respond::{self, Page};
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
        self.stamp(response)
    }

    /// Answers in place of a target.
    pub(super) async fn refuse(&mut self, session: &mut Session, cause: Cause) -> Result<()> {
        self.cause = Some(cause);
        self.hold.sent();
        let status =
            StatusCode::from_u16(cause.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let request_id = self
            .arrival
            .as_ref()
            .and_then(|arrival| arrival.names.request_id.to_str().ok())
            .unwrap_or_default();
        let accept = session
            .req_header()
            .headers
            .get(header::ACCEPT)
            .map(http::HeaderValue::as_bytes);
        let Page { content_type, body } = respond::page(status, request_id, accept);
        let mut response = ResponseHeader::build(status, Some(8))?;
        response.insert_header("Server", "kanaria")?;
        response.insert_header("Content-Type", content_type)?;
        response.insert_header("Content-Length", body.len().to_string())?;
        response.insert_header("X-Request-Id", request_id)?;
        self.stamp(&mut response)?;
        let bodiless = session.req_header().method == Method::HEAD;
        session
            .write_response_header(Box::new(response), bodiless)
            .await?;
        if bodiless {
            // On HTTP/2 only this says that it is whole.
            return session.as_downstream_mut().finish_body().await;
        }
        let body = Some(Bytes::from(body));
        session.write_response_body(body, true).await
    }

    /// The cookie of a client that has none, and where the request went for a flagged one that may know.
    fn stamp(&self, response: &mut ResponseHeader) -> Result<()> {
        let (Some(choice), Some(journey)) = (self.choice(), &self.journey) else {
            return Ok(());
        };
        let snapshot = self.hold.snapshot();
        let route = snapshot.route(choice.route);
        if let Some(id) = choice.new_id
            && (route.settings.sticky.on_cacheable || !is_shared(response))
        {
            let secure = self.arrival.as_ref().is_some_and(|arrival| arrival.secure);
            // Appended: the application's own Set-Cookie lines stay.
            response.append_header(
                "Set-Cookie",
                stamp::set_cookie(&route.settings.sticky, id, secure),
            )?;
        }
        let flag = choice
            .flag
            .and_then(|flag| route.settings.flags.get(usize::from(flag.0)));
        if flag.is_some_and(|flag| flag.reveal) {
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
            .map(http::HeaderValue::as_bytes)
            .collect(),
        expires: headers
            .get(header::EXPIRES)
            .map(http::HeaderValue::as_bytes),
        surrogate: headers.contains_key("surrogate-control")
            || headers.contains_key("cdn-cache-control"),
    };
    stamp::is_shared(&freshness, SystemTime::now())
}
