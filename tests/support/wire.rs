//! HTTP/1.1 messages on a socket, read byte for byte.
//!
//! Lenient on purpose: it shows what arrived and judges nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, Stream};
use socket2::SockRef;

use super::DEADLINE;

/// A socket and the bytes read ahead.
pub(crate) struct Wire {
    stream: TcpStream,
    session: Option<Box<ClientConnection>>,
    held: Vec<u8>,
}

/// A start line and its fields. Bytes are kept as characters of the same number, so nothing is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) size: usize,
}

/// How a message says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    Absent,
    Chunked,
    Sized(usize),
    UntilClose,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream
            .set_nodelay(true)
            .expect("a socket takes TCP_NODELAY");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a deadline above zero");
        Self {
            stream,
            session: None,
            held: Vec::new(),
        }
    }

    /// As `new`, with TLS over it.
    pub(crate) fn secured(stream: TcpStream, session: ClientConnection) -> Self {
        Self {
            session: Some(Box::new(session)),
            ..Self::new(stream)
        }
    }

    /// Shakes hands.
    pub(crate) fn shake(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        while session.is_handshaking() {
            session.complete_io(&mut self.stream)?;
        }
        Ok(())
    }

    /// The session of TLS.
    pub(crate) fn session(&self) -> &ClientConnection {
        self.session.as_ref().expect("a connection with TLS")
    }

    pub(crate) fn patience(&self, time: Duration) {
        self.stream
            .set_read_timeout(Some(time))
            .expect("a deadline above zero");
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.session {
            None => self.stream.write_all(bytes.as_ref()),
            Some(session) => {
                let mut stream = Stream::new(&mut **session, &mut self.stream);
                stream.write_all(bytes.as_ref())?;
                stream.flush()
            }
        }
    }

    /// The next head; `None` when the peer closed before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.held, b"\r\n\r\n") {
                break end;
            }
            if self.fill()? == 0 {
                return if self.held.is_empty() {
                    Ok(None)
                } else {
                    Err(cut())
                };
            }
        };
        let bytes: Vec<u8> = self.held.drain(..end + 4).collect();
        Ok(Some(Head::parse(&bytes[..end])))
    }

    pub(crate) fn body(&mut self, framing: Framing) -> io::Result<Vec<u8>> {
        match framing {
            Framing::Absent => Ok(Vec::new()),
            Framing::Chunked => self.chunks(),
            Framing::Sized(length) => self.exactly(length),
            Framing::UntilClose => self.rest(),
        }
    }

    /// The next bytes, as they come: at least one, none at the end.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.held.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.held))
    }

    pub(crate) fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < length {
            if self.fill()? == 0 {
                return Err(cut());
            }
        }
        Ok(self.held.drain(..length).collect())
    }

    /// One chunk; empty at the last.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let chunk = self.exactly(size)?;
        if size > 0 {
            self.line()?;
        } else {
            while !self.line()?.is_empty() {}
        }
        Ok(chunk)
    }

    /// Everything until the peer closes; an error when it resets.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.held))
    }

    /// Waits until the peer has closed or reset the connection; whatever it sends before is dropped.
    pub(crate) fn closed(&mut self) -> bool {
        match self.rest() {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        // The peer may be gone already, which is as finished as it gets.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Drops the connection with a reset.
    pub(crate) fn reset(self) {
        reset(&self.stream);
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(end) = find(&self.held, b"\r\n") {
                break end;
            }
            if self.fill()? == 0 {
                return Err(cut());
            }
        };
        let line: Vec<u8> = self.held.drain(..end + 2).collect();
        Ok(text(&line[..end]))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let n = match &mut self.session {
            None => self.stream.read(&mut piece)?,
            Some(session) => Stream::new(&mut **session, &mut self.stream).read(&mut piece)?,
        };
        self.held.extend_from_slice(&piece[..n]);
        Ok(n)
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let whole = text(bytes);
        let mut lines = whole.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines
            .map(|line| line.split_once(':').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
            .collect();
        Self {
            line,
            fields,
            size: bytes.len() + 4,
        }
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The framing of a request with this head; a response without length adds `UntilClose`.
    pub(crate) fn framing(&self) -> Framing {
        if self
            .get("transfer-encoding")
            .is_some_and(|coding| coding.ends_with("chunked"))
        {
            return Framing::Chunked;
        }
        match self.get("content-length").map(str::parse) {
            Some(Ok(length)) => Framing::Sized(length),
            _ => Framing::Absent,
        }
    }
}

/// Makes closing `stream` send a reset.
pub(crate) fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket takes SO_LINGER");
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a message")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
