//! A client on one kept connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::wire::{Framing, Head, Wire};

/// One connection to the router.
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// A whole answer and the interim ones before it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) interim: Vec<Head>,
    pub(crate) head: Head,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// When the last byte was read.
    pub(crate) at: Instant,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        match Self::try_connect(address) {
            Ok(client) => client,
            Err(error) => panic!("no connection to {address}: {error}"),
        }
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).map(|stream| Self {
            wire: Wire::new(stream),
        })
    }

    /// The client of a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            wire: Wire::new(stream),
        }
    }

    /// Sends `bytes`, which are one request, and reads its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        match self.try_call(bytes) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub(crate) fn try_call(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Answer> {
        let bytes = bytes.as_ref();
        self.wire.send(bytes)?;
        self.answer(bytes.starts_with(b"HEAD "))
    }

    /// Reads the answer to a request already sent.
    pub(crate) fn answer(&mut self, bodiless: bool) -> io::Result<Answer> {
        let mut interim = Vec::new();
        loop {
            let head = self
                .wire
                .head()?
                .ok_or_else(|| io::Error::other("closed without an answer"))?;
            let status = status(&head)?;
            if status < 200 && status != 101 {
                interim.push(head);
                continue;
            }
            let framing = framing(&head, status, bodiless);
            return Ok(Answer {
                interim,
                status,
                body: self.wire.body(framing)?,
                at: Instant::now(),
                head,
            });
        }
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.head
            .get("connection")
            .is_some_and(|connection| connection.eq_ignore_ascii_case("close"))
    }

    /// The name of the environment that answered; empty when the router did.
    pub(crate) fn stub(&self) -> &str {
        self.head.get("stub").unwrap_or_default()
    }
}

/// A GET of `path` with `fields`, complete lines each with its line end.
pub(crate) fn get(path: &str, fields: &str) -> String {
    request("GET", path, fields, "")
}

/// A request to `www.example.com`, unless `fields` names another host.
pub(crate) fn request(method: &str, path: &str, fields: &str, body: &str) -> String {
    let host = if names_host(fields) {
        ""
    } else {
        "Host: www.example.com\r\n"
    };
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\n{host}{fields}{length}\r\n{body}")
}

fn names_host(fields: &str) -> bool {
    fields
        .split("\r\n")
        .any(|line| line.to_ascii_lowercase().starts_with("host:"))
}

fn status(head: &Head) -> io::Result<u16> {
    let code = head.line.split(' ').nth(1).unwrap_or_default();
    code.parse()
        .map_err(|_| io::Error::other(format!("not a status line: {:?}", head.line)))
}

fn framing(head: &Head, status: u16, bodiless: bool) -> Framing {
    if bodiless || matches!(status, 101 | 204 | 304) {
        return Framing::Absent;
    }
    match head.framing() {
        Framing::Absent => Framing::UntilClose,
        framing => framing,
    }
}
