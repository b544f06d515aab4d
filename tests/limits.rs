//! Deadlines and bounds on what a client may do.

use std::time::{Duration, Instant};

use crate::support::{Client, File, Kanaria, Stub, get, request, until};

/// Sends `bytes` one by one, one each 50 ms, until the router closes; how long that took.
fn drip(client: &mut Client, bytes: &str) -> Duration {
    let began = Instant::now();
    client.wire.patience(Duration::from_millis(50));
    for byte in bytes.bytes().cycle() {
        if client.wire.send([byte]).is_err() || client.wire.closed() {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "still open after 20 s"
        );
    }
    began.elapsed()
}

#[track_caller]
fn about(what: &str, took: Duration, asked: Duration) {
    println!("{what}: {took:?}, asked for {asked:?}");
    assert!(took >= asked.mul_f64(0.7), "{what} ended early");
    assert!(took <= asked + Duration::from_secs(3), "{what} ended late");
}

#[test]
fn a_dripping_header_is_cut_on_the_first_and_on_the_second_request() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).server("timeouts.header = \"1s\""));
    let header = Duration::from_secs(1);
    let mut client = kanaria.client();
    about(
        "first request",
        drip(&mut client, "GET / HTTP/1.1\r\nX: "),
        header,
    );
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/", "")).status, 200);
    about(
        "second request",
        drip(&mut client, "GET / HTTP/1.1\r\nX: "),
        header,
    );
    assert_eq!(ec2.count(), 1);
    let log = kanaria.log_of(3);
    let late = log
        .iter()
        .filter(|line| line["error"] == "header_timeout")
        .count();
    assert_eq!(late, 2, "{log:#?}");
}

#[test]
fn an_idle_connection_is_closed_used_or_not() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).server("timeouts.idle = \"500ms\""));
    for used in [false, true] {
        let mut client = kanaria.client();
        if used {
            assert_eq!(client.call(get("/", "")).status, 200);
        }
        let began = Instant::now();
        assert!(client.wire.closed());
        about(
            "idle connection",
            began.elapsed(),
            Duration::from_millis(500),
        );
    }
    assert_eq!(
        kanaria.log_of(1).len(),
        1,
        "nobody asked anything on the unused one"
    );
}

#[test]
fn a_request_in_progress_is_not_idle() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange.wire.patience(Duration::from_millis(1200));
        assert!(!exchange.wire.closed(), "the router gave up");
        exchange.plain()
    });
    let file = File::single(&ec2).server("timeouts.idle = \"300ms\"\ntimeouts.header = \"300ms\"");
    let kanaria = Kanaria::start(&file);
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
}

#[test]
fn a_stalled_body_is_cut_and_never_blamed_on_the_target() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange.plain()
    });
    let file = File::single(&ec2).server("timeouts.body = \"500ms\"");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let began = Instant::now();
    client
        .wire
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .unwrap();
    if let Ok(answer) = client.answer(false) {
        assert_eq!(answer.status, 408);
    }
    about("stalled body", began.elapsed(), Duration::from_millis(500));
    let line = &kanaria.log_of(1)[0];
    assert_eq!(line["error"], "body_timeout");
    let up = kanaria.admin.metric("kanaria_target_up", &["pool=\"ec2\""]);
    assert_eq!(up, 1.0);
}

#[test]
fn a_connection_above_the_limit_is_closed_at_once_and_a_free_place_is_taken() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).server("max_connections = 4"));
    let mut kept: Vec<Client> = (0..4).map(|_| kanaria.client()).collect();
    for client in &mut kept {
        assert_eq!(client.call(get("/", "")).status, 200);
    }
    let began = Instant::now();
    let mut fifth = kanaria.client();
    let answered = fifth
        .try_call(get("/", ""))
        .is_ok_and(|answer| answer.status == 200);
    assert!(!answered);
    assert!(began.elapsed() < Duration::from_secs(1));
    kept.pop();
    until("a place is free", || {
        let mut client = Client::try_connect(kanaria.public).ok()?;
        client
            .try_call(get("/", ""))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    assert_eq!(kept[0].call(get("/", "")).status, 200);
}

#[test]
fn what_is_too_large_is_refused_with_its_own_status() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2).server("limits.request_body = \"10KiB\"");
    let kanaria = Kanaria::start(&file);
    let long = "x".repeat(17 * 1024);
    let many: String = (0..80)
        .map(|n| format!("X-{n}: {}\r\n", "y".repeat(1000)))
        .collect();
    let body = "z".repeat(11 * 1024);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let cases = [
        (get(&format!("/{long}"), ""), 414, "uri_too_long"),
        (
            get("/", &format!("X-Long: {long}\r\n")),
            431,
            "header_too_large",
        ),
        (get("/", &many), 431, "header_too_large"),
        (request("POST", "/", "", &body), 413, "body_too_large"),
        (
            format!("{}{chunks}", get("/", chunked).replace("GET", "POST")),
            413,
            "body_too_large",
        ),
    ];
    for (n, (message, status, error)) in cases.into_iter().enumerate() {
        let answer = kanaria.client().call(message);
        assert_eq!(answer.status, status, "{error}");
        let line = &kanaria.log_of(n + 1)[n];
        assert_eq!(
            (line["status"].as_u64(), &line["error"]),
            (Some(status.into()), &error.into())
        );
    }
    let answer = kanaria
        .client()
        .call(request("POST", "/", "", &"z".repeat(10 * 1024)));
    assert_eq!(answer.status, 200, "the limit itself is allowed");
}

