//! A line of an access log, ours in JSON or an Application Load Balancer's, as far as it tells of a request.

use std::borrow::Cow;
use std::net::IpAddr;

use config::facts::Fields;
use http::{HeaderName, header};
use serde::Deserialize;

/// What one line tells.
#[derive(Debug, PartialEq)]
pub(super) struct Told<'a> {
    /// What was asked for; `None` when the request could not be read.
    pub(super) asked: Option<Asked<'a>>,
    /// Whether the line is ours, so that it tells what follows.
    pub(super) is_ours: bool,
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) revision: Option<u64>,
    pub(super) digest: Option<Cow<'a, str>>,
    pub(super) listener: Option<Cow<'a, str>>,
    pub(super) route: Option<Cow<'a, str>>,
    /// The pool first chosen.
    pub(super) pool: Option<Cow<'a, str>>,
    /// The pool that served.
    pub(super) served_by: Option<Cow<'a, str>>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) bucket: Option<u16>,
}

/// What was asked for, and by whom.
#[derive(Debug, PartialEq)]
pub(super) struct Asked<'a> {
    pub(super) method: Cow<'a, str>,
    pub(super) host: Cow<'a, str>,
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<Cow<'a, str>>,
    pub(super) client: IpAddr,
    pub(super) user_agent: Option<Cow<'a, str>>,
    referer: Option<Cow<'a, str>>,
}

/// A line that is none of an access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no access log in the form json or alb")]
pub struct NotALine;

/// A text as it stands in the line; a copy only where it has escapes. (Of an `Option<Cow>` serde always makes one.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of our line that are looked at.
#[derive(Deserialize)]
struct Ours<'a> {
    #[serde(borrow)]
    time: Option<Text<'a>>,
    revision: Option<u64>,
    #[serde(borrow)]
    config_digest: Option<Text<'a>>,
    #[serde(borrow)]
    listener: Option<Text<'a>>,
    client_ip: IpAddr,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    host: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    query: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    referer: Option<Text<'a>>,
    #[serde(borrow)]
    route: Option<Text<'a>>,
    #[serde(borrow)]
    pool: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    switched_from: Option<Text<'a>>,
    bucket: Option<u16>,
    /// Only to know the line by.
    #[serde(rename = "log_version")]
    _version: u32,
}

impl<'a> Told<'a> {
    /// Reads one line, without its line feed.
    pub(super) fn read(line: &'a str) -> Result<Self, NotALine> {
        if line.starts_with('{') {
            return Self::ours(line);
        }
        Self::alb(line).ok_or(NotALine)
    }

    fn ours(line: &'a str) -> Result<Self, NotALine> {
        let ours: Ours<'a> = serde_json::from_str(line).map_err(|_| NotALine)?;
        let text = |text: Option<Text<'a>>| text.map(|text| text.0);
        let (method, path) = (text(ours.method), text(ours.path));
        let asked = method.zip(path).map(|(method, path)| Asked {
            method,
            host: text(ours.host).unwrap_or_default(),
            path,
            query: text(ours.query),
            client: ours.client_ip,
            user_agent: text(ours.user_agent),
            referer: text(ours.referer),
        });
        let served_by = text(ours.pool);
        Ok(Self {
            asked,
            is_ours: true,
            time: text(ours.time),
            revision: ours.revision,
            digest: text(ours.config_digest),
            listener: text(ours.listener),
            route: text(ours.route),
            pool: text(ours.switched_from).or_else(|| served_by.clone()),
            served_by,
            reason: text(ours.reason),
            bucket: ours.bucket,
        })
    }

    /// An ALB's line; how many fields there are differs by its age.
    fn alb(line: &'a str) -> Option<Self> {
        const KINDS: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];
        let mut fields = Words(line);
        let kind = fields.next()?;
        if !KINDS.contains(&kind) {
            return None;
        }
        // Behind the type: time, load balancer.
        let client = fields.nth(2)?;
        let client = client.rsplit_once(':').map_or(client, |(host, _)| host);
        let client = client.trim_matches(['[', ']']).parse().ok()?;
        // Target, three times, two statuses, bytes in and out.
        let request = fields.nth(8)?;
        let user_agent = fields.next().filter(|agent| *agent != "-").map(plain);
        Some(Self {
            asked: asked(request, client, user_agent),
            is_ours: false,
            time: None,
            revision: None,
            digest: None,
            listener: None,
            route: None,
            pool: None,
            served_by: None,
            reason: None,
            bucket: None,
        })
    }
}

