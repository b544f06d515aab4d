//! Clients that mean no good: each is sent away, memory stays bounded, and an honest client notices nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::start;
use crate::support::http2::{Http2, ask};
use crate::support::{File, Kanaria, Stub, besiege, sized, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET http://a/` in HPACK: three fields of the static table, and an authority that stays out of the table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];

/// A frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Writes `piece` again and again, each made for its number, until the router closes or `most` were taken; whether it
/// closed. A reader of its own takes what comes, so that nothing waits.
fn flood(kanaria: &Kanaria, most: usize, piece: impl Fn(usize) -> Vec<u8>) -> bool {
    let mut stream = TcpStream::connect(kanaria.public).unwrap();
    let mut reader = stream.try_clone().unwrap();
    reader
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let reading = std::thread::spawn(move || {
        let mut space = [0; 16 * 1024];
        loop {
            match reader.read(&mut space) {
                Ok(1..) => {}
                Ok(0) => return true,
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    });
    let mut start = PREFACE.to_vec();
    start.extend(frame(SETTINGS, 0, 0, &[]));
    let mut written = stream.write_all(&start);
    for n in 0..most {
        if written.is_err() {
            break;
        }
        written = stream.write_all(&piece(n));
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    reading.join().unwrap() && written.is_err()
}

/// Runs `attack` beside an honest client on a connection of its own.
#[track_caller]
fn check(name: &str, most_mib: usize, attack: impl Fn(&Kanaria) + Sync) {
    let ec2 = Stub::start("ec2");
    let (kanaria, honest) = start(&ec2);
    let ask_once = || assert_eq!(honest.call(ask("GET", "/honest"), b"").status, 200);
    besiege(name, &kanaria, most_mib, ask_once, || attack(&kanaria));
}

#[test]
fn rapid_resets_end_the_connection() {
    check("rapid reset", 32, |kanaria| {
        let sent_away = flood(kanaria, sized(20_000, 500_000), |n| {
            let stream = 2 * u32::try_from(n).unwrap() + 1;
            let mut pair = frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
            pair.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
            pair
        });
        assert!(sent_away);
    });
}

#[test]
fn streams_given_up_once_they_run_end_the_connection() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.closed();
        Ok(crate::support::After::Close)
    });
    let (kanaria, _) = start(&ec2);
    let client = Http2::connect(kanaria.public);
    let given_up = (1..1000).take_while(|n| {
        let Ok(mut call) = client.try_begin(ask("GET", "/"), true) else {
            return false;
        };
        let runs = || (ec2.count() == *n).then_some(());
        let runs = within(Duration::from_secs(2), runs).is_some();
        call.body.send_reset(h2::Reason::CANCEL);
        runs
    });
    let n = given_up.count();
    println!("sent away after {n} streams, expected 200");
    assert!((190..=210).contains(&n));
}

#[test]
fn a_head_that_never_ends_ends_the_connection() {
    check("continuation flood", 32, |kanaria| {
        // A field that is never complete: a name of the longest kind, in frames without end.
        let sent_away = flood(kanaria, 100_000, |n| match n {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &[b'x'; 8000]),
        });
        assert!(sent_away);
    });
    check("empty continuations", 32, |kanaria| {
        let sent_away = flood(kanaria, 200_000, |n| match n {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &[]),
        });
        assert!(sent_away);
    });
}

/// Sends `pieces` one each 100 ms until the router closes; how long that took.
fn drip(kanaria: &Kanaria, mut pieces: impl Iterator<Item = Vec<u8>>) -> Duration {
    let mut stream = TcpStream::connect(kanaria.public).unwrap();
    let mut start = PREFACE.to_vec();
    start.extend(frame(SETTINGS, 0, 0, &[]));
    stream.write_all(&start).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let began = Instant::now();
    let mut space = [0; 1024];
    while began.elapsed() < Duration::from_secs(20) {
        let piece = pieces.next().unwrap_or_default();
        if stream.write_all(&piece).is_err() {
            break;
        }
        match stream.read(&mut space) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Ok(_) | Err(_) => {}
        }
    }
    began.elapsed()
}

