//! One record as a line of an Application Load Balancer's access log: 34 fields between spaces, for the tables and
//! parsers that read those.
//!
//! Names stand in place of ARNs. What only AWS has (certificates' ARNs, ids of connections) is `-`.

use std::net::SocketAddr;
use std::time::Duration;

use config::action::Action;
use config::redirect::Asked;
use config::rewrite::Rewritten;
use config::snapshot::{Route, Snapshot};

use super::text;
use crate::record::{Cause, Record, Text, Upstream};

/// Room for a usual line.
const USUAL: usize = 768;

/// A longer `User-Agent` is cut, as an ALB cuts it.
const USER_AGENT: usize = 8 << 10;

/// The highest priority that a rule of an ALB can have.
const LAST_PRIORITY: u64 = 50_000;

/// The line of `record`, decided by `snapshot`, with its line feed.
pub(super) fn line(record: &Record, snapshot: &Snapshot) -> Vec<u8> {
    let mut line = Line(Vec::with_capacity(USUAL));
    let route = record.decision.and_then(|decision| decision.route);
    let route = route.map(|id| snapshot.route(id));
    line.connection(record, snapshot);
    line.times(record);
    line.outcome(record);
    line.request(record);
    line.choice(record, snapshot);
    line.action(record, route);
    line.targets(record);
    line.class(record);
    line.transform(record);
    line.word(|out| text::ip(out, record.local.ip()));
    line.0.push(b'\n');
    line.0
}

struct Line(Vec<u8>);

impl Line {
    /// Fields 1 to 5: type, time, load balancer, client, target.
    fn connection(&mut self, record: &Record, snapshot: &Snapshot) {
        self.raw(kind(record).as_bytes());
        self.word(|out| text::time(out, record.started + record.duration));
        let listener = usize::from(record.listener.0);
        let listener = snapshot.structure.listeners.get(listener);
        self.raw(b" app/kanaria/");
        self.raw(listener.map_or("-", |listener| &listener.name).as_bytes());
        // Where proxies in front tell the client, its port is not known.
        let client = SocketAddr::new(record.client_ip, record.client_port.unwrap_or(0));
        self.word(|out| text::socket(out, client));
        self.known(record.upstream.as_ref(), |out, upstream| {
            text::socket(out, upstream.address);
        });
    }

    /// Fields 6 to 8. An answer's head is passed on as it comes, so the third takes no time.
    fn times(&mut self, record: &Record) {
        let ttfb = record.upstream.and_then(|upstream| upstream.ttfb);
        self.seconds(record.dispatched);
        self.seconds(ttfb);
        self.seconds(ttfb.map(|_| Duration::ZERO));
    }

    /// Fields 9 to 12: statuses and bytes.
    fn outcome(&mut self, record: &Record) {
        let sent = Some(record.status).filter(|status| *status != 0);
        let answered = record.upstream.and_then(|upstream| upstream.status);
        for status in [sent, answered] {
            self.known(status, |out, status| text::number(out, status.into()));
        }
        for bytes in [record.bytes_in, record.bytes_out] {
            self.word(|out| text::number(out, bytes));
        }
    }

    /// Fields 13 to 16: request, user agent, TLS.
    fn request(&mut self, record: &Record) {
        let head = |name| record.head.get(name);
        self.raw(b" \"");
        escape(&mut self.0, head(Text::Method).unwrap_or(b"-"));
        self.raw(b" ");
        self.url(record);
        self.raw(b" ");
        self.raw(match record.protocol {
            Some("HTTP/2") => b"HTTP/2.0",
            Some(protocol) => protocol.as_bytes(),
            None => b"-",
        });
        self.raw(b"\"");
        let agent = head(Text::UserAgent);
        self.quoted(agent.map(|agent| &agent[..agent.len().min(USER_AGENT)]));
        for value in [
            record.tls.map(|tls| tls.cipher),
            record.tls.map(|tls| tls.version),
        ] {
            let value = value.filter(|value| !value.is_empty());
            self.known(value, |out, value| out.extend_from_slice(value.as_bytes()));
        }
    }

    /// What was asked for, with the port: the one in `Host`, else the one it came to.
    fn url(&mut self, record: &Record) {
        let head = |name| record.head.get(name);
        self.raw(if record.tls.is_some() {
            b"https://"
        } else {
            b"http://"
        });
        let host = head(Text::Host).filter(|host| !host.is_empty());
        let host = host.unwrap_or(b"-");
        escape(&mut self.0, host);
        if !has_port(host) {
            self.raw(b":");
            text::number(&mut self.0, record.local.port().into());
        }
        escape(&mut self.0, head(Text::Path).unwrap_or(b"-"));
        if let Some(query) = head(Text::Query) {
            self.raw(b"?");
            escape(&mut self.0, query);
        }
    }

