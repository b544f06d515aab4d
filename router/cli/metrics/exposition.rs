//! Prometheus text, read back: names, labels and values.

use std::collections::HashMap;

use serde::Serialize;

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) name: String,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: String,
    /// In the order of the text.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Sample {
    /// Whether it only grows, until a restart.
    pub(super) fn grows(&self) -> bool {
        self.kind != "gauge"
    }

    /// Its name and labels as one text.
    pub(super) fn series(&self) -> String {
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| format!(",{name}={value}"));
        self.name.clone() + &labels.collect::<String>()
    }

    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(label, _)| label == name);
        label.map(|(_, value)| &**value)
    }
}

/// Every value in `text`; lines that are none are passed over.
pub(super) fn read(text: &str) -> Vec<Sample> {
    let mut kinds = HashMap::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            kinds.insert(name, kind);
        } else if let Some(sample) = sample(line, &kinds) {
            samples.push(sample);
        }
    }
    samples
}

fn sample(line: &str, kinds: &HashMap<&str, &str>) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let parts = ["_bucket", "_sum", "_count"];
    let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
    let kind = kinds
        .get(name)
        .or_else(|| kinds.get(of_histogram?))
        .copied()?;
    Some(Sample {
        name: name.to_owned(),
        kind: kind.to_owned(),
        labels: self::labels(labels),
        value: value.parse().ok()?,
    })
}

/// `a="b",c="d"`, in which `\"`, `\\` and `\n` stand for what they do.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut letters = behind.char_indices();
        rest = "";
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    rest = &behind[at + 1..];
                    break;
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.push((name.trim_start_matches(',').to_owned(), value));
    }
    labels
}
