//! Clients of HTTP/1.1 that only hold on: slow heads, slow bodies, slow readers, thousands that say nothing.
//!
//! Those of HTTP/2 are in `http2/abuse.rs`; `support/siege.rs` says what is measured.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{After, Client, File, Kanaria, Stub, besiege, get, sized, until};

/// As many files as the system lets this process have, and the router that inherits it.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("up to the maximum");
}

fn router(ec2: &Stub) -> Kanaria {
    start(File::single(ec2))
}

fn start(file: File) -> Kanaria {
    raise_files();
    let timeouts = "timeouts = { header = \"2s\", body = \"2s\", idle = \"30s\" }";
    Kanaria::start(&file.quiet().server(timeouts))
}

fn honest(kanaria: &Kanaria) -> impl FnMut() + '_ {
    let mut kept = kanaria.client();
    move || {
        assert_eq!(kept.call(get("/honest", "")).status, 200);
        assert_eq!(kanaria.client().call(get("/honest", "")).status, 200);
    }
}

fn open(kanaria: &Kanaria, n: usize) -> Vec<TcpStream> {
    let streams = (0..n).map(|_| TcpStream::connect(kanaria.public).expect("a place is free"));
    streams.collect()
}

/// Sends `first` on `n` connections, then a byte on each again and again for `time`; those that are cut are opened anew.
fn drip(kanaria: &Kanaria, n: usize, first: &str, time: Duration) {
    let begin = |stream: &mut TcpStream| stream.write_all(first.as_bytes());
    let mut streams = open(kanaria, n);
    streams.iter_mut().for_each(|stream| drop(begin(stream)));
    let end = Instant::now() + time;
    let mut cut = 0;
    while Instant::now() < end {
        for stream in &mut streams {
            if stream.write_all(b"x").is_err() {
                cut += 1;
                *stream = TcpStream::connect(kanaria.public).expect("a place is free");
                drop(begin(stream));
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{n} connections, {cut} of them cut and opened anew");
    assert!(cut > 0, "nobody was cut");
}

fn time() -> Duration {
    Duration::from_secs(sized(5, 30) as u64)
}

#[test]
fn slow_heads_hold_up_nobody() {
    let ec2 = Stub::start("ec2");
    let kanaria = router(&ec2);
    let n = sized(300, 3000);
    besiege("slow heads", &kanaria, 64, honest(&kanaria), || {
        drip(&kanaria, n, "GET / HTTP/1.1\r\nHost: a\r\nX: ", time());
    });
}

#[test]
fn slow_bodies_hold_up_nobody() {
    let ec2 = Stub::start("ec2");
    let kanaria = router(&ec2);
    let n = sized(100, 500);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    besiege("stalled bodies", &kanaria, 128, honest(&kanaria), || {
        let mut streams = open(&kanaria, n);
        for stream in &mut streams {
            stream.write_all(head.as_bytes()).expect("it is taken");
        }
        // Each waits to be cut.
        for stream in streams {
            let mut client = Client::over(stream);
            assert!(client.wire.closed());
        }
    });
}

#[test]
fn clients_that_read_nothing_hold_up_nobody() {
    let body = vec![b'x'; 8 << 20];
    let ec2 = Stub::start("ec2");
    // Two hundred that want to write would take the cores from the router, and be what is measured; so would a copy for each.
    let large = Stub::aside(move || {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Stub::with("large", move |exchange| {
            exchange.wire.send(&head)?;
            exchange.wire.send(&body)?;
            Ok(After::Keep)
        })
    });
    let route =
        "[[routes]]\nname = \"large\"\nmatch = { path = [\"/large\"] }\nstable = \"large\"\n";
    let kanaria = start(
        File::single(&ec2)
            .pool("large", &[large.address])
            .before(route),
    );
    let n = sized(50, 200);
    // What pingora has read ahead for each, in pieces of 64 KiB: 0.75 MiB.
    let most = 16 + n;
    besiege("slow readers", &kanaria, most, honest(&kanaria), || {
        let streams: Vec<TcpStream> = (0..n)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_recv_buffer_size(4096).expect("a size");
                socket
                    .connect(&kanaria.public.into())
                    .expect("a place is free");
                let mut stream = TcpStream::from(socket);
                let ask = get("/large", "");
                stream.write_all(ask.as_bytes()).expect("it is taken");
                stream
            })
            .collect();
        // The router gives each up after `timeouts.body`, and its connection to the target with it.
        let open = || {
            kanaria
                .admin
                .metric("kanaria_connections", &["listener=\"public\""])
        };
        until("all are open", || (open() >= n as f64).then_some(()));
        until("all are cut", || (open() < 10.0).then_some(()));
        drop(streams);
    });
}

#[test]
fn thousands_that_say_nothing_cost_little() {
    let ec2 = Stub::start("ec2");
    let kanaria = router(&ec2);
    let n = sized(2_000, 10_000);
    let used = sized(500, 3_000);
    // What a debug build takes for a connection is more than what is promised of a release.
    let unused = if cfg!(debug_assertions) { 24 } else { 11 };
    let most = 16 + (n * unused + used * 46) / 1024;
    besiege("idle connections", &kanaria, most, honest(&kanaria), || {
        let streams = open(&kanaria, n);
        let kept: Vec<Client> = (0..used)
            .map(|_| {
                let mut client = kanaria.client();
                assert_eq!(client.call(get("/", "")).status, 200);
                client
            })
            .collect();
        let open = || {
            kanaria
                .admin
                .metric("kanaria_connections", &["listener=\"public\""])
        };
        until("all are open", || {
            (open() >= (n + used) as f64).then_some(())
        });
        std::thread::sleep(Duration::from_secs(1));
        drop((streams, kept));
    });
}
