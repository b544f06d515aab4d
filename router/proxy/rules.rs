//! Carrying out the file's rules on heads: fields, cookies, addresses. What the rules are, and what they make of bytes,
//! is told in `config`.

use config::fields::{Edit, Fields};
use config::snapshot::Pool;
use http::header::{COOKIE, HOST, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use pingora_error::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::arrive::host;
use super::exchange::{Arrival, Exchange};
use super::head::{change_cookies, value};

impl Exchange {
    /// Works out the address for the target, by the route that took the request.
    pub(super) fn rewrite(&mut self, head: &RequestHeader) {
        let forward = self.route().and_then(|route| route.forward());
        let rewrite = forward.and_then(|forward| forward.rewrite.as_ref());
        let made = rewrite.map(|it| it.apply(host(head), head.uri.path(), head.uri.query()));
        self.rewritten = made;
    }

    /// The host that the target is told.
    pub(super) fn host_for_target(&self) -> &str {
        let made = self.rewritten.as_ref().and_then(|made| made.as_ref().ok());
        let named = made.and_then(|made| made.host.as_ref()?.to_str().ok());
        let sent = || self.arrival.as_ref().map(Arrival::host);
        named.or_else(sent).unwrap_or_default()
    }

    /// Fields by the rules of the route, then of the pool.
    pub(super) fn edit_request_fields(&self, headers: &mut HeaderMap) {
        if let Some(route) = self.route() {
            route.headers.request.apply(headers);
        }
        if let Some(pool) = self.serving_pool() {
            pool.headers.request.apply(headers);
        }
    }

    /// Cookies by the rules of the pool, and the address.
    pub(super) fn edit_request(&self, parts: &mut Parts) -> Result<()> {
        if let Some(pool) = self.serving_pool()
            && pool.cookies.changes_requests()
        {
            change_cookies(&mut parts.headers, |line| pool.cookies.request_line(line))?;
        }
        if let Some(Ok(made)) = &self.rewritten {
            if let Some(target) = &made.target {
                parts.uri = Uri::from(target.clone());
            }
            if let Some(host) = &made.host {
                parts.headers.insert(HOST, host.clone());
            }
        }
        Ok(())
    }

    /// A target's answer: by the rules of its pool, then of the route.
    pub(super) fn edit_answer(
        &self,
        session: &Session,
        response: &mut ResponseHeader,
    ) -> Result<()> {
        if let Some(pool) = self.serving_pool() {
            edit(response, &pool.headers.response)?;
            if pool.cookies.changes_answers() {
                set_cookies(pool, &session.req_header().headers, response)?;
            }
        }
        self.edit_own(response)
    }

    /// Any answer: by the rules of the route.
    pub(super) fn edit_own(&self, response: &mut ResponseHeader) -> Result<()> {
        match self.route() {
            Some(route) => edit(response, &route.headers.response),
            None => Ok(()),
        }
    }

    fn serving_pool(&self) -> Option<&Pool> {
        let journey = self.journey.as_ref()?;
        Some(self.hold.snapshot().pool(journey.serving()))
    }
}

fn edit(response: &mut ResponseHeader, fields: &Fields) -> Result<()> {
    for edit in fields.edits() {
        match edit {
            Edit::Add(name, value) => drop(response.append_header(name.clone(), value.clone())?),
            Edit::Remove(name) => drop(response.remove_header(name)),
            Edit::Set(name, value) => response.insert_header(name.clone(), value.clone())?,
        }
    }
    Ok(())
}

fn set_cookies(pool: &Pool, sent: &HeaderMap, response: &mut ResponseHeader) -> Result<()> {
    let sent = sent.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let sent: Vec<_> = sent.collect();
    let set = response.headers.get_all(SET_COOKIE).iter();
    let lines = pool
        .cookies
        .answer_lines(&sent, set.map(HeaderValue::as_bytes));
    let lines = lines.into_iter().map(|line| value(line.into_owned()));
    let lines: Vec<_> = lines.collect::<Result<_>>()?;
    response.remove_header(&SET_COOKIE);
    for line in lines {
        response.append_header(SET_COOKIE, line)?;
    }
    Ok(())
}
