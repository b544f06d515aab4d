//! What the kernel says of our process: CPU, memory, files. The crate `prometheus` reads it, under the names that every
//! program has for it.

use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{self, MetricType};

use super::family::{Kind, Shown};
use super::messages::{Metric, MetricFamily, Number};

pub(super) struct Process(ProcessCollector);

impl Process {
    pub(super) fn new() -> Self {
        Self(ProcessCollector::for_self())
    }

    fn families(&self) -> Vec<proto::MetricFamily> {
        let mut families = self.0.collect();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        families
    }
}

impl Shown for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn write_text(&self, text: &mut String) {
        let written = TextEncoder::new().encode_utf8(&self.families(), text);
        written.expect("every series has a name and a value");
    }

    fn write_messages(&self, messages: &mut Vec<u8>) {
        for family in self.families() {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => Kind::Counter,
                _ => Kind::Gauge,
            };
            let metrics = family
                .get_metric()
                .iter()
                .map(|metric| metric_of(kind, metric));
            MetricFamily::new(family.name(), family.help(), kind, metrics.collect())
                .write(messages);
        }
    }
}

/// None of them has a label.
fn metric_of(kind: Kind, metric: &proto::Metric) -> Metric {
    let mut message = Metric::default();
    match kind {
        Kind::Counter => message.counter = Some(Number::of(metric.get_counter().get_value())),
        _ => message.gauge = Some(Number::of(metric.get_gauge().get_value())),
    }
    message
}
