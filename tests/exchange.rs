//! Bodies and messages: streaming, chunks, HEAD, 1xx, upgrades, connections that die.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::{
    After, DEADLINE, Exchange, File, Kanaria, Stub, get, request, sized, until, volley,
};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn echo(exchange: &mut Exchange<'_>) -> std::io::Result<After> {
    let body = exchange.body()?;
    exchange.answer("200 OK", "", &body)
}

#[test]
fn bodies_arrive_whole_sized_and_chunked() {
    let ec2 = Stub::with("ec2", echo);
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    for size in [0, 1, 1000, 65_536, 300_000] {
        let body: String = (0..size)
            .map(|n| char::from(b'a' + (n % 23) as u8))
            .collect();
        let sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}");
        assert_eq!(client.call(sized).text(), body, "{size} sized");
        let chunks: String = body
            .as_bytes()
            .chunks(4000)
            .map(|chunk| {
                format!(
                    "{:x}\r\n{}\r\n",
                    chunk.len(),
                    str::from_utf8(chunk).unwrap()
                )
            })
            .collect();
        let chunked = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        );
        assert_eq!(client.call(chunked).text(), body, "{size} chunked");
    }
}

#[test]
fn a_download_reaches_the_client_piece_by_piece() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        exchange.wire.send(format!("{head}5\r\nfirst\r\n"))?;
        gate.lock()
            .unwrap()
            .recv_timeout(DEADLINE)
            .map_err(std::io::Error::other)?;
        exchange.wire.send("6\r\nsecond\r\n0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    client.wire.send(get("/", "")).unwrap();
    let head = client.wire.head().unwrap().unwrap();
    assert_eq!(head.get("transfer-encoding"), Some("chunked"));
    // The stub sends its second piece only now that the client has the first.
    assert_eq!(client.wire.chunk().unwrap(), b"first");
    go.send(()).unwrap();
    assert_eq!(client.wire.chunk().unwrap(), b"second");
    assert_eq!(client.wire.chunk().unwrap(), b"");
}