/// `METHOD proto://host:port/uri HTTP/x`; `None` when the request was none.
fn asked<'a>(
    request: &'a str,
    client: IpAddr,
    user_agent: Option<Cow<'a, str>>,
) -> Option<Asked<'a>> {
    let (method, rest) = request.split_once(' ')?;
    let (url, _protocol) = rest.rsplit_once(' ')?;
    let (_scheme, rest) = url.split_once("://")?;
    let (host, target) = rest.split_at(rest.find(['/', '?'])?);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    (method != "-").then(|| Asked {
        method: plain(method),
        host: plain(host),
        path: plain(path),
        query: query.map(plain),
        client,
        user_agent,
        referer: None,
    })
}

/// A text in which `\xHH` is a byte once more.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut pieces = text.split("\\x");
    let mut bytes: Vec<u8> = pieces.next().unwrap_or_default().into();
    for piece in pieces {
        let byte = piece
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&piece.as_bytes()[2..]);
            }
            None => bytes.extend(piece.as_bytes()),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The fields between spaces, in quotes or without.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let (word, rest) = match self.0.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => self.0.split_at(self.0.find(' ').unwrap_or(self.0.len())),
        };
        self.0 = rest.strip_prefix(' ').unwrap_or(rest);
        Some(word)
    }
}

/// The few fields that a line tells.
impl Fields for Asked<'_> {
    fn any(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let value = match *name {
            header::HOST => Some(&self.host),
            header::REFERER => self.referer.as_ref(),
            header::USER_AGENT => self.user_agent.as_ref(),
            _ => None,
        };
        value.is_some_and(|value| visit(value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_alb_is_read_whatever_its_age() {
        let old = "http 2018-07-02T22:23:00.186641Z app/my/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.000 0.001 0.000 \
                   200 200 34 366 \"GET http://www.example.com:80/a%20b?c=\\x22d\\x22 HTTP/1.1\" \"curl/7.46.0\" - - arn:x";
        let told = Told::read(old).unwrap();
        let asked = told.asked.unwrap();
        assert_eq!(
            (&*asked.method, &*asked.host),
            ("GET", "www.example.com:80")
        );
        assert_eq!(
            (&*asked.path, asked.query.as_deref()),
            ("/a%20b", Some("c=\"d\""))
        );
        assert_eq!(asked.client, IpAddr::from([192, 0, 2, 7]));
        assert_eq!(asked.user_agent.as_deref(), Some("curl/7.46.0"));
        let new = old.replace("192.0.2.7", "[2001:db8::7]").replace(
            "GET http://www.example.com:80/a%20b?c=\\x22d\\x22 HTTP/1.1",
            "- http://www.example.com:80- -",
        );
        assert_eq!(Told::read(&new).unwrap().asked, None);
    }

    #[test]
    fn texts_without_escapes_are_not_copied() {
        let line = r#"{"log_version":1,"client_ip":"192.0.2.7","method":"GET","path":"/a","host":"a\"b","pool":"ecs"}"#;
        let told = Told::read(line).unwrap();
        let asked = told.asked.unwrap();
        assert!(matches!(asked.path, Cow::Borrowed("/a")));
        assert!(matches!(told.pool, Some(Cow::Borrowed("ecs"))));
        assert!(matches!(asked.host, Cow::Owned(_)));
    }

    #[test]
    fn what_is_no_line_is_told_so() {
        for text in [
            "",
            "{}",
            "{\"time\":1}",
            "127.0.0.1 - - [x] \"GET / HTTP/1.1\" 200 1",
            "http only",
        ] {
            assert_eq!(Told::read(text), Err(NotALine), "{text}");
        }
    }
}
