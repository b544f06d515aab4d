//! The API on a real socket, over a control whose file and disk the tests hold.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::control::fixture::{Rig, compiled, file, rig_in};

mod calls;
mod doors;
mod refusals;
mod targets;
mod thread;

/// The API of a control of its own, on a socket.
struct Api {
    rig: Rig,
    address: std::net::SocketAddr,
    phase: watch::Sender<Phase>,
}

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

const VIEWER: &str = "viewer-token";
const OPERATOR: &str = "operator-token";

/// On loopback, without tokens.
async fn api() -> Api {
    served(file(95, 5), Door::Loopback).await
}

/// With tokens.
async fn api_behind(door: Door) -> Api {
    let mut written = file(95, 5);
    written["admin"] = json!({ "tokens": [
        { "name": "watcher", "role": "viewer", "sha256": sha256(VIEWER) },
        { "name": "ci", "role": "operator", "sha256": sha256(OPERATOR).to_uppercase() },
    ]});
    served(written, door).await
}

async fn served(written: Value, door: Door) -> Api {
    let rig = rig_in(tempfile::tempdir().unwrap(), written);
    let socket = Socket::bind("127.0.0.1:0").unwrap();
    let Socket::Tcp(_, address) = &socket else {
        panic!("expected a TCP socket");
    };
    let address = *address;
    let (phase, phase_end) = watch::channel(Phase::Serving);
    let admin = Admin::new(rig.control.clone(), phase_end, door);
    tokio::spawn(serve::serve(
        socket,
        None,
        router(admin),
        watch::channel(false).1,
    ));
    Api {
        rig,
        address,
        phase,
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest(text).into();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Api {
    /// Sends `head` (request line and fields, without the length) and `body` as they are.
    async fn raw(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let request = format!("{head}\r\nConnection: close\r\n{length}\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The other end may answer and close before it has read everything.
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn call(&self, call: &str, body: &str) -> Answer {
        let kind = "Content-Type: application/json";
        self.raw(
            &format!("{call} HTTP/1.1\r\nHost: localhost\r\n{kind}"),
            body,
        )
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), "").await
    }

    async fn json(&self, call: &str, body: Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.call(call, &body).await;
        assert_eq!(answer.status, 200, "{call}: {}", answer.body);
        answer.json()
    }

    async fn set(&self, ecs: u32) -> Value {
        let weights = json!({ "ec2": 100 - ecs, "ecs": ecs });
        let body = json!({ "weights": weights, "reason": "next step" });
        self.json("PUT /api/v1/routes/blogs/weights", body).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn has(&self, field: &str) -> bool {
        self.head
            .lines()
            .any(|line| line == field.to_ascii_lowercase())
    }
}
