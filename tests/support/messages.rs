//! The exposition as messages, read as a scraper reads them: field numbers are written down here a second time.

use std::collections::BTreeMap;

use prost::Message;

/// All series of one name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Family {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// 0 counter, 1 gauge, 4 histogram.
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metrics: Vec<Metric>,
}

/// One series.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
    #[prost(double, tag = "2")]
    pub(crate) sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) classic: Vec<Classic>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    deltas: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Classic {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
    #[prost(double, tag = "2")]
    pub(crate) bound: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

/// All families by their names.
#[track_caller]
pub(crate) fn families(mut bytes: &[u8]) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    while !bytes.is_empty() {
        let family = Family::decode_length_delimited(&mut bytes).expect("a message");
        let twice = families.insert(family.name.clone(), family);
        assert!(twice.is_none(), "{twice:?}");
    }
    families
}

impl Histogram {
    /// Lower and upper bound of each native bucket with something in it, and what is in it; the zero bucket first.
    pub(crate) fn native(&self) -> Vec<(f64, f64, u64)> {
        let base = 2_f64.powf(2_f64.powi(-self.schema));
        let mut buckets = vec![(0.0, self.zero_threshold, self.zero_count)];
        let (mut index, mut count, mut deltas) = (0, 0, self.deltas.iter());
        for span in &self.spans {
            index += span.offset;
            for _ in 0..span.length {
                count += deltas.next().expect("one for each bucket");
                let count = u64::try_from(count).expect("no bucket has less than nothing");
                buckets.push((base.powi(index - 1), base.powi(index), count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets.retain(|(.., count)| *count > 0);
        buckets
    }
}
