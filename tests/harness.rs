//! That the harness itself tells the truth, without a router.

use std::time::Duration;

use crate::support::{
    After, Client, Counts, Jar, Load, Stub, get, request, share_z, volley, within,
};

#[test]
fn a_stub_answers_with_its_name_and_keeps_what_it_got() {
    let stub = Stub::start("ec2");
    let mut client = Client::connect(stub.address);
    let answer = client.call(request("POST", "/a?b", "X-Odd: \u{e9}\r\n", "body"));
    assert_eq!(
        (answer.status, answer.stub(), answer.text().as_str()),
        (200, "ec2", "ec2")
    );
    let seen = stub.last();
    assert_eq!(seen.head.line, "POST /a?b HTTP/1.1");
    assert_eq!(seen.head.get("host"), Some("www.example.com"));
    assert_eq!(seen.body, b"body");
    client.call(get("/healthz", ""));
    assert_eq!((stub.count(), stub.checks()), (1, 1));
}

#[test]
fn a_dead_stub_refuses_and_a_revived_one_serves() {
    let stub = Stub::start("ec2");
    let mut kept = Client::connect(stub.address);
    kept.call(get("/", ""));
    stub.die();
    assert!(kept.wire.closed());
    assert!(Client::try_connect(stub.address).is_err());
    stub.revive();
    assert_eq!(Client::connect(stub.address).call(get("/", "")).status, 200);
}

#[test]
fn a_stub_can_cut_its_answers() {
    let stub = Stub::with("ecs", |exchange| {
        exchange.body()?;
        exchange
            .wire
            .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")?;
        Ok(After::Reset)
    });
    assert!(
        Client::connect(stub.address)
            .try_call(get("/", ""))
            .is_err()
    );
}

#[test]
fn chunks_and_interim_answers_are_read() {
    let stub = Stub::with("ec2", |exchange| {
        exchange.wire.send("HTTP/1.1 103 Early Hints\r\n\r\n")?;
        exchange.wire.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        )?;
        Ok(After::Keep)
    });
    let mut client = Client::connect(stub.address);
    for _ in 0..2 {
        let answer = client.call(get("/", ""));
        assert_eq!((answer.interim.len(), answer.text().as_str()), (1, "abc"));
    }
}

#[test]
fn a_jar_keeps_replaces_and_forgets() {
    let stub = Stub::with("ec2", |exchange| {
        let age = if exchange.path() == "/out" { "0" } else { "60" };
        exchange.answer(
            "200 OK",
            &format!("Set-Cookie: a=1; Max-Age={age}\r\n"),
            b"",
        )
    });
    let mut client = Client::connect(stub.address);
    let mut jar = Jar::default();
    jar.visit(&mut client, "/in");
    jar.visit(&mut client, "/in");
    assert_eq!(
        (jar.get("a"), jar.line().as_str()),
        (Some("1"), "Cookie: a=1\r\n")
    );
    jar.visit(&mut client, "/out");
    assert_eq!(jar.get("a"), None);
    assert_eq!(stub.last().head.get("cookie"), Some("a=1"));
}

#[test]
fn load_is_counted_and_failures_are_seen() {
    let stub = Stub::start("ec2");
    assert_eq!(
        volley(stub.address, 100, 4, |n| get(&format!("/{n}"), "")).len(),
        100
    );
    let load = Load::start(stub.address, 2, 500);
    load.pass(20);
    stub.die();
    load.pass(20);
    let shots = load.stop();
    assert!(
        shots.iter().any(|shot| shot.status == 200) && shots.iter().any(|shot| shot.status == 0)
    );
    assert_eq!(within(Duration::from_millis(20), || None::<()>), None);
}

#[test]
fn statistics_agree_with_known_values() {
    // 10,000 draws at 30 %: mean 3,000, standard deviation 45.83.
    assert!((share_z(3046, 10_000, 0.3) - 1.0038).abs() < 1e-3);
    let counts: Counts = ["a", "b", "a", "a"].into_iter().collect();
    assert_eq!(
        (counts.of("a"), counts.total(), counts.share("b")),
        (3, 4, 0.25)
    );
}
