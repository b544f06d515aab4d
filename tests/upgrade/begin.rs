//! How a WebSocket begins, and what is none.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use super::{SWITCH, WEBSOCKET, check_echo, echo, line, open};
use crate::support::{After, DEADLINE, File, Kanaria, Stub, get, request, until};

#[test]
fn a_target_that_does_not_answer_an_upgrade_is_a_504() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |_| {
        // The test ends when the gate does.
        let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
        Ok(After::Close)
    });
    let kanaria =
        Kanaria::start(&File::single(&ec2).pool_keys("ec2", "response_timeout = \"300ms\""));
    let began = Instant::now();
    let answer = kanaria.client().call(get("/", WEBSOCKET));
    assert_eq!(answer.status, 504);
    assert!(began.elapsed() >= Duration::from_millis(290));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(line(&kanaria), (504, Some("response_timeout".into())));
    assert_eq!(ec2.count(), 1);
    drop(go);
}

#[test]
fn no_target_for_an_upgrade_is_a_503_and_the_next_one_is_tried_first() {
    let dead = Stub::with("dead", echo);
    dead.die();
    let ec2 = Stub::with("ec2", echo);
    let alone = Kanaria::start(&File::single(&dead));
    assert_eq!(alone.client().call(get("/", WEBSOCKET)).status, 503);
    assert_eq!(line(&alone), (503, Some("no_target".into())));
    let both = Kanaria::start(&File::single(&ec2).pool("ec2", &[dead.address, ec2.address]));
    for _ in 0..4 {
        check_echo(&mut open(&both));
    }
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer_on_a_connection_that_goes_on() {
    let ec2 = Stub::with("ec2", |exchange| {
        let status = exchange.path().trim_start_matches('/').to_owned();
        let body = format!("{status}, {} before", exchange.before);
        exchange.answer(
            &format!("{status} Any"),
            "Upgrade: websocket\r\n",
            body.as_bytes(),
        )
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    for status in ["200", "400", "426", "503"] {
        let answer = client.call(get(&format!("/{status}"), WEBSOCKET));
        assert_eq!(answer.status.to_string(), status);
        // Their connections are used for nothing else.
        assert_eq!(answer.text(), format!("{status}, 0 before"));
        assert_eq!(client.call(get("/200", "")).status, 200, "behind {status}");
    }
    // The next request must not be taken for the first bytes of another protocol.
    let two = get("/400", WEBSOCKET) + &get("/200", "");
    assert_eq!(client.call(two).status, 400);
    assert_eq!(client.answer(false).unwrap().status, 200);
    for line in kanaria.log_of(10) {
        assert_eq!(line["error"], serde_json::Value::Null, "{line}");
    }
}

#[test]
fn a_switch_brings_the_cookie_to_a_client_that_has_none() {
    let ec2 = Stub::with("ec2", echo);
    let ecs = Stub::with("ecs", echo);
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let answer = kanaria.client().call(get("/", WEBSOCKET));
    let cookies: Vec<_> = answer.head.all("set-cookie").collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    let (own, _) = cookies[0].split_once(';').unwrap();
    let fields = format!("{WEBSOCKET}Cookie: {own}\r\n");
    let answer = kanaria.client().call(get("/", &fields));
    assert_eq!((answer.status, answer.head.get("set-cookie")), (101, None));
}

#[test]
fn bytes_right_behind_the_request_arrive_whether_or_not_the_target_has_switched() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let ec2 = Stub::with("ec2", move |exchange| {
        // The test ends when the gate does.
        let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
        echo(exchange)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    for length in [1, 1000, 100_000] {
        let early = "e".repeat(length);
        let mut client = kanaria.client();
        let before = ec2.count();
        client.wire.send(get("/", WEBSOCKET) + &early).unwrap();
        until("the request is there", || {
            (ec2.count() > before).then_some(())
        });
        client.wire.send("late").unwrap();
        go.send(()).unwrap();
        assert_eq!(client.answer(false).unwrap().status, 101, "{length}");
        let back = client.wire.exactly(length + 4).unwrap();
        assert_eq!(back, (early + "late").as_bytes(), "{length}");
    }
}

#[test]
fn what_is_no_websocket_is_an_ordinary_request() {
    let ec2 = Stub::with("ec2", |exchange| {
        let body = exchange.body()?;
        exchange.answer("200 OK", "", &body)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    for message in [
        get("/", h2c),
        request("POST", "/", h2c, "body"),
        request("POST", "/", WEBSOCKET, "body"),
        request("GET", "/", WEBSOCKET, "body"),
        get("/", "Upgrade: websocket\r\n"),
        get("/", WEBSOCKET).replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        if message.contains("HTTP/1.0") {
            client = kanaria.client();
        }
        let answer = client.call(&message);
        if answer.closes() {
            client = kanaria.client();
        }
        assert_eq!(answer.status, 200, "{message}");
        assert!(message.ends_with(&answer.text()), "{message}");
        let head = ec2.last().head;
        assert_eq!(head.get("upgrade"), None, "{message}");
        assert_eq!(head.get("http2-settings"), None, "{message}");
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        exchange.wire.send(SWITCH)?;
        Ok(After::Close)
    });
    let kanaria = Kanaria::start(&File::single(&ec2).pool_keys("ec2", "retries = 0"));
    for message in [
        get("/", ""),
        get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    ] {
        assert_eq!(kanaria.client().call(message).status, 502);
    }
    for line in kanaria.log_of(2) {
        assert_eq!(line["error"], "bad_response");
    }
}
