//! Which form of the metrics a scraper asks for by its `Accept` (RFC 9110, section 12.5.1).
//!
//! Prometheus names the messages first where it takes native histograms, and leaves them out where it does not. Whoever
//! asks for nothing in particular, or for another text, gets the text.

use axum::http::{HeaderMap, header};

use crate::control::Form;

/// `Content-Type` of an answer in this form.
pub(super) const fn content_type(form: Form) -> &'static str {
    match form {
        Form::Messages => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        }
        Form::Text => "text/plain; version=0.0.4",
    }
}

/// The form that is asked for: messages when they are named, and no text is liked better.
pub(super) fn form(headers: &HeaderMap) -> Form {
    let fields = headers.get_all(header::ACCEPT).into_iter();
    let fields = fields.filter_map(|field| field.to_str().ok());
    let (mut messages, mut text) = (0.0_f32, 0.0_f32);
    for range in fields.flat_map(|field| field.split(',')).map(Range::read) {
        if range.is_messages() {
            messages = messages.max(range.quality);
        } else if ["text/plain", "text/*", "*/*"].contains(&range.kind) {
            text = text.max(range.quality);
        }
    }
    if messages > 0.0 && messages >= text {
        Form::Messages
    } else {
        Form::Text
    }
}

/// One range of an `Accept`.
#[derive(Default)]
struct Range<'a> {
    kind: &'a str,
    proto: &'a str,
    encoding: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            kind: parts.next().unwrap_or_default(),
            quality: 1.0,
            ..Self::default()
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim_matches('"');
            match name {
                "encoding" => range.encoding = value,
                "proto" => range.proto = value,
                "q" => range.quality = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }

    fn is_messages(&self) -> bool {
        self.kind == "application/vnd.google.protobuf"
            && self.proto == "io.prometheus.client.MetricFamily"
            && self.encoding == "delimited"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[track_caller]
    fn check(accept: &str, expected: Form) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(form(&headers), expected, "{accept}");
    }

    #[test]
    fn messages_are_for_who_names_them_and_likes_no_text_better() {
        check(MESSAGES, Form::Messages);
        // Prometheus 2.42 and 3 with native histograms, and 3 without.
        let rest = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(&format!("{MESSAGES},{rest}"), Form::Messages);
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";
        check(&format!("{MESSAGES};q=0.6,{three}"), Form::Messages);
        check(three, Form::Text);
        check(&format!("text/plain, {MESSAGES};q=0.3"), Form::Text);
        check(&format!("{MESSAGES};q=0, */*;q=0"), Form::Text);
        check(&format!("{MESSAGES};q=much"), Form::Text);
        check(&MESSAGES.replace("delimited", "text"), Form::Text);
        check("application/vnd.google.protobuf", Form::Text);
        check("*/*", Form::Text);
        assert_eq!(form(&HeaderMap::new()), Form::Text);
    }
}
