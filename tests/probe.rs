//! `health_path`: what a load balancer in front of the router is told, over the listeners it balances.

use serde_json::Value;

use crate::support::http2::{Http2, ask};
use crate::support::{File, Kanaria, Stub, get, request, until};
use rustix::process::Signal;

fn start(ec2: &Stub, keys: &str) -> Kanaria {
    let keys = format!("health_path = \"/lb\"\n{keys}");
    Kanaria::start(&File::single(ec2).h2c().server(&keys))
}

#[test]
fn a_check_is_answered_by_the_router_and_leaves_no_trace() {
    let ec2 = Stub::start("ec2");
    let kanaria = start(&ec2, "");
    for check in [
        get("/lb", "Host: 10.0.0.1:8080\r\n"),
        get("/lb?from=nlb", ""),
        "GET /lb HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let answer = kanaria.client().call(&check);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok\n"),
            "{check}"
        );
        assert_eq!(answer.head.get("set-cookie"), None);
        assert!(answer.closes());
    }
    let answer = kanaria.client().call(request("HEAD", "/lb", "", ""));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let client = Http2::connect(kanaria.public);
    let reply = client.call(ask("GET", "/lb"), b"");
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok\n"));
    let reply = client.call(ask("HEAD", "/lb"), b"");
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    // What is no check goes on, on the same connection too.
    assert_eq!(client.call(ask("GET", "/lb/"), b"").text(), "ec2");
    assert_eq!(
        kanaria
            .client()
            .call(request("POST", "/lb", "", "x"))
            .text(),
        "ec2"
    );
    assert_eq!(kanaria.log_of(2).len(), 2);
    assert_eq!(ec2.count(), 2);
    let counted = kanaria.admin.metric("kanaria_requests_total", &[]);
    assert_eq!(counted, 2.0);
}

#[test]
fn a_check_says_503_from_sigterm_on_while_requests_are_still_taken() {
    let ec2 = Stub::start("ec2");
    let mut kanaria = start(&ec2, "pre_drain = \"1s\"");
    kanaria.signal(Signal::TERM);
    until("the check answers 503", || {
        (kanaria.client().call(get("/lb", "")).status == 503).then_some(())
    });
    let client = Http2::connect(kanaria.public);
    let reply = client.call(ask("GET", "/lb"), b"");
    assert_eq!((reply.status, reply.text().as_str()), (503, "draining\n"));
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    assert_eq!(kanaria.wait().code(), Some(0));
    assert_eq!(kanaria.log().len(), 1);
}

#[test]
fn a_check_asks_for_nothing_of_the_targets() {
    let ec2 = Stub::start("ec2");
    let kanaria = start(&ec2, "");
    ec2.die();
    assert_eq!(kanaria.client().call(get("/lb", "")).status, 200);
}

#[test]
fn without_the_key_the_path_is_like_any_other() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    assert_eq!(kanaria.client().call(get("/lb", "")).text(), "ec2");
}

#[test]
fn a_drain_is_as_long_as_the_file_in_force_says() {
    let ec2 = Stub::start("ec2");
    let mut kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.rewrite(&File::single(&ec2).server("pre_drain = \"1s\"").text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    kanaria.signal(Signal::TERM);
    until("/readyz answers 503", || {
        let answer = kanaria.admin.try_call("GET", "/readyz", &Value::Null)?;
        (answer.status == 503).then_some(())
    });
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    assert_eq!(kanaria.wait().code(), Some(0));
}
