//! Long and large exchanges: WebSockets with many messages, event streams, long polling, bodies larger than memory.

use std::io;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::support::http2::{Call, Http2, Reply, Target, Turn, ask, next, put, read};
use crate::support::{
    After, DEADLINE, Exchange, File, Kanaria, Stub, Wire, get, long, sized, until,
};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A text frame of a WebSocket, masked as a client must (RFC 6455 section 5.2).
fn masked(text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    frame.extend(mask);
    let bytes = text.bytes().zip(mask.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

/// The text of the next frame.
fn text(wire: &mut Wire) -> io::Result<String> {
    let head = wire.exactly(2)?;
    let mask = if head[1] & 0x80 == 0 {
        vec![0; 4]
    } else {
        wire.exactly(4)?
    };
    let bytes = wire.exactly(usize::from(head[1] & 0x7f))?;
    let bytes = bytes.iter().zip(mask.iter().cycle());
    Ok(bytes.map(|(byte, mask)| char::from(byte ^ mask)).collect())
}

#[test]
fn a_websocket_echoes_ten_thousand_messages_in_order() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.send(SWITCH)?;
        for _ in 0..10_000 {
            let message = text(exchange.wire)?;
            let mut frame = vec![0x81, u8::try_from(message.len()).unwrap()];
            frame.extend(message.bytes());
            exchange.wire.send(frame)?;
        }
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/", WEBSOCKET)).status, 101);
    let began = Instant::now();
    for first in (0..10_000).step_by(100) {
        let messages: Vec<_> = (first..first + 100)
            .map(|n| format!("message {n}"))
            .collect();
        let frames: Vec<u8> = messages
            .iter()
            .flat_map(|message| masked(message))
            .collect();
        client.wire.send(frames).unwrap();
        for message in messages {
            assert_eq!(text(&mut client.wire).unwrap(), message);
        }
    }
    println!("10,000 messages there and back in {:?}", began.elapsed());
    assert!(client.wire.closed());
    assert_eq!(kanaria.log_of(1)[0]["status"], 101);
}

/// Sends an event a second for a minute, or a few at once, each when the one before has arrived.
fn events(exchange: &mut Exchange<'_>, arrived: &mpsc::Receiver<()>) -> io::Result<After> {
    exchange.body()?;
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    exchange.wire.send(head)?;
    for n in 0..sized(20, 60) {
        if long() {
            // The form that was promised lasts a minute.
            std::thread::sleep(Duration::from_secs(1));
        }
        let event = format!("data: {n}\n\n");
        exchange
            .wire
            .send(format!("{:x}\r\n{event}\r\n", event.len()))?;
        arrived.recv_timeout(DEADLINE).map_err(io::Error::other)?;
    }
    exchange.wire.send("0\r\n\r\n")?;
    Ok(After::Keep)
}

fn event_source() -> (Stub, mpsc::Sender<()>) {
    let (arrive, arrived) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let stub = Stub::with("ec2", move |exchange| {
        events(exchange, &arrived.lock().unwrap())
    });
    (stub, arrive)
}

#[test]
fn server_sent_events_arrive_one_by_one() {
    let (ec2, arrive) = event_source();
    let kanaria = Kanaria::start(&File::single(&ec2).h2c());
    let mut client = kanaria.client();
    client
        .wire
        .send(get("/", "Accept: text/event-stream\r\n"))
        .unwrap();
    let head = client.wire.head().unwrap().unwrap();
    assert_eq!(head.get("content-type"), Some("text/event-stream"));
    for n in 0..sized(20, 60) {
        let event = client.wire.chunk().unwrap();
        assert_eq!(String::from_utf8_lossy(&event), format!("data: {n}\n\n"));
        arrive.send(()).unwrap();
    }
    assert!(client.wire.chunk().unwrap().is_empty());
    let client = Http2::connect(kanaria.public);
    let call = client.begin(ask("GET", "/"), true);
    let mut back = client.wait(call.answer).unwrap().into_body();
    for n in 0..sized(20, 60) {
        let event = client.wait(next(&mut back)).unwrap().unwrap();
        assert_eq!(event, format!("data: {n}\n\n"));
        arrive.send(()).unwrap();
    }
    assert_eq!(client.wait(read(&mut back)).unwrap(), (Vec::new(), None));
}

#[test]
fn a_long_poll_waits_for_its_answer_and_no_other_request_waits_for_it() {
    let (tell, news) = mpsc::channel::<&str>();
    let news = Mutex::new(news);
    let ec2 = Stub::with("ec2", move |exchange| {
        if exchange.path() != "/poll" {
            return exchange.plain();
        }
        let news = news.lock().unwrap().recv_timeout(DEADLINE);
        let news = news.map_err(io::Error::other)?;
        exchange.answer("200 OK", "", news.as_bytes())
    });
    let kanaria = Kanaria::start(&File::single(&ec2).h2c());
    let client = Http2::connect(kanaria.public);
    let mut first = kanaria.client();
    first.wire.send(get("/poll", "")).unwrap();
    until("the poll is there", || (ec2.count() == 1).then_some(()));
    for _ in 0..20 {
        assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
        assert_eq!(client.call(ask("GET", "/"), b"").text(), "ec2");
    }
    tell.send("news").unwrap();
    assert_eq!(first.answer(false).unwrap().text(), "news");
    let second = client.begin(ask("GET", "/poll"), true);
    until("the next poll is there", || {
        (ec2.count() == 42).then_some(())
    });
    tell.send("more").unwrap();
    assert_eq!(
        client.wait(Reply::read(second.answer)).unwrap().text(),
        "more"
    );
}

/// Checks that moving `size` bytes with `go` does not move the memory of `kanaria`.
#[track_caller]
fn check_flat(name: &str, kanaria: &Kanaria, size: usize, go: impl FnOnce()) {
    let resident_mib = || kanaria.resident_kib() / 1024;
    let before = resident_mib();
    let began = Instant::now();
    let done = std::sync::atomic::AtomicBool::new(false);
    let peak = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                peak = peak.max(resident_mib());
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        go();
        done.store(true, std::sync::atomic::Ordering::Release);
        watching.join().unwrap()
    });
    let grown = peak.saturating_sub(before);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{name}: {} MiB in {seconds:.1} s, grown by {grown} MiB, bound 24",
        size >> 20
    );
    assert!(grown <= 24, "{name}");
}

