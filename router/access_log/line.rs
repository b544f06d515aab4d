//! One record as one line of JSON or LTSV: every field in one order, and a word for what is not known.
//!
//! Values of Cookie and Authorization are not in the record, so they cannot get here.

use std::marker::PhantomData;

use config::decision::{Reason, Sticky};
use config::snapshot::Snapshot;

use super::form::{Form, Json, Key, Ltsv, key};
use super::text;
use crate::record::{Cause, Record, Text};

/// Version of the line's form: fields may be added to a version, never renamed or removed.
const VERSION: u64 = 1;

/// Room for a usual line, so that it is allocated once.
const USUAL: usize = 1024;

/// The line of `record`, decided by `snapshot`, as a JSON object, with its line feed.
pub(crate) fn json(record: &Record, snapshot: &Snapshot) -> Vec<u8> {
    line::<Json>(record, snapshot)
}

/// The same fields as labeled values between tabs.
pub(crate) fn ltsv(record: &Record, snapshot: &Snapshot) -> Vec<u8> {
    line::<Ltsv>(record, snapshot)
}

fn line<F: Form>(record: &Record, snapshot: &Snapshot) -> Vec<u8> {
    let mut line = Line::<F>(Vec::with_capacity(USUAL), PhantomData);
    line.request(record, snapshot);
    line.outcome(record);
    line.decision(record, snapshot);
    line.rest(record);
    line.0.extend_from_slice(F::END);
    line.0
}

struct Line<F>(Vec<u8>, PhantomData<F>);

impl<F: Form> Line<F> {
    fn request(&mut self, record: &Record, snapshot: &Snapshot) {
        let listeners = &snapshot.structure.listeners;
        let listener = listeners.get(usize::from(record.listener.0));
        self.0.extend_from_slice(F::TIME);
        text::time(&mut self.0, record.started);
        self.quote();
        self.number(key!("log_version"), Some(VERSION));
        self.head(key!("request_id"), record, Text::RequestId);
        self.head(key!("trace_id"), record, Text::TraceId);
        self.string(key!("listener"), listener.map(|listener| &*listener.name));
        self.key(key!("client_ip"));
        self.quote();
        text::ip(&mut self.0, record.client_ip);
        self.quote();
        self.number(key!("client_port"), record.client_port.map(u64::from));
        self.string(key!("protocol"), record.protocol);
        self.string(key!("tls_version"), record.tls.map(|tls| tls.version));
        self.string(key!("tls_cipher"), record.tls.map(|tls| tls.cipher));
        self.head(key!("method"), record, Text::Method);
        let scheme = if record.secure { "https" } else { "http" };
        self.string(key!("scheme"), Some(scheme));
        self.head(key!("host"), record, Text::Host);
        self.head(key!("path"), record, Text::Path);
        self.head(key!("query"), record, Text::Query);
    }

    fn outcome(&mut self, record: &Record) {
        let upstream = record.upstream.as_ref();
        let sent = (record.status != 0).then_some(u64::from(record.status));
        self.number(key!("status"), sent);
        self.string(key!("error"), record.error.map(Cause::as_str));
        self.number(key!("bytes_in"), Some(record.bytes_in));
        self.number(key!("bytes_out"), Some(record.bytes_out));
        self.seconds(key!("duration_s"), Some(record.duration));
        self.seconds(key!("upstream_connect_s"), upstream.and_then(|u| u.connect));
        self.seconds(key!("upstream_ttfb_s"), upstream.and_then(|u| u.ttfb));
        self.key(key!("upstream_addr"));
        match upstream {
            Some(upstream) => {
                self.quote();
                text::socket(&mut self.0, upstream.address);
                self.quote();
            }
            None => self.0.extend_from_slice(F::NULL),
        }
        let answered = upstream.and_then(|u| u.status);
        self.number(key!("upstream_status"), answered.map(u64::from));
        self.number(key!("attempts"), Some(record.attempts.into()));
    }