    /// Fields 17 to 22: pool, trace, host of the handshake, certificate, place of the route, begin.
    fn choice(&mut self, record: &Record, snapshot: &Snapshot) {
        let choice = record.decision.and_then(|decision| decision.choice);
        self.known(choice, |out, choice| {
            out.extend_from_slice(snapshot.pool(choice.pool).name.as_bytes());
        });
        match record.head.get(Text::TraceId) {
            Some(root) => {
                self.raw(b" \"Root=");
                escape(&mut self.0, root);
                self.raw(b"\"");
            }
            None => self.raw(b" \"-\""),
        }
        self.quoted(record.head.get(Text::ServerName));
        self.raw(b" \"-\"");
        self.known(record.decision, |out, decision| {
            let place = decision.route.map_or(0, |id| u64::from(id.0) + 1);
            text::number(out, place.min(LAST_PRIORITY));
        });
        self.word(|out| text::time(out, record.started));
    }

    /// Fields 23 to 25: what was done, where a redirect leads, what went wrong.
    fn action(&mut self, record: &Record, route: Option<&Route>) {
        let action = route.map(|route| match &route.action {
            Action::Forward(_) => "forward",
            Action::Redirect(_) => "redirect",
            Action::Respond(_) => "fixed-response",
        });
        self.quoted(action.map(str::as_bytes));
        let location = route.and_then(|route| location(record, &route.action));
        self.quoted(location.as_deref().map(str::as_bytes));
        self.quoted(record.error.map(Cause::as_str).map(str::as_bytes));
    }

    /// Fields 26 and 27: the target and its status, as lists.
    fn targets(&mut self, record: &Record) {
        let Some(Upstream {
            address, status, ..
        }) = record.upstream
        else {
            return self.raw(b" \"-\" \"-\"");
        };
        self.raw(b" \"");
        text::socket(&mut self.0, address);
        self.raw(b"\" \"");
        match status {
            Some(status) => text::number(&mut self.0, status.into()),
            None => self.raw(b"-"),
        }
        self.raw(b"\"");
    }

    /// Fields 28 to 30: class of the head and its reason, and the id of the connection.
    fn class(&mut self, record: &Record) {
        let desync = record.traits.desync;
        let class = desync.map(|desync| desync.class().as_alb());
        self.quoted(class.map(str::as_bytes));
        self.quoted(desync.map(|desync| desync.as_str().as_bytes()));
        self.raw(b" -");
    }

    /// Fields 31 to 33: host and target after a rewrite, and what became of it.
    fn transform(&mut self, record: &Record) {
        let changes = |made: &&Rewritten| made.host.is_some() || made.target.is_some();
        let made = record.rewritten.as_ref().filter(changes);
        let host = made.and_then(|made| made.host.as_ref());
        let target = made.and_then(|made| made.target.as_ref());
        self.quoted(host.map(|host| host.as_bytes()));
        self.quoted(target.map(|target| target.as_str().as_bytes()));
        let failed = record.error == Some(Cause::RewriteFailed);
        let status = match (failed, made) {
            (true, _) => Some("TransformReplacementError"),
            (false, Some(_)) => Some("TransformSuccess"),
            (false, None) => None,
        };
        self.quoted(status.map(str::as_bytes));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn word(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(b' ');
        write(&mut self.0);
    }

    fn known<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        self.word(|out| match value {
            Some(value) => write(out, value),
            None => out.push(b'-'),
        });
    }

    /// -1 for what did not happen.
    fn seconds(&mut self, duration: Option<Duration>) {
        self.word(|out| match duration {
            Some(duration) => text::millis(out, duration),
            None => out.extend_from_slice(b"-1"),
        });
    }

    fn quoted(&mut self, value: Option<&[u8]>) {
        self.raw(b" \"");
        escape(&mut self.0, value.unwrap_or(b"-"));
        self.raw(b"\"");
    }
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    text::escape_hex(out, text, |byte| byte == b'"');
}

/// Whether a host, as sent, ends in a port.
fn has_port(host: &[u8]) -> bool {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let n_digits = digits.count();
    n_digits > 0 && host[..host.len() - n_digits].ends_with(b":")
}

/// What an ALB calls the kind of a request.
fn kind(record: &Record) -> &'static str {
    let secure = record.tls.is_some();
    match (record.status, record.protocol) {
        (101, _) if secure => "wss",
        (101, _) => "ws",
        (_, Some("HTTP/2")) if record.grpc => "grpcs",
        (_, Some("HTTP/2")) => "h2",
        _ if secure => "https",
        _ => "http",
    }
}

/// Where a redirect led. Made anew, because only this line needs it.
fn location(record: &Record, action: &Action) -> Option<String> {
    let Action::Redirect(redirect) = action else {
        return None;
    };
    if redirect.status != record.status {
        return None;
    }
    let text = |name| std::str::from_utf8(record.head.get(name).unwrap_or_default()).ok();
    let asked = Asked {
        secure: record.secure,
        authority: text(Text::Host)?,
        port: None,
        path: text(Text::Path)?,
        query: text(Text::Query)?,
    };
    redirect.location(&asked).ok()
}

#[cfg(test)]
mod tests;
