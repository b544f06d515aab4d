//! What keeps an open WebSocket, and what ends it.

use std::io;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SWITCH, WEBSOCKET, check_echo, check_end, echo, line, open};
use crate::support::{After, DEADLINE, File, Kanaria, Stub, Wire, get, until};

fn ended(error: &str) -> (u64, Option<String>) {
    (101, Some(error.to_owned()))
}

#[test]
fn a_quiet_websocket_lives_as_long_as_upgraded_idle_says_and_ends_without_a_byte_of_ours() {
    let ec2 = Stub::with("ec2", echo);
    let file = File::single(&ec2)
        .server("timeouts.body = \"50ms\"")
        .pool_keys(
            "ec2",
            "upgraded_idle = \"600ms\"\nresponse_timeout = \"50ms\"",
        );
    let kanaria = Kanaria::start(&file);
    let mut client = open(&kanaria);
    check_echo(&mut client);
    let quiet = Instant::now();
    check_end(&mut client);
    let lived = quiet.elapsed();
    println!("lived {lived:?}");
    assert!(lived >= Duration::from_millis(590), "{lived:?}");
    assert!(lived < Duration::from_secs(10), "{lived:?}");
    assert_eq!(line(&kanaria), ended("upgraded_idle"));
}

/// Ten bytes with a pause after each, for three times as long as it may be quiet.
fn trickle(wire: &mut Wire) -> io::Result<()> {
    wire.patience(Duration::from_millis(150));
    for _ in 0..10 {
        wire.send(".")?;
        // The pause is the deadline of a read that nothing answers.
        if !wire
            .some()
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        {
            return Err(io::Error::other("ended, or answered too early"));
        }
    }
    wire.patience(DEADLINE);
    Ok(())
}

#[test]
fn bytes_of_the_client_alone_keep_a_websocket_open() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.send(SWITCH)?;
        exchange.wire.exactly(11)?;
        exchange.wire.send("!")?;
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2).pool_keys("ec2", "upgraded_idle = \"500ms\""));
    let mut client = open(&kanaria);
    trickle(&mut client.wire).unwrap();
    client.wire.send(".").unwrap();
    assert_eq!(client.wire.rest().unwrap(), b"!");
    assert_eq!(line(&kanaria), (101, None));
}

#[test]
fn bytes_of_the_target_alone_keep_a_websocket_open() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.send(SWITCH)?;
        trickle(exchange.wire)?;
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2).pool_keys("ec2", "upgraded_idle = \"500ms\""));
    assert_eq!(open(&kanaria).wire.rest().unwrap(), b"..........");
    assert_eq!(line(&kanaria), (101, None));
}

#[test]
fn weight_zero_leaves_an_open_websocket_alone() {
    let ec2 = Stub::with("ec2", echo);
    let ecs = Stub::with("ecs", echo);
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut client = open(&kanaria);
    check_echo(&mut client);
    kanaria.admin.set_web(1, 0);
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    check_echo(&mut client);
    kanaria.rewrite(&File::single(&ec2).text());
    kanaria.signal(Signal::HUP);
    until("its pool is gone from the file", || {
        let status = kanaria.admin.get("/api/v1/status").to_string();
        (!status.contains("ecs")).then_some(())
    });
    check_echo(&mut client);
    client.wire.finish();
    check_end(&mut client);
    let log = kanaria.log_of(2);
    assert_eq!(
        (&log[1]["status"], &log[1]["pool"]),
        (&101.into(), &"ecs".into())
    );
}

#[test]
fn a_drain_waits_for_a_websocket_and_cuts_it_at_its_timeout() {
    let ec2 = Stub::with("ec2", echo);
    let mut kanaria = Kanaria::start(&File::single(&ec2).server("drain_timeout = \"600ms\""));
    let mut idle = kanaria.client();
    let mut client = open(&kanaria);
    let began = Instant::now();
    kanaria.signal(Signal::TERM);
    assert!(idle.wire.closed(), "the drain has begun");
    check_echo(&mut client);
    check_end(&mut client);
    assert!(began.elapsed() >= Duration::from_millis(590));
    kanaria.wait();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(line(&kanaria), ended("shutdown"));
}

#[test]
fn a_drain_is_over_when_the_last_websocket_ends() {
    let ec2 = Stub::with("ec2", echo);
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    let mut idle = kanaria.client();
    let mut client = open(&kanaria);
    kanaria.signal(Signal::TERM);
    assert!(idle.wire.closed(), "the drain has begun");
    client.wire.finish();
    check_end(&mut client);
    let ended = Instant::now();
    assert_eq!(kanaria.wait().code(), Some(0));
    assert!(
        ended.elapsed() < Duration::from_secs(5),
        "{:?}",
        ended.elapsed()
    );
    assert_eq!(line(&kanaria), (101, None));
}

#[test]
fn the_last_bytes_of_both_sides_arrive() {
    let (arrived, news) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.wire.send(SWITCH)?;
        if exchange.path() == "/up" {
            let all = exchange.wire.rest()?;
            arrived
                .lock()
                .unwrap()
                .send(all.len())
                .map_err(io::Error::other)?;
        } else {
            exchange.wire.send(vec![b'x'; 1 << 20])?;
        }
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut down = kanaria.client();
    assert_eq!(down.call(get("/down", WEBSOCKET)).status, 101);
    assert_eq!(down.wire.rest().unwrap().len(), 1 << 20);
    let mut up = kanaria.client();
    assert_eq!(up.call(get("/up", WEBSOCKET)).status, 101);
    up.wire.send(vec![b'x'; 1 << 20]).unwrap();
    up.wire.finish();
    assert_eq!(news.recv_timeout(DEADLINE).unwrap(), 1 << 20);
}

#[test]
fn a_websocket_that_its_target_resets_ends_without_a_byte_of_ours_and_ejects_nobody() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.wire.send(SWITCH)?;
        exchange.wire.exactly(1)?;
        Ok(After::Reset)
    });
    let file = File::single(&ec2).pool_keys("ec2", "ejection = { consecutive_failures = 1 }");
    let kanaria = Kanaria::start(&file);
    for _ in 0..3 {
        let mut client = open(&kanaria);
        client.wire.send(".").unwrap();
        check_end(&mut client);
    }
    for line in kanaria.log_of(3) {
        assert_eq!(
            (&line["status"], &line["error"]),
            (&101.into(), &"target_closed".into())
        );
    }
}

#[test]
fn a_client_that_resets_frees_the_target() {
    let (left, news) = mpsc::channel();
    let left = Mutex::new(left);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.wire.send(SWITCH)?;
        let closed = exchange.wire.closed();
        left.lock()
            .unwrap()
            .send(closed)
            .map_err(io::Error::other)?;
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    open(&kanaria).wire.reset();
    assert!(news.recv_timeout(DEADLINE).unwrap());
    assert_eq!(line(&kanaria), ended("client_closed"));
}
