//! Where an admin API listens, as written by an operator.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp {
        /// Name or address, without the brackets of an IPv6 address.
        host: String,
        /// Port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
    /// Over a unix socket.
    Unix(PathBuf),
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; expected http://HOST:PORT, https://HOST:PORT or unix:/PATH")]
pub struct NotAnEndpoint(String);

impl Endpoint {
    /// What goes into the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".into(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(NotAnEndpoint(
                    "the path of the socket is not absolute".into(),
                ))
            };
        }
        match text.strip_prefix("https://") {
            Some(rest) => tcp(rest, true),
            None => tcp(text.strip_prefix("http://").unwrap_or(text), false),
        }
    }
}

fn tcp(text: &str, tls: bool) -> Result<Endpoint, NotAnEndpoint> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let Ok(authority) = text.parse::<http::uri::Authority>() else {
        return Err(NotAnEndpoint("no host and port".into()));
    };
    if text.contains('@') {
        return Err(NotAnEndpoint(
            "a name or password does not belong here".into(),
        ));
    }
    let Some(port) = authority.port_u16() else {
        return Err(NotAnEndpoint("the port is missing".into()));
    };
    let host = authority.host();
    if host.is_empty() {
        return Err(NotAnEndpoint("the host is missing".into()));
    }
    Ok(Endpoint::Tcp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        tls,
    })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls: true, .. } => write!(f, "https://{}", self.authority()),
            Self::Tcp { .. } => write!(f, "http://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let read = text
            .parse::<Endpoint>()
            .map(|endpoint| endpoint.to_string());
        let read = read.map_err(|error| error.0);
        assert_eq!(
            read.as_deref().map_err(String::as_str),
            expected,
            "for `{text}`"
        );
    }

    #[test]
    fn addresses_names_and_sockets_are_endpoints() {
        check("http://127.0.0.1:9900", Ok("http://127.0.0.1:9900"));
        check(
            "http://router-1.internal:9900/",
            Ok("http://router-1.internal:9900"),
        );
        check("http://[::1]:9900", Ok("http://[::1]:9900"));
        check("https://127.0.0.1:9900/", Ok("https://127.0.0.1:9900"));
        check("localhost:9900", Ok("http://localhost:9900"));
        check(
            "unix:/run/kanaria/admin.sock",
            Ok("unix:/run/kanaria/admin.sock"),
        );
    }

    #[test]
    fn anything_else_says_what_is_missing() {
        check("", Err("no host and port"));
        check("http://", Err("no host and port"));
        check("http://:9900", Err("the host is missing"));
        check("http://127.0.0.1", Err("the port is missing"));
        check("http://127.0.0.1:99000", Err("the port is missing"));
        check("http://127.0.0.1:9900/api", Err("no host and port"));
        check("https://127.0.0.1", Err("the port is missing"));
        check(
            "http://me:secret@127.0.0.1:9900",
            Err("a name or password does not belong here"),
        );
        check(
            "unix:admin.sock",
            Err("the path of the socket is not absolute"),
        );
    }
}
