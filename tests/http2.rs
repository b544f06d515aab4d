//! Clients that speak HTTP/2.

mod abuse;
mod ends;
mod heads;
mod streams;

use std::io;

use crate::support::http2::Http2;
use crate::support::{After, Exchange, File, Kanaria, Stub};

/// A router with one pool, that of `ec2`, and a connection of HTTP/2 to it.
#[track_caller]
fn start(ec2: &Stub) -> (Kanaria, Http2) {
    let kanaria = Kanaria::start(&File::single(ec2).h2c());
    let client = Http2::connect(kanaria.public);
    (kanaria, client)
}

fn echo(exchange: &mut Exchange<'_>) -> io::Result<After> {
    let body = exchange.body()?;
    exchange.answer("200 OK", "", &body)
}

/// Status and error of the lines of the log, once there are `n`.
#[track_caller]
fn lines(kanaria: &Kanaria, n: usize) -> Vec<(Option<u64>, Option<String>)> {
    let log = kanaria.log_of(n);
    assert_eq!(log.len(), n, "{log:#?}");
    let line = |line: &serde_json::Value| {
        assert_eq!(line["protocol"], "HTTP/2");
        let error = line["error"].as_str().map(str::to_owned);
        (line["status"].as_u64(), error)
    };
    log.iter().map(line).collect()
}
