//! From spans that wait to the message of OTLP. Names of attributes are those of OpenTelemetry's semantic conventions for
//! HTTP servers (stable since 1.23), and `kanaria.*` for what only we know; each is in docs/operations.md.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::decision::Decision;
use config::model::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Told, Status};

use super::span::Span;
use crate::record::{Blame, Record, Text};

/// Methods that there are (RFC 9110 section 9, RFC 5789); a client may make up others, and a name of a span must not have them.
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// The code of a client that went away, which was never sent.
const GONE: u16 = 460;

/// The message that has `spans`.
pub(super) fn message(spans: &[Box<Span>], resource: &Resource) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "kanaria".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..Default::default()
    };
    let scope = ScopeSpans {
        scope: Some(scope),
        spans: spans.iter().map(|span| told(span)).collect(),
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![scope],
            ..Default::default()
        }],
    }
}

/// The process that makes the spans; `instance` is its own name.
pub(super) fn resource(telemetry: &Telemetry, instance: &str) -> Resource {
    let mut list = Attributes::default();
    list.text("service.name", &telemetry.service);
    list.text("service.version", env!("CARGO_PKG_VERSION"));
    list.text("service.instance.id", instance);
    for (name, value) in &telemetry.attributes {
        list.text(name, value);
    }
    Resource {
        attributes: list.0,
        ..Default::default()
    }
}

fn told(span: &Span) -> Told {
    let Span {
        context, record, ..
    } = span;
    let start = nanoseconds(record.started);
    let parent = context.parent.map(|parent| parent.to_vec());
    Told {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        flags: u32::from(context.sampled),
        name: name(span),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(record.duration.as_nanos() as u64),
        attributes: attributes(span),
        status: status(record),
        ..Default::default()
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let time = time.duration_since(UNIX_EPOCH);
    time.unwrap_or(Duration::ZERO).as_nanos() as u64
}

/// The method and the route, which are few.
fn name(span: &Span) -> String {
    let method = method(&span.record).unwrap_or("HTTP");
    let route = span.record.decision.and_then(|decision| decision.route);
    match route.map(|id| &*span.structure.routes[id.0 as usize].name) {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}

fn method(record: &Record) -> Option<&'static str> {
    let method = record.head.get(Text::Method)?;
    METHODS.into_iter().find(|it| it.as_bytes() == method)
}

/// An error is what the target or we spoiled. What a client does wrong is no failure of a server.
fn status(record: &Record) -> Option<Status> {
    let blame = record.error.map(|cause| cause.blame());
    let failed = record.status >= 500 || blame.is_some_and(|blame| blame != Blame::Client);
    failed.then(|| Status {
        code: StatusCode::Error.into(),
        ..Default::default()
    })
}

fn attributes(span: &Span) -> Vec<KeyValue> {
    let mut list = Attributes::default();
    list.request(&span.record);
    list.answer(&span.record);
    list.upstream(&span.record);
    list.decision(span);
    list.0
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn put(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..Default::default()
        });
    }

    fn text(&mut self, key: &str, text: &str) {
        self.put(key, Value::StringValue(text.into()));
    }

    fn number(&mut self, key: &str, number: impl Into<i64>) {
        self.put(key, Value::IntValue(number.into()));
    }

    fn seconds(&mut self, key: &str, time: Option<Duration>) {
        if let Some(time) = time {
            self.put(key, Value::DoubleValue(time.as_secs_f64()));
        }
    }

    /// What a client sent may be any bytes.
    fn sent(&mut self, key: &str, record: &Record, text: Text) {
        if let Some(text) = record.head.get(text) {
            self.text(key, &String::from_utf8_lossy(text));
        }
    }

    fn request(&mut self, record: &Record) {
        match method(record) {
            Some(method) => self.text("http.request.method", method),
            None => {
                self.text("http.request.method", "_OTHER");
                self.sent("http.request.method_original", record, Text::Method);
            }
        }
        self.text("url.scheme", if record.secure { "https" } else { "http" });
        self.sent("url.path", record, Text::Path);
        if let Some(host) = record.head.get(Text::Host) {
            self.server(&String::from_utf8_lossy(host));
        }
        self.text("client.address", &record.client_ip.to_string());
        if let Some(port) = record.client_port {
            self.number("client.port", port);
        }
        let version = record.protocol.and_then(|it| it.strip_prefix("HTTP/"));
        if let Some(version) = version {
            self.text("network.protocol.version", version);
        }
        self.sent("user_agent.original", record, Text::UserAgent);
        self.sent("kanaria.request_id", record, Text::RequestId);
    }

    /// The host that was asked for, and its port when that was said.
    fn server(&mut self, host: &str) {
        let split = host.rsplit_once(':').filter(|(name, _)| {
            // The colons of an IPv6 address are no sign of a port.
            !name.contains(':') || name.ends_with(']')
        });
        let (name, port) = split.map_or((host, None), |(name, port)| {
            (name, port.parse::<u16>().ok())
        });
        self.text("server.address", name.trim_matches(['[', ']']));
        if let Some(port) = port {
            self.number("server.port", port);
        }
    }

    fn answer(&mut self, record: &Record) {
        let status = record.status;
        if status != 0 && status != GONE {
            self.number("http.response.status_code", status);
        }
        match record.error {
            Some(cause) => self.text("error.type", cause.as_str()),
            None if status >= 500 => self.text("error.type", &status.to_string()),
            None => {}
        }
    }

    fn upstream(&mut self, record: &Record) {
        self.number("kanaria.attempts", record.attempts);
        let Some(upstream) = &record.upstream else {
            return;
        };
        self.target(upstream.address);
        self.seconds("kanaria.upstream.connect_s", upstream.connect);
        self.seconds("kanaria.upstream.ttfb_s", upstream.ttfb);
    }

    fn target(&mut self, address: SocketAddr) {
        self.text("kanaria.target", &address.to_string());
    }

    fn decision(&mut self, span: &Span) {
        let Span {
            record, structure, ..
        } = span;
        let listener = &structure.listeners[usize::from(record.listener.0)];
        self.text("kanaria.listener", &listener.name);
        if let Some(decision) = &record.decision {
            self.place(span, decision);
        }
        if let Some(pool) = record.switched_from {
            let pool = &structure.pools[usize::from(pool.0)];
            self.text("kanaria.switched_from", &pool.name);
        }
        self.number("kanaria.revision", span.revision as i64);
        self.text("kanaria.config_digest", &structure.digest);
    }

    fn place(&mut self, span: &Span, decision: &Decision) {
        let structure = &span.structure;
        let partition = structure.partition_name(decision.partition);
        self.text("kanaria.partition", partition);
        let route = decision.route.map(|id| &structure.routes[id.0 as usize]);
        let Some(route) = route else { return };
        self.text("kanaria.route", &route.name);
        let Some(choice) = decision.choice else {
            return;
        };
        let pool = &structure.pools[usize::from(choice.pool.0)];
        self.text("kanaria.pool", &pool.name);
        self.text("kanaria.reason", choice.reason.as_str());
        if let Some(bucket) = choice.bucket {
            self.number("kanaria.bucket", bucket);
        }
        let flags = route.forward().map(|forward| &forward.flags);
        let flag = choice.flag.zip(flags);
        if let Some(flag) = flag.and_then(|(id, flags)| flags.get(usize::from(id.0))) {
            self.text("kanaria.flag", &flag.name);
        }
    }
}

#[cfg(test)]
mod tests;