#[test]
fn bodies_larger_than_memory_pass_with_flat_memory_on_http_1() {
    let size = sized(64, 1024) << 20;
    let ec2 = Stub::with("ec2", move |exchange| {
        let piece = vec![b'x'; 1 << 20];
        if exchange.path() == "/up" {
            for _ in 0..size >> 20 {
                exchange.wire.exactly(1 << 20)?;
            }
            exchange
                .wire
                .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(After::Keep);
        }
        exchange
            .wire
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"))?;
        for _ in 0..size >> 20 {
            exchange.wire.send(&piece)?;
        }
        Ok(After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    check_flat("up on HTTP/1.1", &kanaria, size, || {
        let mut client = kanaria.client();
        let head = format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        client.wire.send(head).unwrap();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..size >> 20 {
            client.wire.send(&piece).unwrap();
        }
        assert_eq!(client.answer(false).unwrap().status, 200);
    });
    check_flat("down on HTTP/1.1", &kanaria, size, || {
        let mut client = kanaria.client();
        client.wire.send(get("/down", "")).unwrap();
        client.wire.head().unwrap().unwrap();
        for _ in 0..size >> 20 {
            client.wire.exactly(1 << 20).unwrap();
        }
    });
    for line in kanaria.log_of(2) {
        let counted = [&line["bytes_in"], &line["bytes_out"]].map(|n| n.as_u64().unwrap());
        assert!(counted.iter().any(|n| *n > size as u64), "{counted:?}");
    }
}

/// Takes the whole body, and sends as much, or as much as `/down` asks for.
async fn mirror(mut turn: Turn) -> Result<(), h2::Error> {
    let mut received = 0;
    while let Some(data) = next(&mut turn.body).await {
        received += data?.len();
    }
    let asked: Option<usize> = turn.head.uri.query().and_then(|size| size.parse().ok());
    let mut out = turn.head(&[("received", &received.to_string())])?;
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    for _ in 0..asked.unwrap_or(0) / piece.len() {
        put(&mut out, piece.clone()).await?;
    }
    out.send_data(Bytes::new(), true)
}

#[test]
fn bodies_larger_than_memory_pass_with_flat_memory_on_http_2() {
    let size = sized(64, 1024) << 20;
    let target = Target::start(mirror);
    let file = File::at(target.address).h2c();
    let kanaria = Kanaria::start(&file.pool_keys("ec2", "http2 = true"));
    let client = Http2::connect(kanaria.public);
    check_flat("up on HTTP/2", &kanaria, size, || {
        let Call {
            answer,
            body: mut out,
        } = client.begin(ask("POST", "/up"), false);
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        for _ in 0..size / piece.len() {
            client.wait(put(&mut out, piece.clone())).unwrap();
        }
        out.send_data(Bytes::new(), true).unwrap();
        let reply = client.wait(Reply::read(answer)).unwrap();
        assert_eq!(reply.get("received"), Some(size.to_string().as_str()));
    });
    check_flat("down on HTTP/2", &kanaria, size, || {
        let call = client.begin(ask("GET", &format!("/down?{size}")), true);
        let mut back = client.wait(call.answer).unwrap().into_body();
        let mut received = 0;
        while let Some(data) = client.wait(next(&mut back)) {
            received += data.unwrap().len();
        }
        assert_eq!(received, size);
    });
    for line in kanaria.log_of(2) {
        let counted = [&line["bytes_in"], &line["bytes_out"]].map(|n| n.as_u64().unwrap());
        assert!(counted.iter().any(|n| *n > size as u64), "{counted:?}");
    }
}

#[test]
fn a_client_that_reads_nothing_holds_up_no_other() {
    let target = Target::start(mirror);
    let file = File::at(target.address).h2c();
    let kanaria = Kanaria::start(&file.pool_keys("ec2", "http2 = true"));
    let lazy = Http2::connect(kanaria.public);
    let call = lazy.begin(ask("GET", &format!("/down?{}", 32 << 20)), true);
    let answer = lazy.wait(call.answer).unwrap();
    let honest = Http2::connect(kanaria.public);
    for n in 0..20 {
        let reply = honest.call(ask("GET", &format!("/down?{}", 1 << 20)), b"");
        assert_eq!(reply.body.len(), 1 << 20, "{n}");
    }
    drop(answer);
}

/// What a target says, and what is said in its place, for clients of both protocols and targets of both.
#[test]
fn errors_of_ours_and_of_the_target_are_never_confused() {
    let own = Stub::with("ec2", |exchange| {
        exchange.body()?;
        match exchange.path() {
            "/close" => Ok(After::Close),
            "/reset" => Ok(After::Reset),
            "/garbage" => {
                exchange.wire.send("garbage\r\n\r\n")?;
                Ok(After::Close)
            }
            "/silence" => {
                exchange.wire.closed();
                Ok(After::Close)
            }
            path => {
                let status = path.trim_start_matches('/').to_owned();
                exchange.answer(&format!("{status} Any"), "", b"the target's own page")
            }
        }
    });
    let keys = "response_timeout = \"400ms\"\nretries = 0\nejection = { consecutive_failures = 0 }";
    let kanaria = Kanaria::start(&File::single(&own).h2c().pool_keys("ec2", keys));
    let client = Http2::connect(kanaria.public);
    let cases = [
        ("/502", 502, None),
        ("/503", 503, None),
        ("/504", 504, None),
        ("/close", 502, Some("target_closed")),
        ("/reset", 502, Some("target_closed")),
        ("/garbage", 502, Some("bad_response")),
        ("/silence", 504, Some("response_timeout")),
    ];
    let mut n = 0;
    for (path, status, error) in cases {
        let first = kanaria.client().call(get(path, ""));
        let second = client.call(ask("GET", path), b"");
        for (got, text) in [(first.status, first.text()), (second.status, second.text())] {
            assert_eq!(got, status, "{path}");
            assert_eq!(
                text == "the target's own page",
                error.is_none(),
                "{path}: {text}"
            );
        }
        n += 2;
        for line in &kanaria.log_of(n)[n - 2..] {
            assert_eq!(line["error"].as_str(), error, "{path}");
            let own = error.is_none().then_some(u64::from(status));
            assert_eq!(line["upstream_status"].as_u64(), own, "{path}");
        }
    }
    let ours = |cause: &str| {
        let cause = format!("cause=\"{cause}\"");
        kanaria
            .admin
            .metric("kanaria_router_errors_total", &[&cause])
    };
    assert_eq!(
        ours("no_target") + ours("internal") + ours("client_closed"),
        0.0
    );
}
