//! Another address for the target: a text, or what a regular expression makes of the client's.
//!
//! What comes out is judged here and nowhere else: an address that is not one is no address, never other bytes.

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};
use regex::Regex;

/// The longest address that is made, in bytes.
const LONGEST: usize = 16 * 1024;

/// A rewrite, compiled.
#[derive(Debug)]
pub struct Rewrite {
    pub(crate) url: Url,
    pub(crate) host: Option<Replacement>,
}

/// What becomes of path and query.
#[derive(Debug)]
pub(crate) enum Url {
    Parts {
        path: Option<Replacement>,
        query: Option<Replacement>,
    },
    Whole(Replacement),
}

#[derive(Debug)]
pub(crate) enum Replacement {
    Regex(Regex, Box<[Piece]>),
    Text(Box<str>),
}

/// A piece of what stands in place of what was found.
#[derive(Debug)]
pub(crate) enum Piece {
    Group(usize),
    Text(Box<str>),
}

/// The address for the target; what is absent stays.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Path and query.
    pub target: Option<PathAndQuery>,
    /// `Host`.
    pub host: Option<HeaderValue>,
}

/// A rewrite made something that is no path, query or host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

impl Rewrite {
    /// What becomes of a request for `path`, `query` at `host`, all as sent.
    ///
    /// # Errors
    /// When the result cannot be sent.
    pub fn apply(
        &self,
        host: &str,
        path: &str,
        query: Option<&str>,
    ) -> Result<Rewritten, NoAddress> {
        let target = self.url.apply(path, query);
        let host = self.host.as_ref().and_then(|it| it.apply(host));
        Ok(Rewritten {
            target: target.map(|target| path_and_query(&target)).transpose()?,
            host: host.map(|host| authority(&host)).transpose()?,
        })
    }
}

impl Url {
    /// The whole new target; `None` when it stays.
    fn apply(&self, path: &str, query: Option<&str>) -> Option<String> {
        match self {
            Self::Whole(url) => match query {
                Some(query) => url.apply(&format!("{path}?{query}")),
                None => url.apply(path),
            },
            Self::Parts {
                path: by_path,
                query: by_query,
            } => {
                let new_path = by_path.as_ref().and_then(|it| it.apply(path));
                let new_query = by_query
                    .as_ref()
                    .and_then(|it| it.apply(query.unwrap_or_default()));
                if new_path.is_none() && new_query.is_none() {
                    return None;
                }
                let mut target = new_path.unwrap_or_else(|| path.to_owned());
                let query = match &new_query {
                    // Without a query there is no `?` either.
                    Some(query) => Some(&**query).filter(|query| !query.is_empty()),
                    None => query,
                };
                if let Some(query) = query {
                    target.push('?');
                    target.push_str(query);
                }
                Some(target)
            }
        }
    }
}

impl Replacement {
    /// The new text; `None` when the expression is not found.
    fn apply(&self, text: &str) -> Option<String> {
        let (regex, pieces) = match self {
            Self::Text(new) => return Some(new.to_string()),
            Self::Regex(regex, pieces) => (regex, pieces),
        };
        let found = regex.captures(text)?;
        let whole = found.get(0)?;
        let mut new = text[..whole.start()].to_owned();
        for piece in pieces {
            match piece {
                Piece::Group(number) => {
                    new.push_str(found.get(*number).map_or("", |group| group.as_str()));
                }
                Piece::Text(text) => new.push_str(text),
            }
            if new.len() > LONGEST {
                break;
            }
        }
        new.push_str(&text[whole.end()..]);
        Some(new)
    }
}

/// Everything a client may send and we carry, nothing else: the same rules as for a client's own target.
fn path_and_query(text: &str) -> Result<PathAndQuery, NoAddress> {
    let plain = text
        .bytes()
        .all(|byte| (0x21..=0x7e).contains(&byte) || byte >= 0x80);
    let query = text.find('?').unwrap_or(text.len());
    let (path, query) = text.split_at(query);
    let carried = !path.contains(['<', '>', '`']) && !query.contains(['<', '>', '"']);
    if text.len() > LONGEST || !text.starts_with('/') || !plain || !carried || text.contains('#') {
        return Err(NoAddress);
    }
    PathAndQuery::try_from(text).map_err(|_| NoAddress)
}

fn authority(text: &str) -> Result<HeaderValue, NoAddress> {
    let authority = Authority::try_from(text).map_err(|_| NoAddress)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(NoAddress);
    }
    HeaderValue::from_str(text).map_err(|_| NoAddress)
}

/// Reads what stands in place of what `regex` finds.
pub(crate) fn pieces(text: &str, regex: &Regex) -> Result<Box<[Piece]>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(behind) = after.strip_prefix('$') {
            literal.push('$');
            rest = behind;
            continue;
        }
        let (name, behind) = group(after)
            .ok_or_else(|| format!("`{text}` has a `$` without a group; write `$$` for `$`"))?;
        let number = match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
            Err(_) => regex.capture_names().position(|own| own == Some(name)),
        };
        let number = number.ok_or_else(|| {
            let n = regex.captures_len() - 1;
            format!("`${name}` is no group of the expression, which has {n}")
        })?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
        }
        pieces.push(Piece::Group(number));
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    Ok(pieces.into())
}

/// The name behind a `$`, one or two digits or anything in braces, and what follows it.
fn group(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let n_digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    (n_digits > 0).then(|| text.split_at(n_digits))
}

#[cfg(test)]
mod tests;
