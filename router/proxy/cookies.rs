//! Lets the crumbs of the route see cookies, and what may not fit the page it belongs to. Nothing here changes a request.

use config::cookie::sent_twice;
use config::decision::Reason;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use jar::{Origin, Place, without_port};
use pingora_http::ResponseHeader;

use super::exchange::{Arrival, Exchange};
use crate::crumbs::{Crumbs, Skew};
use crate::record::{Record, Text};
use crate::stamp;

impl Exchange {
    /// Looks for a cookie that the client sends more than once: a browser holds several of that name.
    pub(super) fn note_request(&mut self, headers: &HeaderMap) {
        let Some(crumbs) = self.crumbs() else { return };
        let cookies = headers.get_all(COOKIE);
        let name = sent_twice(|| cookies.iter().map(HeaderValue::as_bytes));
        self.cookie_dup = name.map(|name| crumbs.requests.sent_twice(name));
    }

    /// Looks at the cookies of an answer as the client will get them, but for ours.
    pub(super) fn note_answer(&self, response: &ResponseHeader) {
        let headers = &response.headers;
        // One look at all names costs less than a search for each, and most answers have neither.
        let is_told = |name: &HeaderName| *name == SET_COOKIE || *name == CACHE_CONTROL;
        if !headers.keys().any(is_told) {
            return;
        }
        let seen = self.crumbs().zip(self.journey.as_ref());
        let seen = seen.and_then(|(crumbs, journey)| crumbs.of(journey.serving()));
        let (Some(table), Some(arrival)) = (seen, &self.arrival) else {
            return;
        };
        let set = headers.get_all(SET_COOKIE);
        table.set(|| set.iter().map(HeaderValue::as_bytes), &place(arrival));
        let cached = headers.get_all(CACHE_CONTROL).iter();
        if self.is_placed() && stamp::is_public(cached.map(HeaderValue::as_bytes)) {
            table.public(text(arrival, Text::Path));
        }
    }

    /// Counts a part of a page that may not fit the page.
    pub(super) fn note_skew(&self, record: &Record) {
        let choice = record.decision.and_then(|decision| decision.choice);
        let (Some(crumbs), Some(choice)) = (self.crumbs(), choice) else {
            return;
        };
        let (host, referer) = (record.head.get(Text::Host), record.head.get(Text::Referer));
        let skew = host.zip(referer);
        let skew = skew.and_then(|(host, referer)| Skew::of(&choice, host, referer));
        if let Some(skew) = skew {
            crumbs.requests.skewed(skew);
        }
    }

    fn crumbs(&self) -> Option<&Crumbs> {
        self.hold.crumbs(self.decision.as_ref()?.route?)
    }

    /// Whether another client's answer to the same request may be that of another pool.
    fn is_placed(&self) -> bool {
        let reason = self.choice().map(|choice| choice.reason);
        matches!(reason, Some(Reason::Weight | Reason::Pin))
    }
}

fn place(arrival: &Arrival) -> Place<'_> {
    let origin = Origin {
        host: without_port(arrival.host()),
        path: text(arrival, Text::Path),
        secure: arrival.secure,
    };
    Place {
        origin,
        now: i64::try_from(arrival.now).unwrap_or(i64::MAX),
    }
}

fn text(arrival: &Arrival, text: Text) -> &str {
    let text = arrival.head.get(text).unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}
