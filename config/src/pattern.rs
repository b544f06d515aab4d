//! One text to compare with: wildcards as an ALB knows them, or a regular expression.
//!
//! Only visible bytes are compared: 0x00 to 0x1f and 0x7f of a request are left out, as an ALB leaves them out.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

use crate::{model, path};

/// The longest text or expression an operator may write.
pub(crate) const MAX_LENGTH: usize = 4_096;

/// The largest compiled expression, in bytes.
pub(crate) const MAX_COMPILED: usize = 1 << 20;

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Insensitive,
    Sensitive,
}

/// What a value is compared with.
#[derive(Debug)]
pub(crate) enum Pattern {
    Regex(Regex),
    Wildcard(Wildcard),
}

/// A text in which `*` stands for any bytes and `?` for one; it must match as a whole.
#[derive(Debug)]
pub(crate) struct Wildcard {
    pieces: Box<[Piece]>,
    /// The plain text before the first wildcard; compared as a whole, which is most of the work of most patterns.
    head: Box<[u8]>,
    /// The plain text after it, where there is one wildcard, a `*`: most patterns are no more than that.
    tail: Option<Box<[u8]>>,
    case: Case,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    Many,
    One,
}

impl Case {
    fn same(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Insensitive => one.eq_ignore_ascii_case(other),
            Self::Sensitive => one == other,
        }
    }
}

impl Pattern {
    pub(crate) fn new(written: &model::Pattern, case: Case) -> Result<Self, String> {
        match written {
            model::Pattern::Wildcard(text) => Wildcard::new(text, case).map(Self::Wildcard),
            model::Pattern::Regex { regex } => expression(regex, case).map(Self::Regex),
        }
    }

    /// A text that a path is compared with.
    pub(crate) fn of_path(written: &model::Pattern) -> Result<Self, String> {
        match written {
            model::Pattern::Wildcard(text) => Wildcard::of_path(text).map(Self::Wildcard),
            model::Pattern::Regex { .. } => Self::new(written, Case::Sensitive),
        }
    }

    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(&visible(value)),
            Self::Wildcard(wildcard) => wildcard.matches(value),
        }
    }
}

impl Wildcard {
    /// `*` and `?` are always wildcards.
    pub(crate) fn new(text: &str, case: Case) -> Result<Self, String> {
        check_text(text)?;
        let pieces = text.bytes().map(|byte| Piece::of(byte, case));
        Ok(Self::of(pieces.collect(), case))
    }

    /// A path, read as those of requests are; what is percent-encoded is no wildcard.
    pub(crate) fn of_path(text: &str) -> Result<Self, String> {
        check_text(text)?;
        let pieces = path::bytes_of(text)?.into_iter().map(|byte| match byte {
            (byte, true) => Piece::Byte(byte),
            (byte, false) => Piece::of(byte, Case::Sensitive),
        });
        Ok(Self::of(pieces.collect(), Case::Sensitive))
    }

    /// `\*`, `\?` and `\\` are the characters themselves, as in an ALB's query conditions.
    pub(crate) fn with_escapes(text: &str, case: Case) -> Result<Self, String> {
        check_text(text)?;
        let mut pieces = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            pieces.push(match byte {
                b'\\' => Piece::Byte(escaped(bytes.next())?),
                _ => Piece::of(byte, case),
            });
        }
        Ok(Self::of(pieces, case))
    }

    fn of(pieces: Vec<Piece>, case: Case) -> Self {
        let head: Box<[u8]> = pieces.iter().map_while(|piece| piece.byte()).collect();
        let tail = match &pieces[head.len()..] {
            [Piece::Many, rest @ ..] => rest.iter().map(|piece| piece.byte()).collect(),
            _ => None,
        };
        Self {
            pieces: pieces.into(),
            head,
            tail,
            case,
        }
    }

    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        if has_control(value) {
            return self.glob(0, value);
        }
        let Some((head, rest)) = value.split_at_checked(self.head.len()) else {
            return false;
        };
        let rest_matches = || match &self.tail {
            Some(tail) => {
                let from = rest.len().checked_sub(tail.len());
                from.is_some_and(|from| self.case.same(&rest[from..], tail))
            }
            None => self.glob(self.head.len(), rest),
        };
        self.case.same(head, &self.head) && rest_matches()
    }

    /// Whether the pieces from `piece` on match all of `value`. Greedy, going back to the last `*` only: what an
    /// earlier one swallowed never has to be given back.
    fn glob(&self, mut piece: usize, value: &[u8]) -> bool {
        let mut at = 0;
        let mut last_star = None;
        while let Some(&byte) = value.get(at) {
            if byte.is_ascii_control() {
                at += 1;
                continue;
            }
            match self.pieces.get(piece) {
                Some(Piece::Many) if piece + 1 == self.pieces.len() => return true,
                Some(Piece::Many) => {
                    last_star = Some((piece, at));
                    piece += 1;
                }
                Some(wanted) if wanted.takes(byte, self.case) => {
                    (at, piece) = (at + 1, piece + 1);
                }
                _ => {
                    let Some((star, from)) = last_star else {
                        return false;
                    };
                    last_star = Some((star, from + 1));
                    (at, piece) = (from + 1, star + 1);
                }
            }
        }
        let mut left = self.pieces[piece..].iter();
        left.all(|piece| *piece == Piece::Many)
    }

    /// The only text that matches, when there is only one.
    pub(crate) fn literal(&self) -> Option<String> {
        text_of(&self.pieces)
    }

    /// `suffix` of a pattern that is `*.` and plain text after it.
    pub(crate) fn suffix(&self) -> Option<String> {
        match &*self.pieces {
            [Piece::Many, Piece::Byte(b'.'), rest @ ..] => text_of(rest),
            _ => None,
        }
    }
}

