//! All series of one name, by their labels.
//!
//! Whoever counts asks a family once, when a combination of labels is new, and keeps the series it is given. They are
//! kept in the order in which they are shown, each with its labels as the text has them, so that to show thousands of
//! them is to copy bytes. What a series counts, and how, is `measure` and `times`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::messages::{LabelPair, Metric, MetricFamily};
use super::text;

/// What a series counts.
pub(super) trait Measure: Send + Sync {
    /// What it is for Prometheus.
    const KIND: Kind;

    /// Writes its lines: a series of the family called `name` with these `labels`, as they stand between braces.
    fn lines(&self, name: &str, labels: &str, text: &mut String);

    /// Its message, without labels.
    fn metric(&self) -> Metric;
}

/// What a family is for Prometheus.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What `/metrics` shows.
pub(super) trait Shown: Send + Sync {
    /// What it is sorted by.
    fn name(&self) -> &'static str;

    /// Writes it in the text format; nothing, when there is no series.
    fn write_text(&self, text: &mut String);

    /// Writes the same as messages, each after its length.
    fn write_messages(&self, messages: &mut Vec<u8>);
}

/// All series of one name.
pub(super) struct Family<T> {
    name: &'static str,
    help: &'static str,
    /// In the order in which values are given.
    labels: Box<[&'static str]>,
    /// Their positions in the order of their names, in which they are shown.
    order: Box<[usize]>,
    new: fn() -> T,
    /// By their labels as the text has them: what is in quotes is escaped, so no two sets of values are one text.
    members: RwLock<BTreeMap<Box<str>, Member<T>>>,
}

struct Member<T> {
    values: Box<[Box<str>]>,
    measure: Arc<T>,
}

impl<T> Family<T> {
    /// No series yet; each will begin as `new` says.
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        new: fn() -> T,
    ) -> Self {
        let mut order: Box<[usize]> = (0..labels.len()).collect();
        order.sort_unstable_by_key(|position| labels[*position]);
        Self {
            name,
            help,
            labels: labels.into(),
            order,
            new,
            members: RwLock::default(),
        }
    }

    /// The series whose labels have these values, which is there from now on.
    pub(super) fn of(&self, values: &[&str]) -> Arc<T> {
        let labels = self.labelled(values);
        let known = self.read().get(&*labels).map(|it| Arc::clone(&it.measure));
        known.unwrap_or_else(|| self.meet(labels, values))
    }

    fn meet(&self, labels: String, values: &[&str]) -> Arc<T> {
        let mut members = self.write();
        let member = members.entry(labels.into()).or_insert_with(|| Member {
            values: values.iter().map(|value| Box::from(*value)).collect(),
            measure: Arc::new((self.new)()),
        });
        Arc::clone(&member.measure)
    }

    /// The series whose labels have these values is shown no more, if it was.
    pub(super) fn remove(&self, values: &[&str]) {
        self.write().remove(&*self.labelled(values));
    }

    /// No series is shown any more.
    pub(super) fn reset(&self) {
        self.write().clear();
    }

    /// Labels as they stand between braces.
    fn labelled(&self, values: &[&str]) -> String {
        debug_assert_eq!(values.len(), self.labels.len(), "labels of {}", self.name);
        let mut labels = String::with_capacity(96);
        for (nth, &position) in self.order.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            labels.push_str(comma);
            labels.push_str(self.labels[position]);
            labels.push_str("=\"");
            text::escape(values[position], &mut labels);
            labels.push('"');
        }
        labels
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Box<str>, Member<T>>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Box<str>, Member<T>>> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Family<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.name).finish()
    }
}

impl<T: Measure> Family<T> {
    fn metric(&self, member: &Member<T>) -> Metric {
        let pairs = self.order.iter().map(|&position| LabelPair {
            name: Some(self.labels[position].into()),
            value: Some(member.values[position].to_string()),
        });
        Metric {
            label: pairs.collect(),
            ..member.measure.metric()
        }
    }
}

impl<T: Measure> Shown for Family<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write_text(&self, text: &mut String) {
        let members = self.read();
        if members.is_empty() {
            return;
        }
        text::head(self.name, self.help, T::KIND, text);
        for (labels, member) in &*members {
            member.measure.lines(self.name, labels, text);
        }
    }

    fn write_messages(&self, messages: &mut Vec<u8>) {
        let members = self.read();
        if members.is_empty() {
            return;
        }
        let metrics = members.values().map(|member| self.metric(member));
        MetricFamily::new(self.name, self.help, T::KIND, metrics.collect()).write(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Counter;
    use super::*;

    fn family() -> Family<Counter> {
        Family::new(
            "seen_total",
            "Tested.",
            &["route", "pool"],
            Counter::default,
        )
    }

    fn text(family: &Family<Counter>) -> String {
        let mut text = String::new();
        family.write_text(&mut text);
        text
    }

    #[test]
    fn values_that_run_together_are_series_of_their_own() {
        let family = family();
        family.of(&["blog", "s1"]).inc();
        family.of(&["blogs", "1"]).inc_by(2);
        family.of(&["blog\",route=\"x", "1"]).inc_by(3);
        family.of(&["blog", "s1"]).inc();
        insta::assert_snapshot!(text(&family), @r#"
        # HELP seen_total Tested.
        # TYPE seen_total counter
        seen_total{pool="1",route="blog\",route=\"x"} 3
        seen_total{pool="1",route="blogs"} 2
        seen_total{pool="s1",route="blog"} 2
        "#);
    }

    #[test]
    fn what_is_removed_is_not_shown_and_begins_anew() {
        let family = family();
        family.of(&["blog", "ec2"]).inc();
        family.of(&["blog", "ecs"]).inc();
        family.remove(&["blog", "ec2"]);
        assert!(!text(&family).contains("ec2"));
        assert_eq!(family.of(&["blog", "ec2"]).get(), 0);
        family.reset();
        assert_eq!(text(&family), "");
    }
}
