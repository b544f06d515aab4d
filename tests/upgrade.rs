//! Requests that ask to switch protocols.

mod begin;
mod life;

use std::io;

use crate::support::{After, Client, Exchange, Kanaria, get};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Switches, and sends back what arrives until nothing more does.
fn echo(exchange: &mut Exchange<'_>) -> io::Result<After> {
    if exchange.head.get("upgrade").is_none() {
        return exchange.plain();
    }
    exchange.wire.send(SWITCH)?;
    loop {
        let piece = exchange.wire.some()?;
        if piece.is_empty() {
            return Ok(After::Close);
        }
        exchange.wire.send(piece)?;
    }
}

/// A client whose connection has become a WebSocket.
#[track_caller]
fn open(kanaria: &Kanaria) -> Client {
    let mut client = kanaria.client();
    assert_eq!(client.call(get("/", WEBSOCKET)).status, 101);
    client
}

#[track_caller]
fn check_echo(client: &mut Client) {
    client.wire.send("ping").unwrap();
    assert_eq!(client.wire.exactly(4).unwrap(), b"ping");
}

/// Reads until the end, which must come without a byte more.
#[track_caller]
fn check_end(client: &mut Client) {
    let rest = client.wire.rest().unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

/// The status and the error of the only line of the log.
#[track_caller]
fn line(kanaria: &Kanaria) -> (u64, Option<String>) {
    let log = kanaria.log_of(1);
    assert_eq!(log.len(), 1, "{log:#?}");
    let error = log[0]["error"].as_str().map(str::to_owned);
    (log[0]["status"].as_u64().unwrap(), error)
}
