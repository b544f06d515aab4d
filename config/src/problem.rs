//! What is wrong with a file: faults found by meaning, which know their key, and problems, which know their place in the text.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// A way to a value in the merged document: `routes[2].weights.ecs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// A `Path` of somebody who is on the way: a step that points at the one before it.
///
/// Nearly nothing of a file is wrong, so a way costs nothing until a fault needs it: a `Path` for every value was a
/// third of what a file of 1,000 routes took (`compile/file` of `benches/decide`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trail<'a>(Option<(&'a Self, Toward<'a>)>);

/// One step of a trail.
#[derive(Clone, Copy, Debug)]
enum Toward<'a> {
    Key(&'a str),
    Index(usize),
}

/// One thing wrong with what a file means, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key.
    pub path: Path,
    /// What is wrong and what is allowed, in the operator's words.
    pub message: String,
}

/// One thing wrong with a file, by place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1; `None` when the file as a whole is meant, as one that cannot be read.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The key meant; empty when there is none, as in a syntax error.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
    /// The line of the file; of a very long line the part around the column.
    pub source: String,
    /// Characters of the line left out before `source`.
    #[serde(skip)]
    pub(crate) skipped: usize,
    /// Characters to underline.
    #[serde(skip)]
    pub(crate) width: usize,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            key: String::new(),
            message: message.into(),
            source: String::new(),
            skipped: 0,
            width: 0,
        }
    }
}

/// `file:line:column: key: message`, which editors and terminals can follow, then the line with the place underlined.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match (self.line, self.column) {
            (Some(line), Some(column)) => self.underline(f, line, column),
            _ => Ok(()),
        }
    }
}

impl Problem {
    fn underline(&self, f: &mut fmt::Formatter<'_>, line: usize, column: usize) -> fmt::Result {
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let from = column.saturating_sub(1).saturating_sub(self.skipped);
        let (mut shown, mut indent, mut carets) = (String::new(), 0, 0);
        for (position, character) in self.source.chars().enumerate() {
            let width = show(character, &mut shown);
            if position < from {
                indent += width;
            } else if position < from + self.width {
                carets += width;
            }
        }
        let (indent, carets) = (" ".repeat(indent), "^".repeat(carets.max(1)));
        let shown = shown.trim_end();
        write!(
            f,
            "\n{gutter} |\n{number} | {shown}\n{gutter} | {indent}{carets}"
        )
    }
}

/// Appends a character as a terminal may safely show it, and returns how many columns it takes there.
fn show(character: char, to: &mut String) -> usize {
    match character {
        '\t' => {
            to.push_str("    ");
            4
        }
        control if control.is_control() => {
            to.push('\u{fffd}');
            1
        }
        other => {
            to.push(other);
            if is_wide(other) { 2 } else { 1 }
        }
    }
}

/// Whether terminals give a character two columns: the large blocks of Unicode's East Asian Width W and F.
fn is_wide(character: char) -> bool {
    matches!(u32::from(character),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd)
}

impl Path {
    /// This path and one key more.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// This path and one list position more.
    #[must_use]
    pub fn index(&self, position: usize) -> Self {
        self.with(Step::Index(position))
    }

    /// A fault at this path.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault {
            path: self.clone(),
            message: message.into(),
        }
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl<'a> Trail<'a> {
    /// One key further.
    pub(crate) const fn key(&'a self, name: &'a str) -> Self {
        Self(Some((self, Toward::Key(name))))
    }

    /// One list position further.
    pub(crate) const fn index(&'a self, position: usize) -> Self {
        Self(Some((self, Toward::Index(position))))
    }

    /// A fault here.
    pub(crate) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault {
            path: self.path(),
            message: message.into(),
        }
    }

    /// The whole way.
    pub(crate) fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut last = self;
        while let Some((before, step)) = &last.0 {
            steps.push(match step {
                Toward::Key(name) => Step::Key((*name).to_owned()),
                Toward::Index(position) => Step::Index(*position),
            });
            last = before;
        }
        steps.reverse();
        Path(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) => {
                    if position > 0 {
                        f.write_char('.')?;
                    }
                    write_key(f, name)?;
                }
                Step::Index(n) => write!(f, "[{n}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML takes it: quoted when it is not bare, as the host `"*.example.com"`.
fn write_key(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        f.write_str(name)
    } else {
        write!(f, "{name:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(source: &str, column: usize, width: usize) -> Problem {
        Problem {
            line: Some(12),
            column: Some(column),
            key: "pools.ec2.retries".into(),
            source: source.into(),
            width,
            ..Problem::of_file("kanaria.toml", "expected an integer, found a string")
        }
    }

    #[test]
    fn a_problem_points_at_its_place() {
        insta::assert_snapshot!(problem("retries = \"x\" # why", 11, 3), @r#"
        kanaria.toml:12:11: pools.ec2.retries: expected an integer, found a string
           |
        12 | retries = "x" # why
           |           ^^^
        "#);
    }

    #[test]
    fn tabs_and_wide_characters_keep_the_caret_in_place() {
        insta::assert_snapshot!(problem("\tx = \"東京\"", 6, 4), @r#"
        kanaria.toml:12:6: pools.ec2.retries: expected an integer, found a string
           |
        12 |     x = "東京"
           |         ^^^^^^
        "#);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = problem("a\u{1b}[2Jb", 2, 1).to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_file_as_a_whole_has_no_place() {
        let shown = Problem::of_file("a.toml", "no such file").to_string();
        assert_eq!(shown, "a.toml: no such file");
    }

    #[test]
    fn json_has_exactly_the_promised_fields() {
        let json = serde_json::to_string(&problem("x", 1, 1)).unwrap();
        assert_eq!(
            json,
            r#"{"file":"kanaria.toml","line":12,"column":1,"key":"pools.ec2.retries","message":"expected an integer, found a string","source":"x"}"#
        );
    }

    #[test]
    fn a_trail_has_the_steps_of_its_path() {
        let top = Trail::default();
        let (routes, name) = (top.key("routes"), "weights".to_owned());
        let route = routes.index(2);
        let path = Path::default().key("routes").index(2).key("weights");
        assert_eq!(route.key(&name).path(), path);
        assert_eq!(top.path(), Path::default());
    }

    #[test]
    fn keys_that_are_not_bare_are_quoted() {
        let path = Path::default()
            .key("partitions")
            .key("hosts")
            .key("*.a.com");
        assert_eq!(path.to_string(), r#"partitions.hosts."*.a.com""#);
        assert_eq!(
            Path::default()
                .key("routes")
                .index(2)
                .key("name")
                .to_string(),
            "routes[2].name"
        );
    }
}