#[test]
fn an_upload_reaches_the_target_piece_by_piece() {
    let (arrived, news) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let ec2 = Stub::with("ec2", move |exchange| {
        for _ in 0..2 {
            let piece = exchange.wire.exactly(6)?;
            arrived
                .lock()
                .unwrap()
                .send(piece)
                .map_err(std::io::Error::other)?;
        }
        exchange
            .wire
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    client
        .wire
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nfirst ")
        .unwrap();
    // The client sends its second half only now that the target has the first.
    assert_eq!(news.recv_timeout(DEADLINE).unwrap(), b"first ");
    client.wire.send("second").unwrap();
    assert_eq!(news.recv_timeout(DEADLINE).unwrap(), b"second");
    assert_eq!(client.answer(false).unwrap().status, 200);
}

#[test]
fn a_large_answer_does_not_wait_in_memory_for_a_slow_reader() {
    let size = sized(64, 512) << 20;
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        exchange
            .wire
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"))?;
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..size >> 20 {
            exchange.wire.send(&piece)?;
        }
        Ok(After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let resident = || kanaria.resident_kib() / 1024;
    let before = resident();
    let mut client = kanaria.client();
    client.wire.send(get("/", "")).unwrap();
    client.wire.head().unwrap().unwrap();
    let half = client.wire.exactly(size / 2).unwrap().len();
    let grown = resident().saturating_sub(before);
    println!(
        "{} MiB of {} read: grown by {grown} MiB, bound 16",
        half >> 20,
        size >> 20
    );
    assert!(grown <= 16);
    assert_eq!(client.wire.exactly(size - half).unwrap().len(), size - half);
}

#[test]
fn expect_100_continue_gets_its_go_ahead_before_the_body() {
    let ec2 = Stub::with("ec2", |exchange| {
        if exchange.head.get("expect").is_some() {
            exchange.wire.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        echo(exchange)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.wire.send(head).unwrap();
    let go_ahead = client.wire.head().unwrap().unwrap();
    assert!(
        go_ahead.line.starts_with("HTTP/1.1 100"),
        "{}",
        go_ahead.line
    );
    client.wire.send("body").unwrap();
    let answer = client.answer(false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
}

#[test]
fn early_hints_pass() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange
            .wire
            .send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")?;
        exchange.plain()
    });
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    let answer = client.call(get("/", ""));
    assert_eq!(answer.interim.len(), 1);
    assert_eq!(answer.interim[0].get("link"), Some("</a.css>; rel=preload"));
    assert_eq!(answer.interim[0].get("set-cookie"), None);
    assert_eq!((answer.status, answer.stub()), (200, "ec2"));
    assert_eq!(answer.head.all("set-cookie").count(), 1);
}

#[test]
fn head_and_bodiless_statuses_keep_their_length_and_the_connection() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        let status = exchange.path().trim_start_matches('/').to_owned();
        let length = if status == "204" {
            ""
        } else {
            "Content-Length: 5\r\n"
        };
        let body = if status == "200" && exchange.head.line.starts_with("GET") {
            "whole"
        } else {
            ""
        };
        exchange
            .wire
            .send(format!("HTTP/1.1 {status} Any\r\n{length}\r\n{body}"))?;
        Ok(After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    let head = client.call(request("HEAD", "/200", "", ""));
    assert_eq!(
        (head.status, head.head.get("content-length")),
        (200, Some("5"))
    );
    assert_eq!(client.call(get("/204", "")).status, 204);
    assert_eq!(client.call(get("/304", "")).status, 304);
    assert_eq!(client.call(get("/200", "")).text(), "whole");
}

#[test]
fn a_websocket_echoes_both_ways_and_ends_with_a_log_line() {
    let ec2 = Stub::with("ec2", |exchange| {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        exchange.wire.send(switch)?;
        loop {
            let piece = exchange.wire.some()?;
            if piece.is_empty() {
                return Ok(After::Close);
            }
            exchange.wire.send(piece)?;
        }
    });
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    let answer = client.call(get("/", UPGRADE));
    assert_eq!(answer.status, 101, "{}", answer.head.line);
    assert_eq!(answer.head.all("set-cookie").count(), 1);
    assert!(
        ec2.last()
            .head
            .get("upgrade")
            .is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
    );
    for size in [1, 100, 100_000] {
        let sent: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        client.wire.send(&sent).unwrap();
        assert_eq!(client.wire.exactly(size).unwrap(), sent);
    }
    assert_eq!(kanaria.log().len(), 0);
    client.wire.finish();
    assert!(client.wire.closed());
    let line = &kanaria.log_of(1)[0];
    assert_eq!(
        (line["status"].as_u64(), line["pool"].as_str()),
        (Some(101), Some("ec2"))
    );
}

#[test]
fn an_upgrade_that_is_refused_is_an_ordinary_answer() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/", UPGRADE)).text(), "ec2");
}

/// Answers the first request of each connection and closes at the second without a byte, as a server
/// whose keep-alive ended at that moment.
fn stale() -> Stub {
    Stub::with("ec2", |exchange| match exchange.before {
        0 => exchange.plain(),
        _ => Ok(After::Close),
    })
}

#[test]
fn a_get_on_a_stale_pooled_connection_survives() {
    let ec2 = stale();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let answers = volley(kanaria.public, 40, 1, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.status == 200));
    println!("40 answers took {} requests", ec2.count());
    assert!(
        ec2.count() > 40,
        "no connection was reused, the test shows nothing"
    );
}

#[test]
fn a_post_on_a_stale_pooled_connection_is_never_repeated() {
    let ec2 = stale();
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut failed = 0;
    for n in 0..40 {
        let message = request("POST", &format!("/{n}"), "", "payment");
        failed += usize::from(kanaria.client().call(message).status == 502);
    }
    let mut paths: Vec<_> = ec2
        .seen()
        .iter()
        .map(|seen| seen.head.line.clone())
        .collect();
    let n = paths.len();
    paths.sort();
    paths.dedup();
    println!("{failed} of 40 failed, {n} arrived");
    assert_eq!(paths.len(), n, "a request arrived twice");
    assert!(
        failed > 0,
        "no connection was reused, the test shows nothing"
    );
}

#[test]
fn a_cut_answer_never_looks_whole() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        let framing = match exchange.path() {
            "/sized" => "Content-Length: 100\r\n\r\npart",
            _ => "Transfer-Encoding: chunked\r\n\r\n64\r\npart",
        };
        exchange
            .wire
            .send(format!("HTTP/1.1 200 OK\r\n{framing}"))?;
        Ok(After::Reset)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    for path in ["/sized", "/chunked"] {
        let mut client = kanaria.client();
        let whole = client
            .try_call(get(path, ""))
            .is_ok_and(|answer| answer.status == 200);
        assert!(!whole, "{path}");
    }
    for line in kanaria.log_of(2) {
        assert_eq!(line["error"], "target_closed");
    }
}

#[test]
fn an_answer_that_is_not_http_becomes_502() {
    let answers = Arc::new(Mutex::new(vec![
        "garbage\r\n\r\n",
        "HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
        "",
    ]));
    let next = Arc::clone(&answers);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        exchange
            .wire
            .send(next.lock().unwrap().pop().unwrap_or("garbage\r\n\r\n"))?;
        Ok(After::Close)
    });
    let file = File::single(&ec2).pool_keys(
        "ec2",
        "retries = 0\nejection = { consecutive_failures = 0 }",
    );
    let kanaria = Kanaria::start(&file);
    while !answers.lock().unwrap().is_empty() {
        let last = answers.lock().unwrap().last().copied();
        assert_eq!(kanaria.client().call(get("/", "")).status, 502, "{last:?}");
    }
}

#[test]
fn an_early_answer_during_an_upload_reaches_the_client() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange
            .wire
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")?;
        // Read on, so that closing does not reset away the answer.
        exchange.wire.finish();
        exchange.wire.closed();
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    client
        .wire
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin")
        .unwrap();
    let answer = client.answer(false).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
}

#[test]
fn a_client_that_leaves_frees_the_target() {
    let (left, news) = mpsc::channel();
    let left = Mutex::new(left);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        let closed = exchange.wire.closed();
        left.lock()
            .unwrap()
            .send(closed)
            .map_err(std::io::Error::other)?;
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    client.wire.send(get("/", "")).unwrap();
    until("the request is there", || (ec2.count() == 1).then_some(()));
    client.wire.reset();
    assert!(news.recv_timeout(DEADLINE).unwrap());
    let line = &kanaria.log_of(1)[0];
    assert_eq!(
        (line["status"].as_u64(), line["error"].as_str()),
        (Some(460), Some("client_closed"))
    );
}

#[test]
fn compressed_bodies_pass_untouched() {
    // The bytes of an empty gzip member; what matters is that nobody unpacks or repacks them.
    let gzip: Vec<u8> = vec![
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let sent = gzip.clone();
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.answer(
            "200 OK",
            "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n",
            &sent,
        )
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let answer = kanaria
        .client()
        .call(get("/", "Accept-Encoding: gzip, br\r\n"));
    assert_eq!(answer.body, gzip);
    assert_eq!(answer.head.get("content-encoding"), Some("gzip"));
    assert_eq!(ec2.last().head.get("accept-encoding"), Some("gzip, br"));
}
