//! What is ended although nobody ended it: WebSockets of a pool without weight, whatever a target still runs after its time.

use std::io;
use std::time::{Duration, Instant};

use super::holding;
use crate::support::{After, Client, Exchange, File, Kanaria, Stub, get, sized, until};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Switches and sends back what arrives; answers `/held` never, and everything else at once.
fn echo(exchange: &mut Exchange<'_>) -> io::Result<After> {
    if exchange.path() == "/held" {
        exchange.wire.closed();
        return Ok(After::Close);
    }
    if exchange.head.get("upgrade").is_none() {
        return exchange.plain();
    }
    exchange.wire.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    )?;
    loop {
        let piece = exchange.wire.some()?;
        if piece.is_empty() {
            return Ok(After::Close);
        }
        exchange.wire.send(piece)?;
    }
}

#[track_caller]
fn open(kanaria: &Kanaria, fields: &str) -> Client {
    let mut client = kanaria.client();
    let answer = client.call(get("/", &format!("{UPGRADE}{fields}")));
    assert_eq!(answer.status, 101);
    client
}

#[track_caller]
fn check_open(client: &mut Client) {
    client.wire.send("ping").unwrap();
    assert_eq!(client.wire.exactly(4).unwrap(), b"ping");
}

#[test]
fn after_a_rollback_websockets_of_the_canary_end_within_the_time_and_not_at_once() {
    let (ec2, ecs) = (Stub::with("ec2", echo), Stub::with("ecs", echo));
    let n = sized(40, 200);
    let window = Duration::from_secs(2);
    let flag =
        "[[routes.flags]]\nname = \"stay\"\nheader = \"X-Stable\"\nvalue = \"1\"\npool = \"ec2\"";
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 99")
        .route(flag)
        .pool_keys("ecs", "evict_upgraded = \"2s\"");
    let kanaria = Kanaria::start(&file);
    let mut stays = open(&kanaria, "X-Stable: 1\r\n");
    kanaria.admin.set_web(0, 1);
    let mut clients: Vec<_> = (0..n).map(|_| open(&kanaria, "")).collect();
    kanaria.admin.set_web(1, 1);
    clients.iter_mut().for_each(check_open);
    let began = Instant::now();
    assert_eq!(kanaria.run(&["rollback"]).code, Some(0));
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    let rest = client.wire.rest().unwrap_or_default();
                    assert_eq!(rest, b"", "not a byte of ours");
                    began.elapsed()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (first, last) = (ended.iter().min().unwrap(), ended.iter().max().unwrap());
    let half = ended.iter().filter(|at| **at < window / 2).count();
    println!("{n} ended from {first:?} to {last:?} of {window:?}, {half} in the first half");
    assert!(*last < window + Duration::from_secs(2), "{last:?}");
    // At random moments: that less than a tenth of 40 falls on one side happens once in ten million times.
    assert!(half >= n / 10 && half <= n - n / 10, "{half}");
    check_open(&mut stays);
    let log = kanaria.log_of(n);
    assert!(
        log.iter()
            .all(|line| line["error"] == "evicted" && line["status"] == 101)
    );
    assert!(log.iter().all(|line| line["pool"] == "ecs"));
    let counted = kanaria
        .admin
        .metric("kanaria_router_errors_total", &["cause=\"evicted\""]);
    assert_eq!(counted, n as f64);
}

#[test]
fn without_the_key_or_with_weight_again_they_stay() {
    let (ec2, ecs) = (Stub::with("ec2", echo), Stub::with("ecs", echo));
    let file =
        File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").pool_keys("ecs", "evict_upgraded = \"30s\"");
    let kanaria = Kanaria::start(&file);
    let mut client = open(&kanaria, "");
    kanaria.admin.set_web(1, 0);
    kanaria.admin.set_web(1, 1);
    check_open(&mut client);
    let never = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 0, ecs = 1"));
    let mut client = open(&never, "");
    never.admin.set_web(1, 0);
    // For as long as the list of connections would have been looked through.
    client.wire.patience(Duration::from_millis(700));
    assert!(client.wire.some().is_err());
    client.wire.patience(crate::support::DEADLINE);
    check_open(&mut client);
}

#[test]
fn what_a_deregistered_target_still_runs_ends_after_its_delay() {
    let (one, other) = (Stub::with("one", echo), Stub::with("other", echo));
    let keys = "deregistration_delay = \"1s\"";
    let with = |targets: &[_]| {
        File::single(&one)
            .pool("ec2", targets)
            .pool_keys("ec2", keys)
    };
    let kanaria = Kanaria::start(&with(&[one.address]));
    let mut socket = open(&kanaria, "");
    let mut plain = kanaria.client();
    plain.wire.send(get("/held", "")).unwrap();
    until("both are there", || (one.count() == 2).then_some(()));
    kanaria.rewrite(&with(&[other.address]).text());
    let began = Instant::now();
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "other");
    check_open(&mut socket);
    let answer = plain.answer(false).unwrap();
    let took = began.elapsed();
    println!("ended {took:?} after the reload, asked for 1 s");
    assert_eq!(answer.status, 502);
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(socket.wire.rest().unwrap_or_default(), b"");
    let log = kanaria.log_of(3);
    let ended = log.iter().filter(|line| line["error"] == "deregistered");
    assert_eq!(ended.count(), 2, "{log:#?}");
}

#[test]
fn requests_that_end_in_time_do_not_notice() {
    let (one, go) = holding("one");
    let other = Stub::start("other");
    let keys = "deregistration_delay = \"20s\"";
    let with = |targets: &[_]| {
        File::single(&one)
            .pool("ec2", targets)
            .pool_keys("ec2", keys)
    };
    let kanaria = Kanaria::start(&with(&[one.address]));
    let mut client = kanaria.client();
    client.wire.send(get("/held", "")).unwrap();
    until("it is there", || (one.count() == 1).then_some(()));
    kanaria.rewrite(&with(&[other.address]).text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    go.send(()).unwrap();
    assert_eq!(client.answer(false).unwrap().stub(), "one");
    assert_eq!(client.call(get("/", "")).stub(), "other");
}
