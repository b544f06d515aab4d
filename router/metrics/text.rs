//! Lines of the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use super::family::Kind;

/// The two lines before the series of `name`. `help` is a sentence without a line break or a backslash.
pub(super) fn head(name: &str, help: &str, kind: Kind, text: &mut String) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    for part in [
        "# HELP ",
        name,
        " ",
        help,
        "\n# TYPE ",
        name,
        " ",
        kind,
        "\n",
    ] {
        text.push_str(part);
    }
}

/// One line: `name{labels} value`.
pub(super) fn line(name: &str, labels: &str, value: impl Display, text: &mut String) {
    text.push_str(name);
    if !labels.is_empty() {
        for part in ["{", labels, "}"] {
            text.push_str(part);
        }
    }
    text.push(' ');
    number(value, text);
    text.push('\n');
}

/// A number as it is read back.
pub(super) fn number(value: impl Display, text: &mut String) {
    write!(text, "{value}").expect("a text takes whatever is written");
}

/// The value of a label as it stands between quotes.
pub(super) fn escape(value: &str, text: &mut String) {
    if memchr::memchr3(b'\\', b'"', b'\n', value.as_bytes()).is_none() {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped_and_numbers_are_as_go_reads_them() {
        let mut labels = "log=\"".to_owned();
        escape("a\\b\"c\nd é", &mut labels);
        labels.push('"');
        let mut text = String::new();
        line("a", &labels, 0.1 + 0.2, &mut text);
        line("b", "", f64::INFINITY, &mut text);
        line("c", "", f64::NAN, &mut text);
        line("d", "", 3.0, &mut text);
        let expected = "a{log=\"a\\\\b\\\"c\\nd é\"} 0.30000000000000004\nb inf\nc NaN\nd 3\n";
        assert_eq!(text, expected);
    }
}