#[test]
fn a_head_that_drips_is_cut_as_on_http_1() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2).h2c().server("timeouts.header = \"1s\"");
    let kanaria = Kanaria::start(&file);
    // More small ones would be an attack that `h2` ends by itself.
    let continuations = (0..4).map(|n| match n {
        0 => frame(HEADERS, END_STREAM, 1, GET),
        _ => frame(CONTINUATION, 0, 1, b"x"),
    });
    let bytes = frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0; 200]);
    let bytes = bytes.into_iter().map(|byte| vec![byte]);
    for (what, took) in [
        ("continuations", drip(&kanaria, continuations)),
        ("bytes of one frame", drip(&kanaria, bytes)),
        (
            "silence",
            drip(&kanaria, std::iter::once(frame(HEADERS, 0, 1, GET))),
        ),
    ] {
        println!("{what}: cut after {took:?}, asked for 1 s");
        assert!((1000..4000).contains(&took.as_millis()), "{what}");
    }
    let log = kanaria.log_of(3);
    for line in &log {
        assert_eq!(
            (&line["error"], &line["protocol"]),
            (&"header_timeout".into(), &"HTTP/2".into())
        );
    }
    assert_eq!((log.len(), ec2.count()), (3, 0));
}

#[test]
fn what_became_no_request_has_its_line() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).h2c());
    // A field of HTTP/1.1 breaks HTTP/2's own rules; a list that swells is far above the limits.
    let mut foreign = GET.to_vec();
    foreign.extend(b"\0\x0aconnection\x05close");
    let mut field = GET.to_vec();
    field.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    field.extend([b'y'; 4000]);
    let mut bomb = GET.to_vec();
    bomb.extend([0xbe; 25]);
    let mut stream = TcpStream::connect(kanaria.public).unwrap();
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for (stream, head) in [(1, &foreign), (3, &field), (5, &bomb), (7, &GET.to_vec())] {
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, head));
    }
    stream.write_all(&bytes).unwrap();
    let log = kanaria.log_of(4);
    let mut told: Vec<_> = log
        .iter()
        .map(|line| line["error"].as_str().unwrap_or("served"))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        ["bad_request", "header_too_large", "served", "served"]
    );
    let errors = kanaria.admin.metric(
        "kanaria_router_errors_total",
        &["cause=\"header_too_large\""],
    );
    assert_eq!(errors, 1.0);
}

#[test]
fn a_head_that_swells_when_it_is_read_takes_no_memory() {
    check("hpack bomb", 48, |kanaria| {
        // One large field goes into the table, and then each byte is that field again.
        let mut first = GET.to_vec();
        first.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
        first.extend([b'y'; 4000]);
        let mut bomb = GET.to_vec();
        bomb.extend([0xbe; 15_000]);
        flood(kanaria, sized(200, 5000), |n| {
            let stream = 2 * u32::try_from(n).unwrap() + 1;
            let head = if n == 0 { &first } else { &bomb };
            frame(HEADERS, END_STREAM | END_HEADERS, stream, head)
        });
    });
}

#[test]
fn settings_and_pings_without_end_take_no_memory() {
    check("settings flood", 32, |kanaria| {
        flood(kanaria, sized(50_000, 1_000_000), |_| {
            frame(SETTINGS, 0, 0, &[])
        });
    });
    check("ping flood", 32, |kanaria| {
        flood(kanaria, sized(50_000, 1_000_000), |_| {
            frame(PING, 0, 0, &[7; 8])
        });
    });
}

#[test]
fn more_streams_than_granted_are_refused_and_the_others_served() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |exchange| {
        // All wait until the last one is there.
        let _ = gate.lock().unwrap().recv_timeout(crate::support::DEADLINE);
        exchange.plain()
    });
    let (_kanaria, client) = start(&ec2);
    let calls: Vec<_> = (0..128)
        .map(|_| client.begin(ask("GET", "/"), true))
        .collect();
    drop(go);
    client.wait(async {
        for call in calls {
            let reply = crate::support::http2::Reply::read(call.answer)
                .await
                .unwrap();
            assert_eq!(reply.status, 200);
        }
    });
}
