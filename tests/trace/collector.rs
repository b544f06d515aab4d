//! A collector of spans, and what is read of them and of the heads that targets got.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustix::process::Signal;

use crate::support::{After, Exchange, File, Kanaria, Seen, Stub, get, until};

/// A trace of a client, and a span of it.
pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const SPAN: &str = "b7ad6b7169203331";

/// A service that takes spans, unless it is told otherwise.
pub(crate) struct Collector {
    pub(crate) stub: Stub,
    pub(crate) taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::with(|| ("200 OK", "", Vec::new()))
    }

    /// One that answers so: status, fields, body. It has what it answers 200.
    pub(crate) fn with(
        says: impl Fn() -> (&'static str, &'static str, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let taken = Arc::<Mutex<Vec<_>>>::default();
        let keep = Arc::clone(&taken);
        let stub = Stub::with("collector", move |exchange| {
            let message = ExportTraceServiceRequest::decode(&*exchange.body()?);
            let (status, fields, body) = says();
            if status == "200 OK" {
                keep.lock()
                    .unwrap()
                    .push(message.expect("a message of OTLP"));
            }
            exchange.answer(status, fields, &body)?;
            Ok(After::Close)
        });
        Self { stub, taken }
    }

    /// One that never answers.
    pub(crate) fn silent() -> Self {
        Self {
            stub: Stub::with("collector", hang),
            taken: Arc::default(),
        }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let spans = taken.iter().flat_map(|message| &message.resource_spans);
        let spans = spans.flat_map(|resource| &resource.scope_spans);
        spans.flat_map(|scope| scope.spans.clone()).collect()
    }

    #[track_caller]
    pub(crate) fn spans_of(&self, n: usize) -> Vec<Span> {
        until("as many spans as there should be", || {
            Some(self.spans()).filter(|spans| spans.len() >= n)
        })
    }

    pub(crate) fn table(&self, keys: &str) -> String {
        table(&format!("http://{}", self.stub.address), keys)
    }
}

pub(crate) fn table(otlp: &str, keys: &str) -> String {
    format!("[telemetry]\notlp = \"{otlp}\"\n{keys}\n")
}

pub(crate) fn hang(exchange: &mut Exchange<'_>) -> io::Result<After> {
    exchange.wire.closed();
    Ok(After::Close)
}

pub(crate) fn start(table: &str) -> (Stub, Kanaria) {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).after(table));
    (ec2, kanaria)
}

pub(crate) fn counted(kanaria: &Kanaria, result: &str) -> usize {
    kanaria.admin.metric("kanaria_spans_total", &[result]) as usize
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        _ => None,
    };
    let texts = attributes.iter();
    texts
        .filter_map(|it| Some((it.key.clone(), text(it)?)))
        .collect()
}

/// What the target was told: trace, span, flags.
#[track_caller]
pub(crate) fn told(seen: &Seen) -> [String; 3] {
    let lines: Vec<_> = seen.head.all("traceparent").collect();
    let [line] = lines[..] else {
        panic!("{lines:?}");
    };
    let parts: Vec<_> = line.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{line}");
    [parts[1], parts[2], parts[3]].map(ToOwned::to_owned)
}

/// By the id of the request.
pub(crate) fn by_request(spans: Vec<Span>) -> BTreeMap<String, Span> {
    let spans = spans.into_iter();
    spans
        .map(|span| (texts(&span.attributes)["kanaria.request_id"].clone(), span))
        .collect()
}

/// A GET that says what it is called.
pub(crate) fn named(id: &str, fields: &str) -> String {
    get(
        "/entry?token=secret",
        &format!("X-Request-Id: {id}\r\n{fields}"),
    )
}

pub(crate) fn traceparent(trace: &str, flags: &str) -> String {
    format!("traceparent: 00-{trace}-{SPAN}-{flags}\r\n")
}

/// Ends it, and waits for that.
pub(crate) fn stopped(mut kanaria: Kanaria) -> Kanaria {
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    kanaria
}
