//! Lines as written: their text for known records, and that they are JSON whatever a client sent.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::record::{Head, Upstream};
use crate::testing::{record, served, snapshot, structure, unreadable};

/// The fields, in their order; what reads the log relies on it.
const FIELDS: &str = "time log_version request_id trace_id listener client_ip client_port protocol tls_version \
     tls_cipher method scheme host path query status error bytes_in bytes_out duration_s upstream_connect_s \
     upstream_ttfb_s upstream_addr upstream_status attempts route partition pool reason bucket sticky weights \
     revision config_digest switched_from fail_open shadow cookie_dup desync user_agent referer";

fn line(record: &Record) -> String {
    let structure = structure(&json!({}), &json!([]));
    let line = json(record, &snapshot(&structure, 42, 5));
    String::from_utf8(line).unwrap()
}

#[test]
fn a_line_of_a_served_request() {
    insta::assert_snapshot!(line(&record()));
}

#[test]
fn a_line_of_ltsv_has_the_same_fields_and_values() {
    let structure = structure(&json!({}), &json!([]));
    let snapshot = snapshot(&structure, 42, 5);
    for record in [record(), unreadable(), served(0, Reason::Flag, 1)] {
        let line: Map<String, Value> = serde_json::from_slice(&json(&record, &snapshot)).unwrap();
        let expected: Vec<String> = line
            .into_iter()
            .map(|(name, value)| match value {
                Value::Null => format!("{name}:-"),
                Value::String(text) => format!("{name}:{text}"),
                other => format!("{name}:{other}"),
            })
            .collect();
        let line = String::from_utf8(ltsv(&record, &snapshot)).unwrap();
        // A number of JSON has no zeros at its end once it was read.
        let fields: Vec<_> = line.trim_end_matches('\n').split('\t').collect();
        assert_eq!(fields.len(), expected.len());
        for (field, expected) in fields.iter().zip(&expected) {
            assert_eq!(field.trim_end_matches('0'), expected.trim_end_matches('0'));
        }
    }
}

#[test]
fn a_text_of_one_dash_is_not_taken_for_an_unknown_one() {
    let mut texts = [None; Text::COUNT];
    texts[Text::UserAgent as usize] = Some(&b"-"[..]);
    let record = Record {
        head: Head::copy(texts),
        ..record()
    };
    let snapshot = snapshot(&structure(&json!({}), &json!([])), 42, 5);
    let line = String::from_utf8(ltsv(&record, &snapshot)).unwrap();
    assert!(line.ends_with("\tuser_agent:\\x2d\treferer:-\n"), "{line}");
}

#[test]
fn a_line_of_a_request_that_could_not_be_read() {
    insta::assert_snapshot!(line(&unreadable()));
}

#[test]
fn a_line_of_a_request_that_another_pool_served() {
    let record = Record {
        status: 0,
        error: Some(Cause::Shutdown),
        switched_from: Some(config::ids::PoolId(1)),
        client_ip: "2001:db8::7".parse().unwrap(),
        client_port: None,
        attempts: 2,
        ..served(0, Reason::Failover, 7)
    };
    insta::assert_snapshot!(line(&record));
}

#[test]
fn every_line_has_every_field_in_one_order() {
    let expected: Vec<_> = FIELDS.split_whitespace().collect();
    for record in [record(), unreadable(), served(0, Reason::Flag, 1)] {
        let line: Map<String, Value> = serde_json::from_str(&line(&record)).unwrap();
        assert_eq!(line.keys().collect::<Vec<_>>(), expected);
    }
}

proptest! {
    #[test]
    fn any_bytes_of_a_client_make_one_line_of_json(
        texts in proptest::collection::vec(proptest::option::of(any::<Vec<u8>>()), 9),
        status: u16,
        bytes: u64,
    ) {
        let texts: [Option<Vec<u8>>; 9] = texts.try_into().unwrap();
        let record = Record {
            head: Head::copy(texts.each_ref().map(Option::as_deref)),
            status,
            bytes_in: bytes,
            upstream: Some(Upstream { status: None, connect: None, ..record().upstream.unwrap() }),
            ..record()
        };
        let line = line(&record);
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        let read: Value = serde_json::from_str(&line).unwrap();
        let names = ["request_id", "trace_id", "method", "host", "path", "query", "user_agent", "referer"];
        for (name, text) in names.iter().zip(&texts) {
            let expected = text.as_deref().map(String::from_utf8_lossy);
            prop_assert_eq!(read[name].as_str(), expected.as_deref());
        }
        prop_assert_eq!(read["bytes_in"].as_u64(), Some(bytes));
    }
}