#[test]
fn what_is_just_within_the_limits_passes() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let long = "x".repeat(15 * 1024);
    let many: String = (0..60)
        .map(|n| format!("X-{n}: {}\r\n", "y".repeat(1000)))
        .collect();
    for message in [
        get(&format!("/{long}"), ""),
        get("/", &format!("X: {long}\r\n")),
        get("/", &many),
    ] {
        assert_eq!(kanaria.client().call(message).status, 200);
    }
}

#[test]
fn an_answer_with_a_huge_head_is_502() {
    let ec2 = Stub::with("ec2", |exchange| {
        let fields: String = (0..40)
            .map(|n| format!("X-{n}: {}\r\n", "y".repeat(1000)))
            .collect();
        exchange.answer("200 OK", &fields, b"")
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    assert_eq!(kanaria.client().call(get("/", "")).status, 502);
    assert_eq!(kanaria.log_of(1)[0]["error"], "bad_response");
}

#[test]
fn honest_requests_are_served_while_others_dawdle() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut dawdlers: Vec<Client> = (0..300).map(|_| kanaria.client()).collect();
    for client in &mut dawdlers {
        client
            .wire
            .send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
            .unwrap();
    }
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(kanaria.client().call(get("/", "")).status, 200);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn one_client_has_so_many_connections_and_others_are_not_harmed() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2)
        .server("trusted_proxies = [\"127.0.0.1\"]\nmax_connections_per_client = 3")
        .listener("proxy_protocol = \"required\"");
    let kanaria = Kanaria::start(&file);
    let connect = |address: &str| {
        let mut client = kanaria.client();
        let header = format!("PROXY TCP6 {address} ::1 4321 80\r\n");
        let _ = client.wire.send(header + &get("/", ""));
        client
            .answer(false)
            .ok()
            .filter(|answer| answer.status == 200)
            .map(|_| client)
    };
    let kept: Vec<_> = (1..=3)
        .map(|n| connect(&format!("2001:db8::{n}")).unwrap())
        .collect();
    assert!(connect("2001:db8::4").is_none(), "the same /64");
    assert!(connect("2001:db8:0:1::1").is_some(), "another one");
    let refused = kanaria.admin.metric(
        "kanaria_connections_refused_total",
        &["limit=\"max_connections_per_client\""],
    );
    assert_eq!(refused, 1.0);
    drop(kept);
    until("a place is free", || connect("2001:db8::5"));
}

#[test]
fn a_client_above_its_rate_is_answered_429_and_keeps_its_connection() {
    let ec2 = Stub::start("ec2");
    let file =
        File::single(&ec2).server("trusted_proxies = [\"127.0.0.1\"]\nmax_rps_per_client = 5");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let began = Instant::now();
    let mut ask = |address: &str| {
        client.call(get(
            "/",
            &format!("X-Forwarded-For: {address}\r\nAccept: application/json\r\n"),
        ))
    };
    let answers: Vec<_> = (0..50).map(|_| ask("203.0.113.7")).collect();
    let took = began.elapsed();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let most = 5 + (took.as_secs_f64() * 5.0).ceil() as usize;
    println!("{served} of 50 served in {took:?}, at most {most}");
    assert!((5..=most).contains(&served));
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(
        (refused.status, refused.head.get("retry-after")),
        (429, Some("1"))
    );
    assert!(refused.text().contains("\"status\":429"));
    assert_eq!(ask("203.0.113.8").status, 200, "another client");
    for _ in 0..20 {
        assert_eq!(
            kanaria.client().call(get("/", "")).status,
            200,
            "a trusted proxy itself"
        );
    }
    let causes = kanaria.admin.metric(
        "kanaria_router_errors_total",
        &["cause=\"too_many_requests\""],
    );
    assert_eq!(causes as usize, 50 - served);
    assert_eq!(ec2.count(), served + 21);
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let ec2 = Stub::with("ec2", |exchange| {
        let body = vec![b'x'; 16 << 20];
        exchange.answer("200 OK", "", &body)
    });
    let file = File::single(&ec2).server("timeouts.body = \"500ms\"");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let began = Instant::now();
    client
        .wire
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let line = &kanaria.log_of(1)[0];
    about(
        "an answer not taken",
        began.elapsed(),
        Duration::from_millis(500),
    );
    assert_eq!(line["error"], "client_closed");
}
