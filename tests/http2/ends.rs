//! How streams and connections end: by the client, by the target, by silence, by a drain.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use rustix::process::Signal;

use super::{lines, start};
use crate::support::http2::{Call, Http2, Reply, ask, next, put};
use crate::support::{After, DEADLINE, File, Kanaria, Stub, until};

fn some(status: u64, error: &str) -> (Option<u64>, Option<String>) {
    (Some(status), Some(error.to_owned()))
}

/// Reads to the end of the connection and tells `left` that it came.
fn waiting() -> (Stub, mpsc::Receiver<bool>) {
    let (left, news) = mpsc::channel();
    let left = Mutex::new(left);
    let stub = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        let closed = exchange.wire.closed();
        let left = left.lock().unwrap();
        left.send(closed).map_err(std::io::Error::other)?;
        Ok(After::Close)
    });
    (stub, news)
}

#[test]
fn a_client_that_resets_a_stream_frees_the_target_and_keeps_its_connection() {
    let (ec2, news) = waiting();
    let (kanaria, client) = start(&ec2);
    let mut call = client.begin(ask("GET", "/"), true);
    until("the request is there", || (ec2.count() == 1).then_some(()));
    call.body.send_reset(Reason::CANCEL);
    assert!(news.recv_timeout(DEADLINE).unwrap());
    assert_eq!(lines(&kanaria, 1)[0], some(460, "client_closed"));
    let second = client.begin(ask("GET", "/"), true);
    until("the next one too", || (ec2.count() == 2).then_some(()));
    drop((second, client));
    assert!(
        news.recv_timeout(DEADLINE).unwrap(),
        "a connection that ends, ends its streams"
    );
    assert_eq!(lines(&kanaria, 2)[1], some(460, "client_closed"));
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
    let (kanaria, client) = start(&ec2);
    for path in ["/sized", "/chunked"] {
        assert!(client.try_call(ask("GET", path), b"").is_err(), "{path}");
    }
    for (_, error) in lines(&kanaria, 2) {
        assert_eq!(error.as_deref(), Some("target_closed"));
    }
}

#[test]
fn a_stalled_body_is_cut_and_never_blamed_on_the_target() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange.plain()
    });
    let file = File::single(&ec2).h2c().server("timeouts.body = \"400ms\"");
    let kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    let Call {
        answer,
        body: mut out,
    } = client.begin(ask("POST", "/"), false);
    let began = Instant::now();
    let reply = client.wait(async {
        put(&mut out, Bytes::from("abc")).await.unwrap();
        Reply::read(answer).await
    });
    let took = began.elapsed();
    println!("cut after {took:?}, asked for 400 ms");
    assert!(took >= Duration::from_millis(390) && took < Duration::from_secs(10));
    assert!(reply.is_ok_and(|reply| reply.status == 408));
    assert_eq!(lines(&kanaria, 1)[0], some(408, "body_timeout"));
    let up = kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]);
    assert_eq!(up, 1.0);
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let ec2 = Stub::with("ec2", |exchange| {
        let body = vec![b'x'; 1 << 20];
        exchange.answer("200 OK", "", &body)
    });
    let file = File::single(&ec2).h2c().server("timeouts.body = \"400ms\"");
    let kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    let call = client.begin(ask("GET", "/"), true);
    client.wait(async {
        let mut body = call.answer.await.unwrap().into_body();
        // What is read is not given back, so the windows run dry and then the router's patience does.
        while let Some(Ok(_)) = body.data().await {}
    });
    assert_eq!(lines(&kanaria, 1)[0], some(200, "client_closed"));
}

#[test]
fn a_connection_without_a_stream_ends_and_one_with_a_stream_does_not() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange.wire.patience(Duration::from_millis(1200));
        assert!(!exchange.wire.closed(), "the router gave up");
        exchange.plain()
    });
    let file = File::single(&ec2).h2c();
    let kanaria = Kanaria::start(&file.server("timeouts.idle = \"300ms\""));
    let busy = Http2::connect(kanaria.public);
    assert_eq!(busy.call(ask("GET", "/"), b"").text(), "ec2");
    let began = Instant::now();
    assert!(busy.closed(), "the client is told");
    let lived = began.elapsed();
    println!("closed after {lived:?}, asked for 300 ms");
    assert!(lived >= Duration::from_millis(280) && lived < Duration::from_secs(5));
}

#[test]
fn a_preface_that_stops_is_refused_in_time() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2).h2c();
    let kanaria = Kanaria::start(&file.server("timeouts.header = \"300ms\""));
    let mut client = kanaria.client();
    let began = Instant::now();
    client.wire.send("PRI * HTTP/2.0\r\n").unwrap();
    assert_eq!(client.answer(false).unwrap().status, 408);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(kanaria.log_of(1)[0]["error"], "header_timeout");
}

#[test]
fn a_drain_lets_streams_finish_and_takes_no_new_ones() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        let gate = gate.lock().unwrap();
        gate.recv_timeout(DEADLINE).map_err(std::io::Error::other)?;
        exchange.plain()
    });
    let (mut kanaria, client) = start(&ec2);
    let mut idle = kanaria.client();
    let call = client.begin(ask("GET", "/"), true);
    until("the request is there", || (ec2.count() == 1).then_some(()));
    kanaria.signal(Signal::TERM);
    assert!(idle.wire.closed(), "the drain has begun");
    until("no new stream is taken on", || {
        let begun = client.try_begin(ask("GET", "/"), true);
        begun.is_err().then_some(())
    });
    go.send(()).unwrap();
    drop(go);
    let reply = client.wait(Reply::read(call.answer)).unwrap();
    assert_eq!(reply.text(), "ec2");
    let ended = Instant::now();
    assert_eq!(kanaria.wait().code(), Some(0));
    assert!(
        ended.elapsed() < Duration::from_secs(5),
        "{:?}",
        ended.elapsed()
    );
}

#[test]
fn a_drain_cuts_streams_at_its_timeout_and_writes_them_down() {
    let (ec2, _news) = waiting();
    let file = File::single(&ec2).h2c().server("drain_timeout = \"500ms\"");
    let mut kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    let calls: Vec<_> = (0..5)
        .map(|_| client.begin(ask("GET", "/"), true))
        .collect();
    until("the requests are there", || {
        (ec2.count() == 5).then_some(())
    });
    let began = Instant::now();
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(490));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(
        lines(&kanaria, 5)
            .iter()
            .all(|line| *line == some(503, "shutdown"))
    );
    drop(calls);
}

#[test]
fn an_early_answer_during_an_upload_reaches_the_client() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange
            .wire
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")?;
        exchange.wire.finish();
        exchange.wire.closed();
        Ok(After::Close)
    });
    let (_kanaria, client) = start(&ec2);
    let Call {
        answer,
        body: mut out,
    } = client.begin(ask("POST", "/"), false);
    client.wait(async {
        put(&mut out, Bytes::from("begin")).await.unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(next(&mut answer.into_body()).await.unwrap().unwrap(), "no");
    });
}

#[test]
fn a_stream_has_the_time_of_its_pool_and_no_more() {
    let (ec2, _news) = waiting();
    let file = File::single(&ec2)
        .h2c()
        .pool_keys("ec2", "request_timeout = \"400ms\"");
    let kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    let began = Instant::now();
    let reply = client.call(ask("GET", "/"), b"");
    let took = began.elapsed();
    println!("ended after {took:?}, asked for 400 ms");
    assert!(took >= Duration::from_millis(380) && took < Duration::from_secs(5));
    assert_eq!(reply.status, 504);
    assert_eq!(lines(&kanaria, 1)[0], some(504, "request_timeout"));
}