impl Piece {
    fn of(byte: u8, case: Case) -> Self {
        match (byte, case) {
            (b'*', _) => Self::Many,
            (b'?', _) => Self::One,
            (_, Case::Insensitive) => Self::Byte(byte.to_ascii_lowercase()),
            (_, Case::Sensitive) => Self::Byte(byte),
        }
    }

    const fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::Many | Self::One => None,
        }
    }

    fn takes(self, byte: u8, case: Case) -> bool {
        match (self, case) {
            (Self::Byte(wanted), Case::Insensitive) => wanted.eq_ignore_ascii_case(&byte),
            (Self::Byte(wanted), Case::Sensitive) => wanted == byte,
            (Self::Many | Self::One, _) => true,
        }
    }
}

fn text_of(pieces: &[Piece]) -> Option<String> {
    let bytes: Option<_> = pieces.iter().map(|piece| piece.byte()).collect();
    String::from_utf8(bytes?).ok()
}

fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the text is empty; `*` matches any text, also none".into());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!(
            "the text is {} bytes long; allowed are {MAX_LENGTH}",
            text.len()
        ));
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("the text contains a control character, which is never compared".into());
    }
    Ok(())
}

fn escaped(byte: Option<u8>) -> Result<u8, String> {
    match byte {
        Some(byte @ (b'*' | b'?' | b'\\')) => Ok(byte),
        _ => Err(r"the text has a `\` that escapes nothing; write `\*`, `\?` or `\\`".into()),
    }
}

/// An expression that finds `text` as it stands, anywhere.
pub(crate) fn containing(text: &str) -> Result<Regex, String> {
    expression(&regex::escape(text), Case::Sensitive)
}

/// The expression `text`, if it is one and not too large.
pub(crate) fn expression(text: &str, case: Case) -> Result<Regex, String> {
    if text.is_empty() {
        return Err(
            "the regular expression is empty; write the wildcard `*` to match any text".into(),
        );
    }
    if text.len() > MAX_LENGTH {
        return Err(format!(
            "the text is {} bytes long; allowed are {MAX_LENGTH}",
            text.len()
        ));
    }
    RegexBuilder::new(text)
        .case_insensitive(case == Case::Insensitive)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| refusal(text, &error))
}

pub(crate) fn refusal(text: &str, error: &regex::Error) -> String {
    let said = error.to_string();
    // The parser draws the expression with a caret over several lines; the last one says what is wrong.
    let reason = said.lines().last().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    format!("`{text}` is not a regular expression: {reason}")
}

/// Without a way out in the middle, so that the compiler compares many bytes at once.
fn has_control(value: &[u8]) -> bool {
    let is_control = |found, byte: &u8| found | byte.is_ascii_control();
    value.iter().fold(false, is_control)
}

/// Copies only what an expression cannot skip by itself; a header value may hold a tab, nothing else of the kind arrives.
fn visible(value: &[u8]) -> Cow<'_, [u8]> {
    if !has_control(value) {
        return value.into();
    }
    let kept = value.iter().filter(|byte| !byte.is_ascii_control());
    kept.copied().collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests;
