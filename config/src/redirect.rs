//! Where a redirect leads: texts with an ALB's keywords, and the address they make of a request.
//!
//! It reads nothing but what it is given, and an address it makes is always absolute and visible ASCII.

use std::fmt::Write as _;

/// The longest `Location`, in bytes, as of an ALB; a longer one is answered 507.
pub const LONGEST: usize = 8 * 1024;

/// A redirect, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Status of the answer.
    pub status: u16,
    pub(crate) secure: Option<bool>,
    pub(crate) host: Template,
    pub(crate) port: Option<Port>,
    pub(crate) path: Template,
    pub(crate) query: Template,
}

/// The port of the address; where it is absent it follows the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Asked,
    Fixed(u16),
}

/// A text with keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Keyword(Keyword),
    Text(Box<str>),
}

/// A part of what the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Host,
    Path,
    Port,
    Protocol,
    Query,
}

/// What a client asked for, as far as a redirect may repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// It came by https.
    pub secure: bool,
    /// The host it named, with its port; empty when it named none.
    pub authority: &'a str,
    /// The port it was told to have come to by who may say so.
    pub port: Option<u16>,
    /// Path, as sent.
    pub path: &'a str,
    /// Query, without `?`, as sent.
    pub query: &'a str,
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLocation {
    /// The request names no host.
    NoHost,
    /// It would be longer than `LONGEST`.
    TooLong,
}

impl Redirect {
    /// The address that `asked` is sent to.
    ///
    /// A default port is left out, and bytes above ASCII are percent-encoded: both say the same (RFC 3986 sections
    /// 6.2.2 and 6.2.3).
    ///
    /// # Errors
    /// When the request names no host, or the address is too long.
    pub fn location(&self, asked: &Asked<'_>) -> Result<String, NoLocation> {
        // Never from https to http, whatever the file says.
        let secure = asked.secure || self.secure.unwrap_or(false);
        let mut location = String::with_capacity(128);
        location.push_str(if secure { "https://" } else { "http://" });
        let start = location.len();
        self.host.write(asked, &mut location);
        if location.len() == start {
            return Err(NoLocation::NoHost);
        }
        let port = match self.port {
            Some(Port::Fixed(port)) => port,
            None if secure != asked.secure => default_port(secure),
            Some(Port::Asked) | None => asked.port(),
        };
        if port != default_port(secure) {
            let _ = write!(location, ":{port}");
        }
        self.path.write(asked, &mut location);
        let end = location.len();
        location.push('?');
        self.query.write(asked, &mut location);
        if location.len() == end + 1 {
            location.truncate(end);
        }
        if location.len() > LONGEST {
            return Err(NoLocation::TooLong);
        }
        Ok(location)
    }

    /// The rule as text, with its keywords.
    pub fn shown(&self) -> String {
        let protocol = match self.secure {
            Some(true) => "https",
            Some(false) => "http",
            None => "#{protocol}",
        };
        let port = match self.port {
            Some(Port::Fixed(port)) => format!(":{port}"),
            Some(Port::Asked) => ":#{port}".into(),
            None => String::new(),
        };
        let (host, path, query) = (self.host.shown(), self.path.shown(), self.query.shown());
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{protocol}://{host}{port}{path}{mark}{query}")
    }
}

impl Template {
    /// Reads `text`, in which only `allowed` keywords may stand.
    pub(crate) fn new(text: &str, allowed: &[Keyword]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("#{") {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(format!("`{text}` has a `#{{` without its `}}`"));
            };
            let keyword = allowed.iter().find(|keyword| keyword.name() == name);
            let Some(keyword) = keyword else {
                let names = allowed
                    .iter()
                    .map(|keyword| format!("`#{{{}}}`", keyword.name()));
                let names = names.collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "`#{{{name}}}` is no keyword here; allowed are {names}"
                ));
            };
            pieces.extend((!before.is_empty()).then(|| Piece::Text(before.into())));
            pieces.push(Piece::Keyword(*keyword));
            rest = behind;
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.into())));
        Ok(Self(pieces.into()))
    }

    /// The text without its keywords.
    pub(crate) fn literal(&self) -> String {
        let texts = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(&**text),
            Piece::Keyword(_) => None,
        });
        texts.collect()
    }

    fn write(&self, asked: &Asked<'_>, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Keyword(keyword) => keyword.write(asked, out),
            }
        }
    }

    fn shown(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Keyword(keyword) => format!("#{{{}}}", keyword.name()),
        });
        pieces.collect()
    }
}

impl Keyword {
    pub(crate) const ALL: [Self; 5] = [
        Self::Protocol,
        Self::Host,
        Self::Port,
        Self::Path,
        Self::Query,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
            Self::Port => "port",
            Self::Protocol => "protocol",
            Self::Query => "query",
        }
    }

    fn write(self, asked: &Asked<'_>, out: &mut String) {
        match self {
            Self::Host => out.push_str(host(asked.authority).0),
            Self::Path => encode(asked.path.strip_prefix('/').unwrap_or(asked.path), out),
            Self::Port => {
                let _ = write!(out, "{}", asked.port());
            }
            Self::Protocol => out.push_str(if asked.secure { "https" } else { "http" }),
            Self::Query => encode(asked.query, out),
        }
    }
}

impl Asked<'_> {
    /// The port the client used, as far as it shows: a client names every port but the default one.
    fn port(&self) -> u16 {
        let named = host(self.authority).1;
        self.port
            .or(named)
            .unwrap_or_else(|| default_port(self.secure))
    }
}

/// Host and port of an authority.
fn host(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn encode(text: &str, out: &mut String) {
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
