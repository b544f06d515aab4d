//! An admin API of one canned answer, for tests: keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// A running stub; its thread ends with its listener's first error or the test.
pub(crate) struct Stub {
    /// For `--admin`.
    pub(crate) url: String,
    asked: Receiver<Asked>,
}

/// What the stub was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// First line and header lines, in lower case.
    pub(crate) head: String,
    /// Body.
    pub(crate) body: String,
}

impl Stub {
    /// Answers every request with `status` and `body`.
    pub(crate) fn new(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = answer(status, body);
        Self::serve(url, listener.incoming_owned(), answer)
    }

    /// The same on a unix socket.
    pub(crate) fn unix(path: &Path, status: u16, body: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let answer = answer(status, body);
        Self::serve(
            format!("unix:{}", path.display()),
            listener.incoming_owned(),
            answer,
        )
    }

    /// Reads each request and closes without an answer.
    pub(crate) fn mute() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(url, listener.incoming_owned(), String::new())
    }

    /// An address where nobody listens.
    pub(crate) fn dead() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// The next request, which must have come already.
    #[track_caller]
    pub(crate) fn asked(&self) -> Asked {
        self.asked.try_recv().expect("the stub was asked")
    }

    /// Whether every request has been seen.
    pub(crate) fn nothing_asked(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    fn serve<S: Read + Write>(
        url: String,
        connections: impl Iterator<Item = S> + Send + 'static,
        answer: String,
    ) -> Self {
        let (told, asked) = channel();
        std::thread::spawn(move || {
            for mut stream in connections {
                let request = read(&mut stream);
                if told.send(request).is_err() {
                    return;
                }
                // A client that went away is its own affair.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, asked }
    }
}

fn answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(stream: &mut impl Read) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Asked {
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

trait Incoming {
    type Stream: Read + Write;
    fn incoming_owned(self) -> impl Iterator<Item = Self::Stream> + Send + 'static;
}

impl Incoming for TcpListener {
    type Stream = std::net::TcpStream;
    fn incoming_owned(self) -> impl Iterator<Item = Self::Stream> + Send + 'static {
        std::iter::from_fn(move || self.accept().ok().map(|(stream, _)| stream))
    }
}

impl Incoming for UnixListener {
    type Stream = std::os::unix::net::UnixStream;
    fn incoming_owned(self) -> impl Iterator<Item = Self::Stream> + Send + 'static {
        std::iter::from_fn(move || self.accept().ok().map(|(stream, _)| stream))
    }
}
