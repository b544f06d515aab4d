//! Further tries: for whom, and how many.

use std::net::SocketAddr;

use crate::support::{After, File, Kanaria, Stub, get, request, volley};

/// Addresses of this machine where nobody listens.
fn dead(n: u8) -> Vec<SocketAddr> {
    (1..=n).map(|n| ([127, 9, 9, n], 1).into()).collect()
}

fn retries(kanaria: &Kanaria, cause: &str, result: &str) -> f64 {
    let labels = [format!("cause=\"{cause}\""), format!("result=\"{result}\"")];
    let labels = [labels[0].as_str(), labels[1].as_str()];
    kanaria.admin.metric("kanaria_retries_total", &labels)
}

#[test]
fn an_outage_is_not_multiplied() {
    let ec2 = Stub::start("ec2");
    let keys = "retries = 10\nejection = { consecutive_failures = 0 }\n\
                retry_budget = { percent = 20, min_per_second = 2 }";
    let file = File::single(&ec2)
        .pool("ec2", &dead(11))
        .pool_keys("ec2", keys);
    let kanaria = Kanaria::start(&file);
    let n = 300;
    let answers = volley(kanaria.public, n, 4, |_| get("/", ""));
    assert!(answers.iter().all(|answer| answer.status == 502));
    let log = kanaria.log_of(n);
    let attempts: u64 = log
        .iter()
        .map(|line| line["attempts"].as_u64().unwrap())
        .sum();
    // A fifth of what came, and two for each of ten seconds; a slow machine may take longer than that window.
    let (asked, most) = (n as u64, n as u64 + n as u64 / 5 + 20);
    println!(
        "{n} requests, {attempts} connects, bound {most}, without a budget {}",
        11 * n
    );
    assert!(attempts > asked && attempts <= most + 20, "{attempts}");
    assert_eq!(
        retries(&kanaria, "connect_failed", "failed"),
        (attempts - asked) as f64
    );
    assert!(retries(&kanaria, "connect_failed", "denied") > 0.0);
}

/// A stub whose kept connections die under `/die`: with so many bytes of an answer.
fn dies_when_kept(bytes: &'static str) -> Stub {
    Stub::with("ec2", move |exchange| {
        exchange.body()?;
        if exchange.before > 0 && exchange.path() == "/die" {
            exchange.wire.send(bytes)?;
            return Ok(After::Close);
        }
        exchange.plain()
    })
}

#[test]
fn only_what_is_idempotent_is_repeated_and_only_before_a_byte_came_back() {
    for (method, body, bytes, status) in [
        ("GET", "", "", 200),
        ("PUT", "as before", "", 200),
        ("POST", "paid once", "", 502),
        ("GET", "", "HTTP/1.1 2", 502),
    ] {
        let ec2 = dies_when_kept(bytes);
        let kanaria = Kanaria::start(&File::single(&ec2));
        let mut client = kanaria.client();
        assert_eq!(client.call(get("/", "")).status, 200);
        let answer = client.call(request(method, "/die", "", body));
        assert_eq!(answer.status, status, "{method} {bytes:?}");
        let arrived = ec2
            .seen()
            .iter()
            .filter(|seen| seen.head.line.contains("/die"))
            .count();
        assert_eq!(
            arrived,
            if status == 200 { 2 } else { 1 },
            "{method} {bytes:?}"
        );
        assert_eq!(kanaria.log_of(2)[1]["attempts"], arrived);
        let answered = retries(&kanaria, "target_closed", "answered");
        assert_eq!(answered, f64::from(u8::from(status == 200)));
    }
}

#[test]
fn a_body_that_is_too_long_to_be_kept_is_not_repeated() {
    let ec2 = dies_when_kept("");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/", "")).status, 200);
    let body = "x".repeat(70_000);
    assert_eq!(client.call(request("PUT", "/die", "", &body)).status, 502);
    assert_eq!(ec2.count(), 2);
}