    fn decision(&mut self, record: &Record, snapshot: &Snapshot) {
        let structure = &*snapshot.structure;
        let partition = record.decision.map(|decision| decision.partition);
        let choice = record.decision.and_then(|decision| decision.choice);
        let route = record.decision.and_then(|decision| decision.route);
        let route = route.map(|id| &structure.routes[id.0 as usize]);
        let pool = |id: config::ids::PoolId| &*structure.pools[usize::from(id.0)].name;
        self.string(key!("route"), route.map(|route| &*route.name));
        self.string(
            key!("partition"),
            partition.map(|id| &**snapshot.partition_name(id)),
        );
        self.string(key!("pool"), choice.map(|choice| pool(choice.pool)));
        self.string(
            key!("reason"),
            choice.map(|choice| choice.reason).map(Reason::as_str),
        );
        self.number(
            key!("bucket"),
            choice.and_then(|choice| choice.bucket).map(u64::from),
        );
        self.string(
            key!("sticky"),
            choice.map(|choice| choice.sticky).map(Sticky::as_str),
        );
        self.weights(record, snapshot);
        self.number(key!("revision"), Some(snapshot.revision));
        self.string(key!("config_digest"), Some(&structure.digest));
        self.string(key!("switched_from"), record.switched_from.map(pool));
        self.boolean(key!("fail_open"), record.fail_open);
    }

    /// `ec2=95,ecs=5`: the weights that the request was decided by, in the order of the file.
    fn weights(&mut self, record: &Record, snapshot: &Snapshot) {
        self.key(key!("weights"));
        let route = record.decision.and_then(|decision| decision.route);
        let Some(split) = route.and_then(|id| snapshot.split(id)) else {
            return self.0.extend_from_slice(F::NULL);
        };
        self.quote();
        for (position, &(pool, weight)) in split.weights.iter().enumerate() {
            if position > 0 {
                self.0.push(b',');
            }
            let name = &snapshot.structure.pools[usize::from(pool.0)].name;
            F::escape(&mut self.0, name.as_bytes());
            self.0.push(b'=');
            text::number(&mut self.0, weight.into());
        }
        self.quote();
    }

    fn rest(&mut self, record: &Record) {
        match record.shadow {
            Some(copied) => self.boolean(key!("shadow"), copied),
            None => self.null(key!("shadow")),
        }
        self.string(key!("cookie_dup"), record.cookie_dup.as_deref());
        self.desync(record);
        self.head(key!("user_agent"), record, Text::UserAgent);
        self.head(key!("referer"), record, Text::Referer);
    }

    /// `Ambiguous:BothTeClPresent`: class and reason, as an ALB writes them.
    fn desync(&mut self, record: &Record) {
        self.key(key!("desync"));
        let Some(desync) = record.traits.desync else {
            return self.0.extend_from_slice(F::NULL);
        };
        self.quote();
        for part in [desync.class().as_alb(), ":", desync.as_str()] {
            self.0.extend_from_slice(part.as_bytes());
        }
        self.quote();
    }

    fn key(&mut self, key: Key) {
        self.0.extend_from_slice(F::key(key));
    }

    fn quote(&mut self) {
        self.0.extend_from_slice(F::QUOTE);
    }

    fn null(&mut self, key: Key) {
        self.key(key);
        self.0.extend_from_slice(F::NULL);
    }

    fn head(&mut self, key: Key, record: &Record, name: Text) {
        self.bytes(key, record.head.get(name));
    }

    fn string(&mut self, key: Key, value: Option<&str>) {
        self.bytes(key, value.map(str::as_bytes));
    }

    fn bytes(&mut self, key: Key, value: Option<&[u8]>) {
        self.key(key);
        match value {
            Some(value) => {
                self.quote();
                F::escape(&mut self.0, value);
                self.quote();
            }
            None => self.0.extend_from_slice(F::NULL),
        }
    }

    fn boolean(&mut self, key: Key, value: bool) {
        self.key(key);
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.0.extend_from_slice(word);
    }

    fn number(&mut self, key: Key, value: Option<u64>) {
        self.key(key);
        match value {
            Some(value) => text::number(&mut self.0, value),
            None => self.0.extend_from_slice(F::NULL),
        }
    }

    fn seconds(&mut self, key: Key, value: Option<std::time::Duration>) {
        self.key(key);
        match value {
            Some(value) => text::seconds(&mut self.0, value),
            None => self.0.extend_from_slice(F::NULL),
        }
    }
}

#[cfg(test)]
mod tests;
