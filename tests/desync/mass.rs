//! Thousands of requests made of parts that readers are known to differ about, and what reaches a target of them.
//!
//! The target keeps the bytes of each connection. Whatever came over one that another request could have used has one
//! reading only, by every reader in `readers`.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::readers::{LENIENT, STRICT};
use crate::support::{DEADLINE, File, Kanaria, sized, until};

const LINES: [&str; 11] = [
    "GET / HTTP/1.1",
    "POST / HTTP/1.1",
    "HEAD / HTTP/1.1",
    "OPTIONS /a HTTP/1.1",
    "GET http://a/ HTTP/1.1",
    "POST /a b HTTP/1.1",
    "POST /\u{e9}<\u{7f} HTTP/1.1",
    "POST / HTTP/1.0",
    "GET / HTTP/1.0",
    "GET  / HTTP/1.1",
    "POST /\t HTTP/1.1",
];

const FRAMINGS: [&str; 48] = [
    "",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +3\r\n",
    "Content-Length: -3\r\n",
    "Content-Length: 0x3\r\n",
    "Content-Length: 3 3\r\n",
    "Content-Length: 3, 3\r\n",
    "Content-Length: 3,33\r\n",
    "Content-Length: 00000000000000000003\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nContent-Length: 33\r\n",
    "Content-Length: 33\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nContent_Length: 33\r\n",
    "Content_Length: 3\r\n",
    "Content-Length : 3\r\n",
    "Content-Length\t: 3\r\n",
    "Content-Length:\u{b}3\r\n",
    "Content-Length: 3\0\r\n",
    "Content-Length:\r\n 3\r\n",
    " Content-Length: 3\r\n",
    "X: a\r\n Content-Length: 3\r\n",
    "X: a\nContent-Length: 3\r\n",
    "X: a\rContent-Length: 3\r\n",
    "X: a\0\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nConnection: Content-Length\r\n",
    "Transfer-Encoding: chunked\r\n",
    "TRANSFER-ENCODING:CHUNKED\r\n",
    "Transfer-Encoding: chunked \r\n",
    "Transfer-Encoding:\u{b}chunked\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked;a=b\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "X: a\nTransfer-Encoding: chunked\r\n",
    "X: a\rTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\0\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "Content-Length: 3\r\nTransfer_Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n",
];

const BODIES: [&str; 12] = [
    "",
    "abc",
    "abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "0003 \r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
    "3;a=b\nabc\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcdef\r\n0\r\n\r\n",
];

/// What came over one connection to the target.
#[derive(Clone, Debug, Default)]
struct Came {
    bytes: Vec<u8>,
    is_closed: bool,
}

type All = Arc<Mutex<Vec<Came>>>;

/// A target that keeps every byte, and answers each request that a strict reader finds.
fn target() -> (SocketAddr, All) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let all = All::default();
    let came = Arc::clone(&all);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let position = {
                let mut came = came.lock().unwrap();
                came.push(Came::default());
                came.len() - 1
            };
            let came = Arc::clone(&came);
            thread::spawn(move || answer(stream, position, &came));
        }
    });
    (address, all)
}

fn answer(mut stream: TcpStream, position: usize, all: &All) {
    let (mut space, mut from) = ([0; 4096], 0);
    while let Ok(n @ 1..) = stream.read(&mut space) {
        let mut answers = String::new();
        let came = &mut all.lock().unwrap()[position];
        came.bytes.extend(&space[..n]);
        while let Some(message) = STRICT.first(&came.bytes, from) {
            from = message.ends.1;
            let body = if message.line.starts_with(b"HEAD ") {
                ""
            } else {
                "ok"
            };
            answers += &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
        }
        if stream.write_all(answers.as_bytes()).is_err() {
            break;
        }
    }
    all.lock().unwrap()[position].is_closed = true;
}

/// Sends `request` on a connection of its own and reads all that comes back; whether something did.
fn send(address: SocketAddr, request: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answers = Vec::new();
    // Who is refused may be cut before all is sent.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut answers);
    answers.starts_with(b"HTTP/1.1 200")
}

fn requests() -> Vec<Vec<u8>> {
    let each = sized(7, 1);
    let lines = LINES
        .iter()
        .flat_map(|line| FRAMINGS.map(|framing| (line, framing)));
    let all = lines.flat_map(|(line, framing)| BODIES.map(|body| (line, framing, body)));
    let bytes = all.map(|(line, framing, body)| {
        let host = "Host: a\r\n";
        format!("{line}\r\n{host}{framing}\r\n{body}").into_bytes()
    });
    bytes.step_by(each).collect()
}

fn run(mode: &str) {
    let (address, all) = target();
    let keys = format!("desync_mode = \"{mode}\"\ntimeouts = {{ body = \"2s\" }}");
    let kanaria = Kanaria::start(&File::at(address).server(&keys));
    let requests = requests();
    let (next, n_served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let served = send(kanaria.public, request);
                    n_served.fetch_add(usize::from(served), Ordering::Relaxed);
                }
            });
        }
    });
    let (mut n_messages, mut n_alone, mut n_doubted) = (0, 0, 0);
    let n_connections = all.lock().unwrap().len();
    for position in 0..n_connections {
        let came = || all.lock().unwrap()[position].clone();
        let strict = STRICT.split(&came().bytes);
        n_messages += strict.len();
        let bytes = came().bytes;
        let differs = LENIENT.iter().find(|reader| reader.split(&bytes) != strict);
        let Some(reader) = differs else { continue };
        n_doubted += 1;
        let told = || format!("{mode}: {}: {}", reader.name, bytes.escape_ascii());
        assert!(strict.len() <= 1, "{}", told());
        until("what is doubtful has a connection of its own", || {
            came().is_closed.then_some(())
        });
        n_alone += 1;
    }
    println!(
        "{mode}: {} requests, {} served, {n_messages} arrived over {n_connections} connections; {n_doubted} have several readings, {n_alone} of them alone on a connection that was closed",
        requests.len(),
        n_served.load(Ordering::Relaxed),
    );
    assert!(
        n_messages > requests.len() / 50,
        "the test asks for something"
    );
    drop(kanaria);
}

#[test]
fn whatever_reaches_a_target_on_a_connection_that_is_used_again_has_one_reading() {
    for mode in ["defensive", "monitor", "strictest"] {
        run(mode);
    }
}
