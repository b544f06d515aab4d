//! The texts of one reading, and places in them. Lines and columns are worked out only for what is shown to somebody.

use std::cell::OnceCell;

use crate::problem::{Path, Problem};

/// A stretch of one text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One thing wrong, by place; it becomes a `Problem` when it is known to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) place: Place,
    pub(crate) path: Path,
    pub(crate) message: String,
}

/// The texts of one reading: the main file first, then the included ones.
#[derive(Debug, Default)]
pub(crate) struct Texts(Vec<File>);

#[derive(Debug)]
struct File {
    name: String,
    text: String,
    /// Offset of the first byte of each line, once somebody has asked.
    lines: OnceCell<Vec<usize>>,
}

/// More findings than a person reads are counted, not shown; it also bounds the time a hostile file can take.
const SHOWN: usize = 1000;
/// Characters of a source line shown around the place; a minified JSON file is one line.
const EXCERPT: usize = 160;

impl Texts {
    /// Takes in a text and returns its number.
    pub(crate) fn add(&mut self, name: String, text: String) -> usize {
        // A byte order mark is an editor's business, and the columns of line 1 do not count it.
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        let lines = OnceCell::new();
        self.0.push(File { name, text, lines });
        self.0.len() - 1
    }

    /// The text with this number.
    pub(crate) fn text(&self, file: usize) -> &str {
        self.0.get(file).map_or("", |file| &file.text)
    }

    /// `file:line` of a place, to name a second one in a message.
    pub(crate) fn line_of(&self, place: Place) -> String {
        match self.0.get(place.file) {
            Some(file) => format!("{}:{}", file.name, file.position(place.start).0),
            None => String::new(),
        }
    }

    /// The findings as problems, in the order of the texts, the same one only once.
    pub(crate) fn problems(&self, mut findings: Vec<Finding>) -> Vec<Problem> {
        findings.sort_by_key(|finding| finding.place);
        findings.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let hidden = findings.len().saturating_sub(SHOWN);
        findings.truncate(SHOWN);
        let last = findings.last().map(|finding| finding.place);
        let mut problems: Vec<_> = findings.into_iter().map(|f| self.problem(f)).collect();
        if let (Some(place), 1..) = (last, hidden) {
            problems.push(self.problem(Finding {
                place,
                path: Path::default(),
                message: format!("{hidden} more problems from here on are not shown"),
            }));
        }
        problems
    }

    /// One finding with line, column and source line.
    pub(crate) fn problem(&self, finding: Finding) -> Problem {
        let Some(file) = self.0.get(finding.place.file) else {
            return Problem::of_file("", finding.message);
        };
        let start = file.boundary(finding.place.start);
        let end = file.boundary(finding.place.end).max(start);
        let (line, column) = file.position(start);
        let (source, skipped) = excerpt(file.line(line), column);
        let on_this_line = &file.text[start..end];
        let on_this_line = on_this_line.lines().next().unwrap_or_default();
        Problem {
            file: file.name.clone(),
            line: Some(line),
            column: Some(column),
            key: finding.path.to_string(),
            message: finding.message,
            source,
            skipped,
            width: on_this_line.chars().take(EXCERPT).count().max(1),
        }
    }
}

impl File {
    /// Line and column in characters, both from 1.
    fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= offset).max(1);
        let before = &self.text[lines[line - 1]..offset];
        (line, before.chars().count() + 1)
    }

    fn line(&self, line: usize) -> &str {
        let rest = &self.text[self.lines()[line - 1]..];
        rest.lines().next().unwrap_or_default()
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let after_newlines = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(after_newlines).collect()
        })
    }

    /// The start of the character at `offset`, so that any offset may be asked for.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// The part of a long line around a column, and how many characters were left out before it.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let skipped = match column {
        0..EXCERPT => 0,
        _ => column - EXCERPT / 2,
    };
    (line.chars().skip(skipped).take(EXCERPT).collect(), skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, start: usize, expect: (usize, usize, &str)) {
        let mut texts = Texts::default();
        let file = texts.add("f".into(), text.into());
        let end = start + 1;
        let problem = texts.problem(Finding {
            place: Place { file, start, end },
            path: Path::default(),
            message: String::new(),
        });
        let (line, column, source) = expect;
        assert_eq!(
            (problem.line, problem.column, problem.source.as_str()),
            (Some(line), Some(column), source)
        );
    }

    #[test]
    fn columns_count_characters_and_any_offset_has_a_place() {
        check("ab\ncd", 0, (1, 1, "ab"));
        check("ab\ncd", 3, (2, 1, "cd"));
        check("ab\r\ncd", 5, (2, 2, "cd"));
        check("日本 = 1", 7, (1, 4, "日本 = 1"));
        check("日本", 1, (1, 1, "日本"));
        check("ab\n", 99, (2, 1, ""));
        check("", 0, (1, 1, ""));
        check("\u{feff}ab", 1, (1, 2, "ab"));
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let line = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let mut texts = Texts::default();
        texts.add("f".into(), line);
        let problem = texts.problem(Finding {
            place: Place {
                file: 0,
                start: 1000,
                end: 1001,
            },
            path: Path::default(),
            message: String::new(),
        });
        assert_eq!(problem.column, Some(1001));
        assert_eq!(
            problem.source.chars().nth(1000 - problem.skipped),
            Some('X')
        );
    }

    #[test]
    fn findings_beyond_a_thousand_are_counted() {
        let mut texts = Texts::default();
        texts.add("f".into(), "x".repeat(2000));
        let findings = (0..1500).map(|start| Finding {
            place: Place {
                file: 0,
                start,
                end: start + 1,
            },
            path: Path::default(),
            message: "bad".into(),
        });
        let problems = texts.problems(findings.collect());
        assert_eq!(problems.len(), 1001);
        assert!(problems[1000].message.starts_with("500 more"));
    }
}
