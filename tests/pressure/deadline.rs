//! The time for a whole request.

use std::time::{Duration, Instant};

use super::BlackHole;
use crate::support::{After, Client, DEADLINE, File, Kanaria, Stub, get, request};

/// `ec2` does this to every request, within 300 ms.
fn kanaria(ec2: &Stub) -> Kanaria {
    Kanaria::start(&File::single(ec2).pool_keys("ec2", "request_timeout = \"300ms\""))
}

/// The request ended about in time; the only line of the log.
#[track_caller]
fn check(kanaria: &Kanaria, began: Instant, expected: (u64, &str)) {
    let took = began.elapsed();
    println!("ended after {took:?}, asked for 300 ms");
    assert!(took >= Duration::from_millis(280), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let line = &kanaria.log_of(1)[0];
    let told = (
        line["status"].as_u64().unwrap(),
        line["error"].as_str().unwrap(),
    );
    assert_eq!(told, expected, "{line}");
}

#[test]
fn a_target_that_says_nothing_is_504_with_a_cause_of_its_own() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.patience(DEADLINE);
        exchange.wire.closed();
        Ok(After::Close)
    });
    let kanaria = kanaria(&ec2);
    let began = Instant::now();
    assert_eq!(kanaria.client().call(get("/", "")).status, 504);
    check(&kanaria, began, (504, "request_timeout"));
}

#[test]
fn an_answer_that_trickles_is_cut() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange
            .wire
            .send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
        exchange.wire.patience(Duration::from_millis(40));
        loop {
            exchange.wire.send(".")?;
            // The pause between two bytes; nothing is sent to us.
            if exchange.wire.closed() {
                return Ok(After::Close);
            }
        }
    });
    let kanaria = kanaria(&ec2);
    let began = Instant::now();
    assert!(kanaria.client().try_call(get("/", "")).is_err());
    check(&kanaria, began, (200, "request_timeout"));
}

#[test]
fn an_upload_that_is_late_is_the_clients() {
    let ec2 = Stub::start("ec2");
    let kanaria = kanaria(&ec2);
    let began = Instant::now();
    let mut client: Client = kanaria.client();
    let head = request("POST", "/", "", "ab");
    client.wire.send(&head[..head.len() - 1]).unwrap();
    assert_eq!(client.answer(false).unwrap().status, 408);
    check(&kanaria, began, (408, "body_timeout"));
}

#[test]
fn further_tries_have_what_is_left() {
    let (hole, other) = (BlackHole::new(), BlackHole::new());
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .pool("ec2", &[hole.address, other.address])
        .pool_keys(
            "ec2",
            "request_timeout = \"300ms\"\nconnect_timeout = \"200ms\"",
        );
    let kanaria = Kanaria::start(&file);
    let began = Instant::now();
    assert_eq!(kanaria.client().call(get("/", "")).status, 504);
    check(&kanaria, began, (504, "request_timeout"));
    assert_eq!(kanaria.log_of(1)[0]["attempts"], 2);
}

#[test]
fn a_connection_that_was_upgraded_has_all_the_time() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        let bytes = exchange.wire.exactly(4)?;
        exchange.wire.send(bytes)?;
        Ok(After::Close)
    });
    let kanaria = kanaria(&ec2);
    let mut client = kanaria.client();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(client.call(get("/", upgrade)).status, 101);
    // Nothing comes for longer than a request may take.
    client.wire.patience(Duration::from_millis(600));
    assert!(client.wire.some().is_err());
    client.wire.patience(DEADLINE);
    client.wire.send("ping").unwrap();
    assert_eq!(client.wire.exactly(4).unwrap(), b"ping");
}
