//! Requests that are written down to be sent again: one JSON object a line, in a file of bounded size.
//!
//! What is a secret is left out before a line is made; nothing here knows which route or pool it was.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::shadow::Redaction;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::caller::Call;

/// Fields that are never written down, whatever the file says.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
/// Bytes of a line that are read; a longer one is no request of ours.
const LONGEST_LINE: u64 = 32 << 20;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// When its copy was made, UTC.
    pub time: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Fields in order, as the shadow pool got them.
    pub headers: Vec<(String, String)>,
    /// The whole body, in base64; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// A file that requests are written to.
pub struct Capture {
    path: PathBuf,
    file: File,
    /// Bytes that it may still grow by.
    left: u64,
    lines: u64,
    ended: Option<String>,
}

impl Capture {
    /// Appends to the file at `path`, until it has `size` bytes. Only its owner may read it.
    ///
    /// # Errors
    /// When it cannot be opened for writing, or is no file: a pipe would wait for a reader, and all changes with it.
    pub fn open(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        options.mode(0o600);
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            left: size.saturating_sub(found.len()),
            lines: 0,
            ended: None,
        })
    }

    /// Writes `request` down, without what `redaction` says; from the first line that does not fit, or cannot be written,
    /// nothing is.
    pub fn write(&mut self, request: &Call, time: String, redaction: &Redaction) {
        if self.ended.is_some() {
            return;
        }
        let line = line(request, time, redaction);
        if line.len() as u64 > self.left {
            self.ended = Some("it has the size it may have".into());
            tracing::warn!(
                "{}: {} requests are recorded, and no more: it has the size it may have",
                self.path.display(),
                self.lines
            );
            return;
        }
        match self.file.write_all(&line) {
            Ok(()) => {
                self.left -= line.len() as u64;
                self.lines += 1;
            }
            Err(error) => {
                self.ended = Some(error.to_string());
                tracing::error!(
                    "{}: no request is recorded any more: {error}",
                    self.path.display()
                );
            }
        }
    }

    /// How many requests were written, and why no more are; `None` while they are.
    pub fn standing(&self) -> (u64, Option<&str>) {
        (self.lines, self.ended.as_deref())
    }
}

fn line(request: &Call, time: String, redaction: &Redaction) -> Vec<u8> {
    let kept = |name: &HeaderName| !SECRET.contains(name) && !redaction.hides_field(name);
    let headers = request.headers.iter().filter(|(name, _)| kept(name));
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    let captured = Captured {
        time,
        method: request.method.to_string(),
        uri: redaction.uri(&request.uri),
        headers: headers.collect(),
        body: STANDARD.encode(request.body.concat()),
    };
    let mut line = serde_json::to_vec(&captured).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The requests of a file, in order; a line that is none is an error, which says where.
pub fn read(from: impl BufRead) -> impl Iterator<Item = Result<Call, String>> {
    let lines = lines(from).enumerate();
    lines.filter_map(|(position, line)| {
        let line = match line {
            Ok(line) if line.trim_ascii().is_empty() => return None,
            Ok(line) => line,
            Err(error) => return Some(Err(error.to_string())),
        };
        let captured: Result<Captured, _> = serde_json::from_slice(&line);
        let request = captured.map_err(|error| error.to_string());
        let request = request.and_then(|captured| Call::try_from(&captured));
        Some(request.map_err(|why| format!("line {}: {why}", position + 1)))
    })
}

fn lines(mut from: impl BufRead) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = io::Read::take(&mut from, LONGEST_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    })
}

impl TryFrom<&Captured> for Call {
    type Error = String;

    fn try_from(captured: &Captured) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &captured.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no field"))?;
            let value = HeaderValue::from_bytes(value.as_bytes());
            headers.append(
                name.clone(),
                value.map_err(|_| format!("`{name}` has no value"))?,
            );
        }
        let body = STANDARD.decode(&captured.body);
        let body = body.map_err(|_| "the body is not base64".to_owned())?;
        let method = captured.method.parse();
        let uri: Uri = captured
            .uri
            .parse()
            .map_err(|_| format!("`{}` is no path", captured.uri))?;
        if !captured.uri.starts_with('/') {
            return Err(format!("`{}` is no path", captured.uri));
        }
        Ok(Self {
            method: method.map_err(|_| format!("`{}` is no method", captured.method))?,
            uri,
            headers,
            body: if body.is_empty() {
                Vec::new()
            } else {
                vec![body.into()]
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn request(uri: &str, body: &'static [u8]) -> Call {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a.test"),
            ("cookie", "a=1"),
            ("x-api-key", "k"),
            ("accept", "a"),
            ("accept", "b"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        Call {
            method: Method::POST,
            uri: uri.parse().unwrap(),
            headers,
            body: vec![Bytes::from_static(body)],
        }
    }

    #[test]
    fn a_line_has_no_secret_and_is_the_request_again() {
        let redaction = Redaction::new(&["query:token", "header:X-Api-Key"]).unwrap();
        let line = line(
            &request("/p?a=1&token=s3cret&token=2&b", b"\x00body"),
            "t".into(),
            &redaction,
        );
        let text = String::from_utf8(line.clone()).unwrap();
        assert_eq!(
            text,
            "{\"time\":\"t\",\"method\":\"POST\",\"uri\":\"/p?a=1&token=-&token=-&b\",\"headers\":[[\"host\",\"a.test\"],[\"accept\",\"a\"],[\"accept\",\"b\"]],\"body\":\"AGJvZHk=\"}\n"
        );
        let again: Vec<_> = read(&*line).collect::<Result<_, _>>().unwrap();
        assert_eq!(again[0].method, Method::POST);
        assert_eq!(again[0].uri, "/p?a=1&token=-&token=-&b");
        assert_eq!(again[0].headers.get_all("accept").iter().count(), 2);
        assert_eq!(again[0].body.concat(), b"\x00body");
    }

    #[test]
    fn a_file_is_read_to_its_first_wrong_line() {
        for (text, expect) in [
            ("{", "line 1: EOF"),
            (
                "\n{\"time\":\"\",\"method\":\"GET\",\"uri\":\"x\",\"headers\":[]}",
                "line 2: `x` is no path",
            ),
            (
                "{\"time\":\"\",\"method\":\"\",\"uri\":\"/\",\"headers\":[]}",
                "line 1: `` is no method",
            ),
            (
                "{\"time\":\"\",\"method\":\"GET\",\"uri\":\"/\",\"headers\":[],\"body\":\"?\"}",
                "line 1: the body is not base64",
            ),
            (
                "{\"time\":\"\",\"method\":\"GET\",\"uri\":\"/\",\"headers\":[[\"a b\",\"\"]]}",
                "line 1: `a b` is no field",
            ),
        ] {
            let error = read(text.as_bytes()).find_map(Result::err).unwrap();
            assert!(error.starts_with(expect), "{error}");
        }
    }

    #[test]
    fn a_file_has_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("captured");
        let redaction = Redaction::default();
        for _ in 0..2 {
            let mut capture = Capture::open(&path, 500).unwrap();
            for _ in 0..10 {
                capture.write(&request("/", b""), "t".into(), &redaction);
            }
            assert!(capture.standing().1.is_some());
        }
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() <= 500 && text.ends_with(b"\n"), "{}", text.len());
        assert!(read(&*text).all(|line| line.is_ok()));
        assert!(Capture::open(folder.path(), 1).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(Capture::open(&pipe, 1).is_err());
        let _reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe)
            .unwrap();
        let refused = Capture::open(&pipe, 1).err().unwrap();
        assert_eq!(refused.to_string(), "it is no file");
    }
}
